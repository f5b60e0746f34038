"""Download a state of the published data: the owner's list of files, one archive, its checksum, and the folder in it.

Both data sets lie on Dataverse servers: ML4RoadSafety at doi:10.7910/DVN/V71K5R, MMTraCE at doi:10.7910/DVN/YDP6KQ.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from reprise.road_safety.errors import DatasetLayoutError, DownloadError
from reprise.road_safety.validation import integer, one_of

SERVER = "https://dataverse.harvard.edu"
DATASETS = {"ml4roadsafety": "doi:10.7910/DVN/V71K5R", "mmtrace": "doi:10.7910/DVN/YDP6KQ"}
# Names of checksums on Dataverse, and of their algorithms.
_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces
PIECE = 1 << 16  # bytes; what has come of a piece when a download breaks off is asked for again


def fetch_state(
    state: str, source: str = "ml4roadsafety", cache: Any = None, *, server: str = SERVER, attempts: int = 3
) -> Path:
    """Return a folder that holds a state as its authors publish it, downloading it if it is not there.

    Parameters
    ----------
    state : str
        ``MT``; states are large, from some ten megabytes to gigabytes.
    source : {"ml4roadsafety", "mmtrace"}
    cache : path, optional
        Where states are kept. By default ``$REPRISE_DATA/road-safety/<source>`` if the state is there, else
        ``road-safety/<source>`` in the cache folder of the system, into which it is downloaded.
    server : str
        Of the Dataverse, for those who mirror it.
    attempts : int
        A download that breaks off goes on from where it broke off, so many times in one call, and in the next call.

    Returns
    -------
    Path
        For ``from_ml4roadsafety(folder, state)`` or ``from_mmtrace(folder, state)``.

    Raises
    ------
    DownloadError
        If the server cannot be reached, breaks off every time, or sends a file with another checksum than it lists.
    DatasetLayoutError
        If the archive has members outside of its folder, or holds no state.
    ValueError
        If the source has no such state; names those that it has.

    Notes
    -----
    What is there is whole: archive and folder are moved to their places when they are complete and checked.
    """
    if not isinstance(state, str) or not re.fullmatch(r"\w+", state):
        raise ValueError(f"state must be a name such as 'MT', got {state!r}")
    one_of("source", source, tuple(DATASETS))
    attempts = integer("attempts", attempts)
    if not isinstance(server, str) or not server.startswith(("http://", "https://")):
        raise ValueError(f"server must be an address of http or https, got {server!r}")
    for root in _folders(source, cache):
        if (root / state / "adj_matrix.pt").is_file():
            return root
    found = _listed(server, DATASETS[source], state)
    archive = _download(f"{server}/api/access/datafile/{found['id']}", root / f"{state}.zip", found, attempts)
    _unpack(archive, root, state)
    archive.unlink()
    return root


def _folders(source: str, cache: Any) -> list[Path]:
    """Where states may lie; downloads go to the last."""
    import pooch

    if cache is not None:
        return [Path(cache)]
    own = os.environ.get("REPRISE_DATA")
    place = Path("road-safety") / source
    return [*([Path(own) / place] if own else []), Path(pooch.os_cache("reprise")) / place]


def _listed(server: str, dataset: str, state: str) -> dict[str, str]:
    """Number, name and checksum (``md5:…``) of the state's archive."""
    import requests

    try:
        answer = requests.get(
            f"{server}/api/datasets/:persistentId/", params={"persistentId": dataset}, timeout=_TIMEOUT
        )
        answer.raise_for_status()
        files = [entry["dataFile"] for entry in answer.json()["data"]["latestVersion"]["files"]]
        by_name = {str(file["filename"]).lower(): file for file in files}
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        raise DownloadError(f"the list of files of {dataset} could not be read: {error}") from error
    names = (f"{state}.zip", f"ML4RoadSafety_graphs_{state}.zip")
    file = next((by_name[name.lower()] for name in names if name.lower() in by_name), None)
    if file is None:
        archives = sorted(name.removesuffix(".zip").upper() for name in by_name if name.endswith(".zip"))
        raise ValueError(f"state must be among those of {dataset}, {', '.join(archives) or 'none'}, got {state!r}")
    given = file.get("checksum") or {"type": "MD5", "value": file.get("md5")}
    if given.get("type") not in _ALGORITHMS or not given.get("value"):
        raise DownloadError(f"{file['filename']} of {dataset} must have a checksum, got {given}")
    return {
        "id": str(file["id"]),
        "name": str(file["filename"]),
        "hash": f"{_ALGORITHMS[given['type']]}:{str(given['value']).lower()}",
    }


