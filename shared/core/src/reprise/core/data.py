"""Data sets: where they lie on this machine, and what to do when they do not.

A data set is looked for in the folder that ``REPRISE_DATA`` names, then in the download cache. One that may be fetched
is fetched by pooch and checked against its SHA-256; one that may not says what to download, from where, how large it is
and under what licence.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import MissingData, RepriseError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class RemoteFile:
    """One published file.

    Parameters
    ----------
    name : str
        Path inside the data set's folder.
    url : str, optional
        Where it may be fetched from without asking anybody; None where a person has to download it.
    sha256 : str, optional
        Needed with `url`.
    members : tuple of str
        For an archive: the files that it holds and that the loader reads; it is unpacked beside itself.
    """

    name: str
    url: str | None = None
    sha256: str | None = None
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.url is not None and self.sha256 is None:
            raise ValueError(f"sha256 must be given with url, for {self.name}")

    @property
    def provides(self) -> tuple[str, ...]:
        """The files that have to be there for the loader."""
        return self.members or (self.name,)


@dataclass(frozen=True)
class DataSet:
    """Files that belong together.

    Parameters
    ----------
    name : str
        Folder below ``REPRISE_DATA``: ``dynamic-pagerank`` or ``edge-intervention/mobility``.
    files : tuple of RemoteFile
    source : str
        Where a person finds it: title and address of the owner's page.
    size : str
        ``1.1 MB``.
    licence : str
    """

    name: str
    files: tuple[RemoteFile, ...]
    source: str
    size: str
    licence: str

    def missing(self, folder: Path) -> list[str]:
        """Return the files that `folder` lacks."""
        return [name for file in self.files for name in file.provides if not (folder / name).is_file()]

    def locate(self) -> Path | None:
        """Return the first folder that holds every file, or None."""
        return next((folder for folder in self.folders() if not self.missing(folder)), None)

    def folders(self) -> list[Path]:
        """Return where the data set is looked for, first place first."""
        own = os.environ.get("REPRISE_DATA")
        return [*([Path(own) / self.name] if own else []), cache_folder() / self.name]

    def find(self) -> Path:
        """Return the folder that holds the data set.

        Raises
        ------
        MissingData
            Naming the missing file, its source, size and licence.
        """
        found = self.locate()
        if found is not None:
            return found
        absent = self.missing(self.folders()[0])
        how = (
            "`reprise data PAPER --fetch` gets it"
            if all(file.url for file in self.files)
            else f"download it there and put it into $REPRISE_DATA/{self.name}"
        )
        raise MissingData(
            f"data set {self.name} lacks {', '.join(absent)}: {self.source} ({self.size}, {self.licence}); {how}"
        )

    def fetch(self, report: Callable[[str], None] = lambda line: None) -> Path:
        """Fetch what may be fetched into the cache, check it, unpack it, and return the folder.

        Raises
        ------
        MissingData
            If a file has to be downloaded by a person.
        RepriseError
            If a download fails or its SHA-256 differs.
        """
        import pooch

        if (found := self.locate()) is not None:
            return found
        folder = cache_folder() / self.name
        for file in self.files:
            if file.url is None or all((folder / name).is_file() for name in file.provides):
                continue
            report(f"{self.name}: {file.name}")
            target = folder / file.name
            try:
                pooch.retrieve(file.url, known_hash=f"sha256:{file.sha256}", fname=target.name, path=target.parent)
            except (OSError, ValueError) as error:
                raise RepriseError(f"could not fetch {file.name} of {self.name}: {error}") from error
            if file.members:
                self._unpack(target, folder, file.members)
        return self.find()

    def _unpack(self, archive: Path, folder: Path, members: tuple[str, ...]) -> None:
        """Unpack beside and move over what is read: a member that is there is whole."""
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            unpack(archive, Path(scratch))
            for name in members:
                if not (Path(scratch) / name).is_file():
                    raise RepriseError(f"{archive.name} of {self.name} holds no {name}")
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(scratch) / name, folder / name)


def cache_folder() -> Path:
    """Return the folder into which data sets are fetched."""
    import pooch

    return Path(pooch.os_cache("reprise"))


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive into `folder`; entries that would lie outside of it are refused.

    Raises
    ------
    RepriseError
        If the archive is of another kind, is damaged, or holds an entry that points out of the folder.
    """
    try:
        _unpack(archive, folder.resolve())
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise RepriseError(f"cannot unpack {archive.name}: {error}") from error


def _unpack(archive: Path, folder: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                if not (folder / name).resolve().is_relative_to(folder):
                    raise RepriseError(f"{archive.name} holds an entry outside of its folder: {name}")
            opened.extractall(folder)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            try:
                opened.extractall(folder, filter="data")
            except tarfile.FilterError as error:
                raise RepriseError(f"{archive.name} holds an entry outside of its folder: {error}") from error
    else:
        raise RepriseError(f"{archive.name} is neither a zip nor a tar archive")
