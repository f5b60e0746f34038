import networkx as nx
import numpy as np
import pytest
import torch

from reprise.gnn_bounds import (
    Graph,
    MoleculeGCN,
    Molecules,
    UnifiedGNN,
    add_self_loops,
    choose_diffusion,
    diffusion_matrix,
    drop_hubs,
    evaluate,
    fine_tune,
    prepare,
    spectral_norm,
    train,
    with_features,
)
from reprise.gnn_bounds.fine_tuning import masked_loss, mean_auc


def rings_and_stars(count=40):
    found = []
    for index in range(count):
        size = 4 + index % 7
        graph = nx.cycle_graph(size) if index % 2 else nx.star_graph(size)
        found.append(Graph(graph, label=index % 2))
    return with_features(found)


def molecules(count=24, seed=0):
    """Chains of random atoms; the label is whether the first atom is even, and missing now and then."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 6, count)
    atoms = np.stack([rng.integers(0, 9, sizes.sum()), rng.integers(0, 3, sizes.sum())], 1)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    bonds = np.concatenate([[[i, i + 1, rng.integers(4), rng.integers(3)] for i in range(n - 1)] for n in sizes])
    labels = np.stack([atoms[starts[:-1], 0] % 2, np.full(count, 1)], 1)
    labels[::9, 0] = -1
    split = np.repeat([0, 1, 2], [count - 12, 6, 6])
    pointers = np.concatenate([[0], np.cumsum(sizes - 1)])
    return Molecules(atoms, starts, bonds, pointers, labels, split, ("even", "always"))


@pytest.mark.parametrize("sigma", [0.0, 0.02])
def test_training_learns_to_tell_rings_from_stars(sigma):
    graphs = rings_and_stars()
    generator = torch.Generator().manual_seed(0)
    model = UnifiedGNN(graphs[0].features.shape[1], 16, 2, 3, generator=generator)
    data = prepare(graphs)
    train(model, data, range(30), epochs=60, generator=generator, sigma=sigma)
    assert evaluate(model, data, range(30), range(30, 40)).test_accuracy == 1.0


def test_training_leaves_global_randomness_alone_and_repeats():
    graphs, results = rings_and_stars(10), []
    for _ in range(2):
        before = torch.get_rng_state()
        generator = torch.Generator().manual_seed(3)
        model = UnifiedGNN(graphs[0].features.shape[1], 4, 2, 3, "gin", generator=generator)
        train(model, prepare(graphs, kind="gin"), range(10), epochs=3, generator=generator, sigma=0.01)
        results.append(model.readout.detach().clone())
        assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(*results)


def test_the_chooser_has_a_row_per_diffusion_and_trial():
    table = choose_diffusion(rings_and_stars(), epochs=3, width=8, trials=2)
    assert table.groupby("diffusion").size().to_dict() == {"gcn": 2, "mean": 2, "ppr": 2, "scaled": 2}
    assert (table[["measure", "spectral"]] > 0).all().all() and np.isfinite(table["log10_bound"]).all()
    with pytest.raises(ValueError, match="kinds must be a list"):
        choose_diffusion(rings_and_stars(), kinds=[])


def test_the_chooser_tries_every_edit_of_the_graphs():
    edits = {"no hubs": lambda graph: drop_hubs(graph, 0.1), "loops": lambda graph: add_self_loops(graph, 2.0)}
    table = choose_diffusion(rings_and_stars(12), kinds=["adjacency", "gcn"], edits=edits, epochs=2, width=4)
    spectral = table.set_index(["edit", "diffusion"])["spectral"]
    assert len(table) == 6
    assert spectral["no hubs", "adjacency"] < spectral["none", "adjacency"]
    assert spectral["loops", "adjacency"] == pytest.approx(spectral["none", "adjacency"] + 2)
    np.testing.assert_allclose(spectral[:, "gcn"], 1.0)


def test_batches_are_drawn_anew_in_every_epoch():
    seen = []

    class Watched(UnifiedGNN):
        def forward(self, batch):
            seen.append(batch.sizes.tolist())
            return super().forward(batch)

    graphs = rings_and_stars(20)
    model = Watched(graphs[0].features.shape[1], 4, 2, 2)
    train(model, prepare(graphs), range(20), epochs=2, batch_size=6, generator=torch.Generator().manual_seed(0))
    first, second = seen[:4], seen[4:]
    assert [len(part) for part in first] == [6, 6, 6, 2] and first != second
    assert sorted(size for part in first for size in part) == sorted(size for part in second for size in part)


def test_a_batch_is_the_chosen_graphs_in_their_order():
    graphs = rings_and_stars(9)
    data = prepare(graphs, kind="mean")
    batch, labels = data.batch([7, 2, 2])
    assert labels.tolist() == [graphs[i].label for i in (7, 2, 2)]
    expected = [diffusion_matrix(graphs[i].adjacency, "mean").toarray() for i in (7, 2, 2)]
    block, start = batch.propagate.matrix.to_dense().numpy(), 0
    np.testing.assert_allclose(batch.propagate.transpose.to_dense().numpy(), block.T)
    for index, matrix in zip((7, 2, 2), expected):
        stop = start + len(matrix)
        np.testing.assert_allclose(block[start:stop, start:stop], matrix, rtol=1e-6)
        np.testing.assert_array_equal(batch.features[start:stop].numpy(), graphs[index].features)
        block[start:stop, start:stop] = 0
        start = stop
    assert not block.any()


def test_leaving_out_hubs_lowers_the_norm_and_self_loops_leave_gcn_at_one():
    graph = Graph(nx.barabasi_albert_graph(100, 2, seed=0), label=0)
    fewer = drop_hubs(graph, 0.01)
    assert fewer.nodes == 100 and fewer.degrees.max() < graph.degrees.max()
    assert spectral_norm(fewer.adjacency) < spectral_norm(graph.adjacency)
    assert drop_hubs(graph, 0.0).adjacency.nnz == graph.adjacency.nnz
    heavier = add_self_loops(graph, 3.0)
    assert spectral_norm(heavier.adjacency) == pytest.approx(spectral_norm(graph.adjacency) + 3)
    assert spectral_norm(diffusion_matrix(heavier.adjacency, "gcn")) == pytest.approx(1.0)
    assert (heavier.degrees == graph.degrees).all()
    with pytest.raises(ValueError, match="share must be between 0 and 1"):
        drop_hubs(graph, 2.0)


@pytest.mark.parametrize("sigma", [0.0, 0.01])
def test_fine_tuning_learns_and_says_which_task_has_no_auc(sigma):
    torch.manual_seed(0)
    model = MoleculeGCN(2, layers=2, width=16, dropout=0.1)
    before = torch.get_rng_state()
    found = fine_tune(model, molecules(), epochs=25, sigma=sigma, batch_size=6, learning_rate=0.01)
    assert torch.equal(before, torch.get_rng_state())
    assert found.train_loss[-1] < 0.5 * found.train_loss[0]
    assert found.skipped_tasks == ("always",)
    assert found.test_auc_at_best == found.test_auc[found.best_epoch]


def test_missing_labels_do_not_count_in_the_loss():
    logits = torch.tensor([[1.0, 5.0], [2.0, -1.0]])
    labels = torch.tensor([[1, -1], [0, 1]])
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    kept = bce(torch.tensor([1.0, 2.0, -1.0]), torch.tensor([1.0, 0.0, 1.0]))
    torch.testing.assert_close(masked_loss(logits, labels), kept)


def test_the_auc_is_undefined_where_no_task_has_both_classes():
    table = molecules()
    scores = np.random.default_rng(0).standard_normal((len(table), 2))
    assert 0 <= mean_auc(scores, table, "train") <= 1
    scores[:, 0] = table.labels[:, 0]
    assert mean_auc(scores, table, "train") == 1.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"sigma": -1.0}, ValueError, "sigma must be between 0"),
        ({"sigma": float("nan")}, ValueError, "sigma must be between 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be"),
        ({"seed": True}, TypeError, "seed must be a whole number"),
    ],
)
def test_bad_fine_tuning_is_refused_and_changes_nothing(options, error, message):
    model = MoleculeGCN(2, layers=1, width=4)
    before = model.head.weight.clone()
    with pytest.raises(error, match=message):
        fine_tune(model, molecules(), **options)
    assert torch.equal(before, model.head.weight)


def test_a_head_of_another_width_is_refused():
    with pytest.raises(ValueError, match="model must have 2 outputs"):
        fine_tune(MoleculeGCN(1, layers=1, width=4), molecules())


def test_molecules_that_do_not_fit_together_are_refused():
    good = molecules()
    arrays = {name: getattr(good, name) for name in good.__dataclass_fields__}
    changes = [
        ({"bonds": np.add(good.bonds, [9, 0, 0, 0])}, "bonds must name atoms"),
        ({"tasks": ("one",)}, "labels must have shape"),
        ({"labels": good.labels + 5}, "labels must lie between"),
    ]
    for change, message in changes:
        with pytest.raises(ValueError, match=message):
            Molecules(**(arrays | change))
