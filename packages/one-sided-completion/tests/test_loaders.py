import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from reprise.one_sided_completion import load_ratings

REAL = Path(os.environ.get("REPRISE_DATA", "absent")) / "one-sided-completion" / "u.data"

FILES = {
    "u.data": "7\t30\t4\t881\n7\t10\t0\t882\n3\t30\t5\t883\n",
    "ratings.dat": "7::30::4::881\n7::10::0::882\n3::30::5::883\n",
    "ratings.csv": "userId,movieId,rating,timestamp\n7,30,4.0,881\n7,10,0.0,882\n3,30,5.0,883\n",
    "plain.csv": "7,30,4\n7,10,0\n3,30,5\n",
    "named.csv": "who,what,rating\n7,30,4\n7,10,0\n3,30,5\n",
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_ratings_with_ids_mapped_and_zeros_seen(tmp_path, name):
    path = tmp_path / name
    path.write_text(FILES[name])
    found = load_ratings(path)
    assert found.users.tolist() == [3, 7] and found.items.tolist() == [10, 30]
    assert found.matrix.nnz == 3
    np.testing.assert_array_equal(found.matrix.toarray(), [[0, 5], [0, 4]])


def amazon(path, lines):
    with gzip.open(path, "wt") as file:
        file.write("user_id,parent_asin,rating,timestamp\n" + "\n".join(lines) + "\n")
    return path


def test_text_ids_of_amazon_are_hashed(tmp_path):
    lines = ["AE,B0,5.0,1", "AE,B1,3.0,2", "AF,B0,1.0,3"]
    found = load_ratings(amazon(tmp_path / "Beauty.csv.gz", lines))
    assert found.matrix.shape == (2, 2) and found.users.dtype == np.uint64
    assert sorted(found.matrix.data.tolist()) == [1.0, 3.0, 5.0]
    again = load_ratings(amazon(tmp_path / "again.csv.gz", lines[::-1]))
    assert (again.matrix != found.matrix).nnz == 0


@pytest.mark.parametrize(("how", "kept"), [("first", 5.0), ("last", 2.0), ("mean", 3.5)])
def test_repeated_ratings_are_refused_unless_told_what_to_keep(tmp_path, how, kept):
    path = amazon(tmp_path / "a.csv.gz", ["AE,B0,5.0,1", "AF,B0,1.0,3", "AE,B0,2.0,9"])
    with pytest.raises(ValueError, match="more than once, 1 such ratings"):
        load_ratings(path)
    assert kept in load_ratings(path, duplicates=how).matrix.data


def test_ratings_are_read_in_chunks(tmp_path, monkeypatch):
    from reprise.one_sided_completion import loaders

    monkeypatch.setattr(loaders, "CHUNK", 1)
    for name in FILES:
        (tmp_path / name).write_text(FILES[name])
        assert load_ratings(tmp_path / name).matrix.nnz == 3


def test_sparse_matrices_are_read_as_they_are(tmp_path):
    matrix = sparse.random_array((6, 4), density=0.5, rng=0, format="csr")
    sparse.save_npz(tmp_path / "genotypes.npz", matrix)
    found = load_ratings(tmp_path / "genotypes.npz")
    assert abs(found.matrix - matrix).max() == 0 and found.items.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t2\tx\t4\n", "finite ratings, got 'x'"),
        ("1\t2\tnan\t4\n", "finite ratings"),
        ("-1\t2\t3\t4\n", "user ids from 0, got -1"),
        ("1\t\t3\t4\n", "must name the item"),
        ("hello\n", "of no known format"),
        ("userId,movieId,rating,timestamp\n", "holds no rating"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    (tmp_path / "u.data").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_ratings(tmp_path / "u.data")


def test_absent_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_ratings(tmp_path / "u.data")


@pytest.mark.skipif(not REAL.exists(), reason="MovieLens-100K is not below $REPRISE_DATA")
def test_the_real_movielens_100k_is_read():
    found = load_ratings(REAL)
    assert found.matrix.shape == (943, 1682) and found.matrix.nnz == 100_000
    assert set(np.unique(found.matrix.data)) == {1.0, 2.0, 3.0, 4.0, 5.0}
