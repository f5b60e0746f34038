import hashlib
import io
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from reprise.core import DataSet, MissingData, RemoteFile, RepriseError
from reprise.core.data import unpack


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """A data folder and a cache of the test's own."""
    monkeypatch.setenv("REPRISE_DATA", str(tmp_path / "own"))
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path


@pytest.fixture
def server(tmp_path):
    """The address of a folder that is served on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served")) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def data_set(*files):
    return DataSet("numbers", files, source="Numbers, the owner's page", size="1 kB", licence="CC0")


def zipped(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_own_folder_comes_before_the_cache(places):
    numbers = data_set(RemoteFile("a.csv"))
    for place in ("cache/reprise", "own"):
        (places / place / "numbers").mkdir(parents=True)
        (places / place / "numbers" / "a.csv").write_text(place)
        assert (numbers.find() / "a.csv").read_text() == place


def test_missing_file_says_which_from_where_how_large_and_under_what_licence():
    with pytest.raises(MissingData, match=r"numbers lacks b\.csv: Numbers, the owner's page \(1 kB, CC0\); download"):
        data_set(RemoteFile("b.csv")).find()


def test_fetch_checks_and_unpacks(places, server):
    content = zipped({"deep/a.csv": "1,2", "b.csv": "3"})
    (places / "served" / "all.zip").write_bytes(content)
    remote = RemoteFile("all.zip", f"{server}/all.zip", hashlib.sha256(content).hexdigest(), ("deep/a.csv", "b.csv"))
    lines = []
    folder = data_set(remote).fetch(lines.append)
    assert (folder / "deep" / "a.csv").read_text() == "1,2"
    assert lines == ["numbers: all.zip"]
    (places / "served" / "all.zip").unlink()
    assert data_set(remote).fetch() == folder


def test_fetch_refuses_a_file_with_another_hash(places, server):
    (places / "served" / "a.csv").write_text("tampered")
    with pytest.raises(RepriseError, match=r"could not fetch a\.csv of numbers"):
        data_set(RemoteFile("a.csv", f"{server}/a.csv", "0" * 64)).fetch()
    with pytest.raises(MissingData):
        data_set(RemoteFile("a.csv")).find()


def test_fetch_names_what_a_person_has_to_download():
    with pytest.raises(MissingData, match=r"lacks a\.csv"):
        data_set(RemoteFile("a.csv")).fetch()


def test_address_needs_a_hash():
    with pytest.raises(ValueError, match=r"sha256 must be given with url, for a\.csv"):
        RemoteFile("a.csv", "http://127.0.0.1/a.csv")


@pytest.mark.parametrize("name", ["../out.txt", "/tmp-out.txt", "in/../../out.txt"])
def test_archives_cannot_write_out_of_their_folder(places, name):
    inside = places / "inside"
    inside.mkdir()
    bad_zip, bad_tar = places / "bad.zip", places / "bad.tar"
    bad_zip.write_bytes(zipped({name: "x"}))
    with tarfile.open(bad_tar, "w") as archive:
        entry = tarfile.TarInfo(name)
        archive.addfile(entry, io.BytesIO())
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../.."
        archive.addfile(link)
    for archive in (bad_zip, bad_tar):
        with pytest.raises(RepriseError, match="outside of its folder"):
            unpack(archive, inside)
    assert not (places / "out.txt").exists()


def test_unpack_refuses_what_is_no_archive(places):
    (places / "a.txt").write_text("hello")
    with pytest.raises(RepriseError, match="neither a zip nor a tar archive"):
        unpack(places / "a.txt", places)
