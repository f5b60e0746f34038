"""Downloads of a state, from a server of our own."""

import hashlib
import io
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import numpy as np
import pytest
from typer.testing import CliRunner

from reprise.core import RepriseError
from reprise.road_safety import (
    DatasetLayoutError,
    DownloadError,
    export_ml4roadsafety,
    fetch_state,
    from_ml4roadsafety,
)
from reprise.road_safety.command import app
from reprise.road_safety.fetch import PIECE


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class Dataverse:
    """A server that lists archives and serves them, with faults where asked."""

    def __init__(self):
        self.archives, self.sums, self.ranges = {}, {}, []
        self.break_after, self.knows_ranges = [], True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = unquote(self.path)
                if path.startswith("/api/datasets/"):
                    assert "persistentId=doi:10.7910/DVN/" in path
                    self.send(200, json.dumps(outer.listing()).encode())
                    return
                body = outer.archives[list(outer.archives)[int(path.rsplit("/", 1)[1])]]
                asked = self.headers.get("Range")
                outer.ranges.append(asked)
                if asked and outer.knows_ranges:
                    start = int(asked.removeprefix("bytes=").removesuffix("-"))
                    self.send(*((206, body[start:]) if start < len(body) else (416, b"")))
                else:
                    self.send(200, body)

            def send(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                listing = b"latestVersion" in body
                self.wfile.write(body[: outer.break_after.pop(0) if outer.break_after and not listing else None])

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def listing(self):
        files = [
            {"dataFile": {"id": i, "filename": name, "md5": self.sums.get(name, hashlib.md5(body).hexdigest())}}
            for i, (name, body) in enumerate(self.archives.items())
        ]
        return {"data": {"latestVersion": {"files": files}}}

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def dataverse():
    server = Dataverse()
    yield server
    server.close()


@pytest.fixture
def state(dataverse):
    """An archive that is served as `XX.zip`: three pieces and a bit."""
    files = {"adj_matrix.pt": b"matrix", "Nodes/a.csv": np.random.default_rng(0).bytes(3 * PIECE)}
    dataverse.archives["README.txt"] = b"read me"
    dataverse.archives["XX.zip"] = zipped({f"XX/{name}": body for name, body in files.items()})
    return files


def test_a_state_is_fetched_checked_unpacked_and_kept(town, dataverse, tmp_path):
    folder = export_ml4roadsafety(town, tmp_path / "written")
    files = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    dataverse.archives["XX.zip"] = zipped({f"ML4RoadSafety_graphs_XX/XX/{name}": body for name, body in files.items()})
    root = fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address)
    back = from_ml4roadsafety(root, "XX")
    assert (back.counts.toarray()[:, back.edge_id(*town.edge_index)] == town.counts.toarray()).all()
    assert sorted(path.name for path in root.iterdir()) == ["XX"]  # neither archive nor scratch
    asked = len(dataverse.ranges)
    assert fetch_state("XX", cache=tmp_path / "cache", server="http://127.0.0.1:9") == root
    assert len(dataverse.ranges) == asked == 1


@pytest.mark.parametrize("around", ["", "XX/", "any/thing/XX/"])
def test_whatever_folder_lies_around_the_state_is_taken_off(state, dataverse, tmp_path, around):
    dataverse.archives["XX.zip"] = zipped({f"{around}{name}": body for name, body in state.items()})
    root = fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address)
    assert (root / "XX" / "adj_matrix.pt").is_file() and (root / "XX" / "Nodes").is_dir()
    assert [path.name for path in root.iterdir()] == ["XX"]


def test_a_download_that_breaks_off_goes_on_where_it_stopped(state, dataverse, tmp_path):
    dataverse.break_after = [PIECE + 5, 7]
    fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address, attempts=3)
    # What came of a piece that was not whole is asked for again.
    assert dataverse.ranges == [None, f"bytes={PIECE}-", f"bytes={PIECE}-"]


def test_the_next_call_goes_on_too(state, dataverse, tmp_path):
    dataverse.break_after = [2 * PIECE]
    with pytest.raises(DownloadError, match="the next call goes on"):
        fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address, attempts=1)
    assert not (tmp_path / "cache" / "XX").exists()
    fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address, attempts=1)
    assert dataverse.ranges == [None, f"bytes={2 * PIECE}-"]


