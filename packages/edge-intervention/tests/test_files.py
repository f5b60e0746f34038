import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from networks import random_rectangular
from scipy import sparse

from reprise.edge_intervention import CITIES, load_edges, load_mobility, load_weekly, read_labelled_edges
from reprise.edge_intervention.spectrum import leading_triples


@pytest.fixture
def real():
    folder = Path(os.environ.get("REPRISE_DATA", "")) / "edge-intervention"
    if not (folder / "mobility/WA/weights.npz").is_file():
        pytest.skip("the published networks are not on this machine: see `reprise data edge-intervention`")
    return folder


@pytest.mark.parametrize(
    ("name", "kind", "edges", "nodes", "sigma"),
    [
        ("openflights.txt", "tnet", 30499, 7977, 108.627580),
        ("out.advogato", "konect", 51127, 6542, 48.084457),
        ("soc-sign-bitcoinalpha.csv", "bitcoin", 24186, None, 103.044771),
    ],
)
def test_the_graphs_are_those_of_the_specification(real, name, kind, edges, nodes, sigma):
    W = load_edges(real / "graphs" / name, kind)
    assert leading_triples(W, 1).values[0] == pytest.approx(sigma, abs=1e-5)
    assert W.nnz <= edges and (nodes is None or W.shape == (nodes, nodes))


@pytest.mark.parametrize(
    ("city", "shape", "nnz", "sigma"),
    [
        ("MI", (2279, 15559), 276109, 555.780043),
        ("PH", (3547, 15102), 260279, 1203.220188),
        ("CH", (5784, 26606), 439262, 1296.219788),
        ("WA", (2564, 8026), 107733, 1406.572348),
    ],
)
def test_the_cities_are_those_of_the_specification(real, city, shape, nnz, sigma):
    network = load_mobility(real / "mobility" / city)
    assert network.weights.shape == shape and network.weights.nnz == nnz
    assert leading_triples(network.weekly, 1).values[0] == pytest.approx(sigma, abs=1e-4)
    assert network.weights.data.min() == 4 and city in CITIES


def test_the_weeks_are_read(real):
    weeks = load_weekly(real / "mobility/WA/weekly_networks.npz")
    assert len(weeks) == 10 and all(week.shape == (2564, 8026) for week in weeks)


def test_an_official_pickle_is_read_and_nothing_else(tmp_path):
    weeks = [sparse.csr_matrix(random_rectangular(4, 6, seed=seed)) for seed in range(3)]
    path = tmp_path / "networks.pkl"
    path.write_bytes(pickle.dumps(weeks))
    assert all((ours != theirs).nnz == 0 for ours, theirs in zip(load_weekly(path), weeks))
    # Published with older versions, whose modules have other names.
    path.write_bytes(pickle.dumps(weeks, 3).replace(b"scipy.sparse._csr", b"scipy.sparse.csr"))
    assert len(load_weekly(path)) == 3


class Evil:
    def __reduce__(self):
        return (os.system, ("echo evil > evil.txt",))


@pytest.mark.parametrize(
    "content",
    [[Evil()], [np.array([Evil()], dtype=object)], {"a": 1}, [1, 2], [], [sparse.coo_matrix(np.eye(2))], [np.eye(2)]],
)
def test_other_pickles_are_refused_and_run_nothing(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    Path("networks.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=r"networks\.pkl"):
        load_weekly("networks.pkl")
    assert not Path("evil.txt").exists()


def test_damaged_weeks_are_named(tmp_path):
    week = sparse.csr_matrix(random_rectangular(4, 6))
    week.indices[0] = 99
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([week]))
    with pytest.raises(ValueError, match=r"a\.pkl, matrix 0 is no CSR matrix"):
        load_weekly(tmp_path / "a.pkl")
    (tmp_path / "b.pkl").write_bytes(b"\x80\x04garbage")
    with pytest.raises(ValueError, match=r"b\.pkl is no pickled list"):
        load_weekly(tmp_path / "b.pkl")
    np.savez(tmp_path / "c.npz", shape=[2, 2])
    with pytest.raises(ValueError, match=r"c\.npz must hold"):
        load_weekly(tmp_path / "c.npz")
    with pytest.raises(FileNotFoundError, match=r"d\.npz"):
        load_weekly(tmp_path / "d.npz")


def test_a_mobility_folder_is_checked(tmp_path):
    W = random_rectangular(4, 6, density=0.9)
    sparse.save_npz(tmp_path / "weights.npz", sparse.csr_matrix(W))
    np.save(tmp_path / "beta_poi.npy", np.ones((1, 6)))
    np.save(tmp_path / "cbg_population.npy", np.full((1, 4), 50.0))
    with pytest.raises(FileNotFoundError, match=r"poi_indexes\.npy"):
        load_mobility(tmp_path)
    np.save(tmp_path / "poi_indexes.npy", np.array([0, 5]))
    network = load_mobility(tmp_path)
    assert network.beta_poi.shape == (6,) and network.weekly.sum() == pytest.approx(W.sum() * 7 / 31)
    np.save(tmp_path / "poi_indexes.npy", np.array([6]))
    with pytest.raises(ValueError, match="columns between 0 and 5"):
        load_mobility(tmp_path)
    np.save(tmp_path / "beta_poi.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"beta_poi\.npy is no \.npy file"):
        load_mobility(tmp_path)


def test_headers_comments_loops_and_repeated_edges(tmp_path):
    path = tmp_path / "edges.txt"
    path.write_text("% asym\nsource target\n1 1 .8\n1 2 1\n1 2 0.5\n0 2\n")
    assert load_edges(path, "konect").toarray().tolist() == [[0, 0, 1], [0, 0.8, 1.5], [0, 0, 0]]
    path.write_text("# u v\n0 1\n1 2\n")
    assert load_edges(path, "snap").sum() == 2
    path.write_text("0,1,10,99\n")
    assert load_edges(path, "bitcoin")[0, 1] == pytest.approx(np.exp(2))
    path.write_text("0 1\n")
    with pytest.raises(ValueError, match="line 1: expected at least 3 columns"):
        load_edges(path, "tnet")
    path.write_text("0 1 x\n")
    with pytest.raises(ValueError, match="line 1: expected numbers"):
        load_edges(path, "tnet")
    path.write_text("# nothing\n")
    with pytest.raises(ValueError, match="holds no edge"):
        load_edges(path)
    with pytest.raises(ValueError, match="fmt must be one of"):
        load_edges(path, "gml")


@pytest.mark.parametrize(
    "text", ["source,target,weight\na,b,2\nb,c,3\n", "a b 2\n\n# x\nb c 3\n", "a\tb\t2\nb\tc\t3\n", '"a";b;2\nb;c;3\n']
)
def test_labelled_edges_of_every_form(tmp_path, text):
    path = tmp_path / "net.csv"
    path.write_text(text)
    W, labels = read_labelled_edges(path)
    assert labels == ["a", "b", "c"] and W.toarray().tolist() == [[0, 2, 0], [0, 0, 3], [0, 0, 0]]


def test_bad_labelled_edges_are_named(tmp_path):
    path = tmp_path / "net.csv"
    for text, message in (
        ("a,b,1\nc\n", "line 2"),
        ("a,b,1\na,c,x\n", "line 2"),
        ("a,b,-1\n", "at least 0, got -1"),
        ("", "no edge"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_labelled_edges(path)
