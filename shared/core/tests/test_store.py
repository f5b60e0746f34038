import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprise.core import RepriseError
from reprise.core.store import CellStore, FinishedCell, locked, replace_file

numbers = st.floats(allow_nan=False)
finished = st.builds(
    FinishedCell,
    key=st.text("abcdef0123456789", min_size=4, max_size=8),
    cell=st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), numbers)),
    rows=st.lists(st.dictionaries(st.text(), st.one_of(numbers, st.text()))),
    seconds=st.floats(0, 1e6),
    peak_memory=st.integers(0, 2**40),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(finished, min_size=1, max_size=6, unique_by=lambda cell: cell.key), st.data())
def test_store_gives_back_every_whole_line(tmp_path_factory, cells, data):
    folder = tmp_path_factory.mktemp("store")
    store = CellStore(folder)
    for cell in cells:
        store.append(cell)
    assert store.read() == {cell.key: cell for cell in cells}
    content = store.path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    store.path.write_bytes(content[:cut])
    kept = store.read()
    whole = content[:cut].count(b"\n")
    assert list(kept)[:whole] == [cell.key for cell in cells[:whole]]
    assert len(kept) - whole in (0, 1)  # a line that lacks only its newline is whole
    store.append(cells[-1])
    assert store.read()[cells[-1].key] == cells[-1]


def test_rows_keep_the_order_of_their_columns(tmp_path):
    store = CellStore(tmp_path)
    store.append(FinishedCell("k", {"z": 1}, [{"b": 1.0, "a": 2.0}], 0.0, 0))
    assert list(store.read()["k"].rows[0]) == ["b", "a"]


def test_lock_is_free_again_after_use(tmp_path):
    with (
        locked(tmp_path / "run"),
        pytest.raises(RepriseError, match="another run is writing"),
        locked(tmp_path / "run"),
    ):
        pass
    with locked(tmp_path / "run"):
        pass


def test_replace_file_puts_the_whole_content_or_keeps_the_old(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    replace_file(path, b"old")

    def refuse(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(RepriseError, match="No space left on device"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_line_is_valid_json(tmp_path):
    store = CellStore(tmp_path)
    store.append(FinishedCell("k", {"a": "line\nbreak"}, [], 0.5, 3))
    (line,) = store.path.read_text().splitlines()
    assert json.loads(line)["cell"] == {"a": "line\nbreak"}
