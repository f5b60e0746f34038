from pathlib import Path

import numpy as np
import pytest
import torch

from reprise.gnn_bounds import MoleculeGCN, MoleculeGIN, graph_statistics, load_molecules, load_tu, with_features


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


def test_a_set_is_found_by_its_name(data, tmp_path, monkeypatch):
    monkeypatch.setenv("REPRISE_DATA", str(data.parent))
    assert len(load_tu("MUTAG")) == 188 and len(load_tu("IMDB-B")) == 1000
    assert len(load_molecules("BACE")) == 1513
    with pytest.raises(FileNotFoundError, match=r"nor COLLAB\.txt or a folder COLLAB"):
        load_tu("COLLAB")
    (tmp_path / "gnn-bounds").mkdir()
    write_dortmund(load_tu("MUTAG")[:5], tmp_path / "gnn-bounds" / "REDDIT-BINARY")
    monkeypatch.setenv("REPRISE_DATA", str(tmp_path))
    assert len(load_tu("REDDIT-B")) == 5
    monkeypatch.delenv("REPRISE_DATA")
    with pytest.raises(FileNotFoundError, match="set REPRISE_DATA"):
        load_tu("MUTAG")
    with pytest.raises(TypeError, match="name must be the name of a set"):
        load_tu(3)


@pytest.mark.parametrize("name", ["REDDIT-B", "REDDIT-M5K", "COLLAB", "NCI1", "PROTEINS"])
def test_the_large_sets_run_where_their_files_are(name, tmp_path, monkeypatch, data):
    """Stand-ins in the layout in which the sets are published."""
    from reprise.core import MissingData
    from reprise.gnn_bounds.experiments.data import LARGE, graphs_of

    monkeypatch.setenv("REPRISE_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"_A\.txt"):
        LARGE[name].find()
    folder = tmp_path / LARGE[name].name
    folder.parent.mkdir()
    write_dortmund(load_tu(data / "MUTAG.txt")[:6], folder)
    if not name.startswith(("NCI", "PRO")):
        (folder / f"{folder.name}_node_labels.txt").unlink()
    graphs = graphs_of(LARGE[name].find(), name)
    widths = {"REDDIT-B": 1, "REDDIT-M5K": 1}
    assert len(graphs) == 6 and all(
        graph.features.shape[1] == widths.get(name, graphs[0].features.shape[1]) for graph in graphs
    )
    assert (graphs[0].features.sum(1) == 1).all()


def test_published_gin_weights_are_read_from_state_dicts(tmp_path, data):
    """A stand-in with the names and shapes of the published files."""
    shapes = {"x_embedding1.weight": (120, 300), "x_embedding2.weight": (3, 300)}
    for layer in range(5):
        shapes |= {
            f"gnns.{layer}.mlp.0.weight": (600, 300),
            f"gnns.{layer}.mlp.0.bias": (600,),
            f"gnns.{layer}.mlp.2.weight": (300, 600),
            f"gnns.{layer}.mlp.2.bias": (300,),
            f"gnns.{layer}.edge_embedding1.weight": (6, 300),
            f"gnns.{layer}.edge_embedding2.weight": (3, 300),
        }
        norm = f"batch_norms.{layer}."
        shapes |= {norm + part: (300,) for part in ("weight", "bias", "running_mean", "running_var")}
    generator = torch.Generator().manual_seed(0)
    weights = {name: 0.05 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    for layer in range(5):
        weights[f"batch_norms.{layer}.running_var"].abs_().add_(1.0)
        weights[f"batch_norms.{layer}.num_batches_tracked"] = torch.tensor(7)
    torch.save(weights, tmp_path / "supervised_masking.pth")
    model = MoleculeGIN.from_pretrained(tmp_path / "supervised_masking.pth", tasks=2).double().eval()
    molecules = load_molecules(data / "bace.npz")
    batch = molecules.batch([5])
    state = model.x_embedding1(batch.atoms[:, 0]) + model.x_embedding2(batch.atoms[:, 1])
    for index, (layer, norm) in enumerate(zip(model.gnns, model.batch_norms)):
        new = torch.zeros_like(state)
        for (i, j), (kind, direction) in zip(batch.edges.T.tolist(), batch.types.tolist()):
            new[i] += state[j] + layer.edge_embedding1.weight[kind] + layer.edge_embedding2.weight[direction]
        state = norm(layer.mlp(new))
        state = state.relu() if index < 4 else state
    torch.testing.assert_close(model(batch)[0], model.head(state.mean(0)))
    with pytest.raises(ValueError, match=r"must hold x_embedding1.weight and gnns\.\*\.linear\.weight"):
        MoleculeGCN.from_pretrained(tmp_path / "supervised_masking.pth")


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save(Path, tmp_path / "code.pth")
    with pytest.raises(ValueError, match="is no file of tensors"):
        MoleculeGIN.from_pretrained(tmp_path / "code.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="expected a dict of tensors, got list"):
        MoleculeGIN.from_pretrained(tmp_path / "list.pth")


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