def test_a_server_without_ranges_begins_again(state, dataverse, tmp_path):
    dataverse.break_after, dataverse.knows_ranges = [PIECE], False
    root = fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address)
    assert (root / "XX" / "adj_matrix.pt").is_file()


def test_what_was_wholly_there_is_not_asked_for_again(state, dataverse, tmp_path):
    body = dataverse.archives["XX.zip"]
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"XX.zip.{hashlib.md5(body).hexdigest()[:12]}.part").write_bytes(body)
    fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address)
    assert dataverse.ranges == [f"bytes={len(body)}-"]


def test_a_wrong_checksum_leaves_nothing_behind(state, dataverse, tmp_path):
    dataverse.sums["XX.zip"] = "0" * 32
    with pytest.raises(DownloadError, match="must have the checksum md5:000"):
        fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address)
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("member", ["../evil.txt", "/evil.txt", "XX/../../evil.txt", "C:\\evil.txt", "..\\evil.txt"])
def test_members_outside_of_the_folder_are_refused(state, dataverse, tmp_path, member):
    dataverse.archives["XX.zip"] = zipped({"XX/adj_matrix.pt": b"", member: b"evil"})
    with pytest.raises(DatasetLayoutError, match="inside of its folder"):
        fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address)
    assert not list(tmp_path.rglob("evil*")) and not (tmp_path / "cache" / "XX").exists()


def test_links_are_refused(state, dataverse, tmp_path):
    link = zipfile.ZipInfo("XX/adj_matrix.pt")
    link.external_attr = 0o120777 << 16
    dataverse.archives["XX.zip"] = zipped({link: b"/etc/passwd"})
    with pytest.raises(DatasetLayoutError, match="inside of its folder"):
        fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address)


@pytest.mark.parametrize(
    ("body", "said"), [(b"no archive", "could not be unpacked"), (zipped({"a.txt": b""}), "adj_matrix.pt, found none")]
)
def test_an_archive_without_a_state_is_named(state, dataverse, tmp_path, body, said):
    dataverse.archives["XX.zip"] = body
    with pytest.raises(DatasetLayoutError, match=said):
        fetch_state("XX", cache=tmp_path / "cache", server=dataverse.address)


def test_an_unknown_state_is_named_with_those_there_are(state, dataverse, tmp_path):
    with pytest.raises(ValueError, match=r"among those of doi:10\.7910/DVN/V71K5R, XX, got 'ZZ'"):
        fetch_state("ZZ", cache=tmp_path / "cache", server=dataverse.address)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": "../XX"}, "state must be a name"),
        ({"state": 3}, "state must be a name"),
        ({"source": "elsewhere"}, "source must be one of"),
        ({"server": "ftp://a"}, "server must be an address"),
        ({"attempts": 0}, "attempts must be at least 1"),
    ],
)
def test_bad_arguments_are_named(tmp_path, change, said):
    with pytest.raises(ValueError, match=said):
        fetch_state(**{"state": "XX", "cache": tmp_path} | change)


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(DownloadError, match="list of files"):
        fetch_state("XX", cache=tmp_path, server="http://127.0.0.1:9")


def test_states_are_found_where_the_environment_says(state, dataverse, tmp_path, monkeypatch):
    monkeypatch.setenv("REPRISE_DATA", str(tmp_path / "data"))
    place = tmp_path / "data" / "road-safety" / "mmtrace"
    fetch_state("XX", cache=place, server=dataverse.address)
    assert fetch_state("XX", "mmtrace", server="http://127.0.0.1:9") == place


def test_the_command_fetches_and_says_where_or_what_is_wrong(state, dataverse, tmp_path):
    words = ["fetch", "XX", "--cache", str(tmp_path / "cache"), "--server"]
    answer = CliRunner().invoke(app, [*words, dataverse.address, "--json"])
    assert json.loads(answer.stdout) == {"folder": str(tmp_path / "cache" / "XX")}
    words[1] = "ZZ"
    answer = CliRunner().invoke(app, [*words, dataverse.address])
    assert isinstance(answer.exception, RepriseError) and "state must be among" in str(answer.exception)
    answer = CliRunner().invoke(app, [*words, "http://127.0.0.1:9"])
    assert isinstance(answer.exception, RepriseError) and "list of files" in str(answer.exception)
