import numpy as np
import pytest
import torch

from reprise.gnn_bounds import MoleculeGCN, graph_statistics, load_molecules, load_tu, with_features


def write_dortmund(graphs, folder):
    """The same graphs in the Dortmund form."""
    folder.mkdir()
    starts = np.cumsum([0, *(graph.nodes for graph in graphs)])
    edges = np.concatenate([np.stack(g.adjacency.nonzero(), 1) + start + 1 for g, start in zip(graphs, starts)])
    name = folder.name
    np.savetxt(folder / f"{name}_A.txt", edges, "%d", ", ")
    owner = np.repeat(np.arange(1, len(graphs) + 1), [graph.nodes for graph in graphs])
    np.savetxt(folder / f"{name}_graph_indicator.txt", owner, "%d")
    np.savetxt(folder / f"{name}_graph_labels.txt", [2 * graph.label - 1 for graph in graphs], "%d")
    np.savetxt(folder / f"{name}_node_labels.txt", np.concatenate([graph.tags for graph in graphs]), "%d")


@pytest.mark.parametrize("name", ["MUTAG", "PTC", "IMDBBINARY", "IMDBMULTI"])
def test_both_text_forms_of_a_tu_set_agree(name, data, tmp_path):
    graphs = load_tu(data / f"{name}.txt")
    write_dortmund(graphs, tmp_path / name)
    again = load_tu(tmp_path / name)
    assert len(graphs) == len(again)
    for left, right in zip(graphs, again):
        assert left.label == right.label and (left.adjacency != right.adjacency).nnz == 0
        np.testing.assert_array_equal(left.tags, right.tags)


def test_the_real_sets_are_what_they_are_said_to_be(data):
    mutag = load_tu(data / "MUTAG.txt")
    assert np.bincount([graph.label for graph in mutag]).tolist() == [63, 125]
    assert with_features(mutag, "tag")[0].features.shape[1] == 7
    imdb = load_tu(data / "IMDBBINARY.txt")
    assert len(imdb) == 1000 and np.mean([graph.nodes for graph in imdb]) == pytest.approx(19.77, abs=0.01)
    assert np.mean([graph.adjacency.nnz / 2 for graph in imdb]) == pytest.approx(96.53, abs=0.01)
    stats = graph_statistics(with_features(imdb), "adjacency")
    assert stats.max_degree == 135 and stats.max_spectral == pytest.approx(29.78, abs=0.005)
    assert stats.feature_spectral.max() == pytest.approx(np.sqrt(31), abs=1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends at line 0"),
        ("1\n2 0\n0 1 1", "ends at line 3"),
        ("1\n2 0\n0 1 1\n0 1 5", "line 4: expected 1 neighbours between 0 and 1"),
        ("1\n2 0\n0 1 1\n0 0", "adjacency must be symmetric"),
        ("1\n0 0", "at least one node"),
        ("x", "expected whole numbers"),
        ("0", "holds no graph"),
    ],
)
def test_a_malformed_file_says_where(text, message, tmp_path):
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_tu(tmp_path / "bad.txt")


def test_absent_files_are_said_to_be_absent(tmp_path):
    for load in (load_tu, load_molecules, MoleculeGCN.from_pretrained):
        with pytest.raises(FileNotFoundError, match="there is no"):
            load(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="_graph_indicator"):
        load_tu(tmp_path)
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(ValueError, match=r"is no \.npz file"):
        load_molecules(tmp_path / "text.npz")
    with pytest.raises(ValueError, match="is no safetensors file"):
        MoleculeGCN.from_pretrained(tmp_path / "text.npz")


def test_molecules_and_weights_are_read(data):
    molecules = load_molecules(data / "bace.npz")
    assert [len(molecules.part(part)) for part in ("train", "validation", "test")] == [1210, 151, 152]
    assert int((molecules.labels == 1).sum()) == 691
    clintox = load_molecules(data / "clintox.npz")
    assert clintox.tasks == ("FDA_APPROVED", "CT_TOX") and len(clintox) == 1478
    for name in ("gcn_contextpred", "gcn_supervised_contextpred"):
        model = MoleculeGCN.from_pretrained(data / f"{name}.safetensors").eval()
        pretrained = sum(value.numel() for key, value in model.state_dict().items() if not key.startswith("head."))
        assert pretrained == 507_905
        assert torch.isfinite(model(molecules.batch([0, 1, 2]))).all()


def test_the_molecule_network_is_its_formula(data):
    """Message by message on one molecule, as in the code that the weights come from."""
    molecules = load_molecules(data / "bace.npz")
    model = MoleculeGCN.from_pretrained(data / "gcn_contextpred.safetensors").double().eval()
    batch = molecules.batch([5])
    state = model.x_embedding1(batch.atoms[:, 0]) + model.x_embedding2(batch.atoms[:, 1])
    degree = torch.bincount(batch.edges[0]).double()
    for index, (layer, norm) in enumerate(zip(model.gnns, model.batch_norms)):
        linear, new = layer.linear(state), torch.zeros_like(state)
        for (i, j), (kind, direction) in zip(batch.edges.T.tolist(), batch.types.tolist()):
            message = linear[j] + layer.edge_embedding1.weight[kind] + layer.edge_embedding2.weight[direction]
            new[i] += message / (degree[i] * degree[j]).sqrt()
        state = norm(new)
        state = state.relu() if index < 4 else state
    torch.testing.assert_close(model(batch)[0], model.head(state.mean(0)))
    together = model(molecules.batch([3, 5, 9]))
    torch.testing.assert_close(together[1], model(batch)[0])