def _download(url: str, target: Path, found: dict[str, str], attempts: int) -> Path:
    """Download to ``<target>.part``, going on where an earlier call stopped; pooch checks it and moves it in place."""
    import pooch
    import requests

    target.parent.mkdir(parents=True, exist_ok=True)
    # The checksum is part of the name: what was begun of another version is not gone on with.
    part = target.with_name(f"{target.name}.{found['hash'].split(':')[1][:12]}.part")

    def resumed(url: str, output: Any, caller: Any) -> None:
        for attempt in range(attempts):
            try:
                _append(url, part)
                break
            except requests.RequestException as error:
                broken_off = not isinstance(error, requests.HTTPError)
                if attempt == attempts - 1 or not broken_off:
                    raise
        os.replace(part, output)

    log = pooch.get_logger()
    level = log.level
    log.setLevel("WARNING")
    try:
        pooch.retrieve(url, found["hash"], fname=target.name, path=target.parent, downloader=resumed)
    except requests.RequestException as error:
        raise DownloadError(f"{found['name']} could not be downloaded: {error}; the next call goes on") from error
    except ValueError as error:
        raise DownloadError(f"{found['name']} must have the checksum {found['hash']}, but what came has not") from error
    except OSError as error:
        raise DownloadError(f"{found['name']} could not be kept: {error}") from error
    finally:
        log.setLevel(level)
    return target


def _append(url: str, part: Path) -> None:
    """Download what `part` still lacks."""
    import requests

    have = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is left to send
        answer.raise_for_status()
        # A server that knows no ranges begins again.
        mode = "ab" if have and answer.status_code == requests.codes.partial_content else "wb"
        with part.open(mode) as file:
            for piece in answer.iter_content(PIECE):
                file.write(piece)


def _unpack(archive: Path, root: Path, state: str) -> None:
    """Unpack beside the place of the state and move its folder there, whatever folder the archive has around it."""
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        try:
            with zipfile.ZipFile(archive) as opened:
                refuse_outside(opened, archive.name)
                opened.extractall(scratch)
        except (zipfile.BadZipFile, OSError) as error:
            raise DatasetLayoutError(f"{archive.name} could not be unpacked: {error}") from error
        matrices = sorted(Path(scratch).rglob("adj_matrix.pt"), key=lambda path: (path.parent.name != state, path))
        if not matrices:
            raise DatasetLayoutError(f"{archive.name} must hold a folder with adj_matrix.pt, found none")
        folder = matrices[0].parent
        beside = folder.parent / "embeddings"
        if folder != Path(scratch) and beside.is_dir() and not (folder / "embeddings").exists():
            shutil.move(beside, folder / "embeddings")
        if folder == Path(scratch):
            folder = Path(shutil.copytree(folder, root / f".{state}.unpacked", dirs_exist_ok=True))
        shutil.rmtree(root / state, ignore_errors=True)
        os.replace(folder, root / state)


def refuse_outside(archive: zipfile.ZipFile, name: str) -> None:
    """Refuse an archive with a member that lies outside of its folder, or is a link.

    Raises
    ------
    DatasetLayoutError
    """
    for member in archive.infolist():
        parts = re.split(r"[/\\]", member.filename)
        absolute = parts[0] == "" or re.match(r"[A-Za-z]:", member.filename)
        if absolute or ".." in parts or stat.S_ISLNK(member.external_attr >> 16):
            raise DatasetLayoutError(f"{name} must hold members inside of its folder only, got {member.filename!r}")
