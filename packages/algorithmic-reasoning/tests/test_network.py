"""The network: shapes, its own steps, routes, and what it must not depend on."""

import pytest
import torch

from reprise.algorithmic_reasoning import ALGORITHMS, BranchingStructure, Reasoner, loss, sample, spec
from reprise.algorithmic_reasoning.experiments.authors_trees import edge_transformer_tree, gatv2_tree
from reprise.algorithmic_reasoning.processors.families import PROCESSORS

SMALL = {"hidden": 12, "layers": 1, "heads": 3, "projection": 4}


def paths(name, *, nodes=5, samples=3, seed=1):
    return sample(name, nodes=nodes, samples=samples, seed=seed, p=0.6)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("projection", [None, 4])
def test_every_probe_is_predicted_in_its_shape_and_can_be_learned(name, projection):
    torch.manual_seed(0)
    model = Reasoner([name], "mpnn", **SMALL | {"projection": projection})
    given = paths(name)
    found = model(given)
    for probe_name, probe in spec(name).items():
        if probe.stage == "input":
            continue
        value, true = (found.outputs, given.outputs) if probe.stage == "output" else (found.hints, given.hints)
        shape = true[probe_name].shape if probe.stage == "output" else (given.steps - 1, *true[probe_name].shape[1:])
        assert value[probe_name].shape == ((*shape, given.nodes) if probe.type == "pointer" else shape)
    loss(found, given).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("kind", PROCESSORS)
def test_every_processor_trains(kind):
    torch.manual_seed(0)
    model = Reasoner(["bfs"], kind, **SMALL | {"layers": 2})
    given = paths("bfs")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    values = []
    for _ in range(8):
        optimizer.zero_grad()
        value = loss(model(given), given)
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < values[0]


@pytest.mark.parametrize("kind", ["mpnn", "triplet_gmpnn", "gatv2", "edge_transformer", "pgn"])
def test_renamed_nodes_give_renamed_answers(kind):
    torch.manual_seed(0)
    model = Reasoner(["bfs"], kind, **SMALL).double()
    given = paths("bfs", samples=1)
    order = torch.tensor([3, 0, 4, 1, 2])
    inverse = order.argsort()
    renamed = paths("bfs", samples=1)
    for probe_name, probe in spec("bfs").items():
        if probe.stage == "output":
            continue
        stage = renamed.inputs if probe.stage == "input" else renamed.hints
        value = stage[probe_name]
        lead = 1 if probe.stage == "input" else 2
        value = value.index_select(lead, order)
        if probe.location == "edge":
            value = value.index_select(lead + 1, order)
        stage[probe_name] = inverse[value] if probe.type == "pointer" else value
    plain, moved = model(given).outputs["pi"], model(renamed).outputs["pi"]
    torch.testing.assert_close(moved, plain[:, order][:, :, order])


@pytest.mark.parametrize("name", ["bfs", "mst_kruskal", "bridges"])
def test_an_answer_does_not_depend_on_the_others_in_its_batch(name):
    torch.manual_seed(0)
    model = Reasoner([name], "gmpnn", **SMALL).double()
    given = paths(name, samples=4, seed=3)
    assert len(set(given.lengths.tolist())) > 1
    together = model(given, keep_hints=False)
    for graph in range(4):
        alone = model(given.select([graph]), keep_hints=False)
        for probe, value in alone.outputs.items():
            torch.testing.assert_close(value[0], together.outputs[probe][graph])


def test_only_the_first_hint_is_told():
    torch.manual_seed(0)
    model = Reasoner(["bellman_ford"], "mpnn", **SMALL)
    given = paths("bellman_ford")
    before = model(given)
    for values in given.hints.values():
        values[1:] = 0
    after = model(given)
    assert all(torch.equal(after.hints[name], value) for name, value in before.hints.items())


@pytest.mark.parametrize("kind", PROCESSORS)
def test_equal_branches_are_one_network_and_an_update_is_of_ones_own(kind):
    torch.manual_seed(0)
    tree = BranchingStructure([[{"bfs", "dfs"}], [{"bfs"}, {"dfs"}]])
    shared, model = (Reasoner(["bfs", "dfs"], kind, **SMALL | {"layers": 2}, structure=one) for one in (None, tree))
    state = shared.state_dict()
    model.load_state_dict({name: state[name.replace("layers.1.1.", "layers.1.0.")] for name in model.state_dict()})
    given = paths("dfs")
    torch.testing.assert_close(model(given).outputs, shared(given).outputs)
    loss(model(given), given).backward()
    first, second = model.processor.layers[1]
    assert all(parameter.grad is None for parameter in first.parameters())
    assert any(parameter.grad is not None and bool(parameter.grad.any()) for parameter in second.parameters())


def test_a_task_takes_its_own_branch_and_leaves_the_others_without_gradient():
    tree = BranchingStructure([[{"bfs", "dfs", "bellman_ford"}], [{"bfs", "bellman_ford"}, {"dfs"}]])
    model = Reasoner(["bfs", "dfs", "bellman_ford"], "mpnn", **SMALL, structure=tree)
    given = paths("dfs")
    loss(model(given), given).backward()
    trunk, branches = model.processor.layers
    assert all(parameter.grad is not None for parameter in trunk.parameters())
    assert all(parameter.grad is None for parameter in branches[0].parameters())
    assert all(parameter.grad is not None for parameter in branches[1].parameters())
    assert all(parameter.grad is None for parameter in model.tasks["bfs"].parameters())


def test_the_authors_tree_has_29_of_60_modules():
    tree = edge_transformer_tree()
    assert tree.counts == (1, 3, 6, 9, 10)
    assert (tree.num_modules, BranchingStructure.separate(ALGORITHMS, 5).num_modules) == (29, 60)
    assert tree.module(4, "dfs") == tree.module(4, "topological_sort") != tree.module(4, "dag_shortest_paths")
    assert BranchingStructure.from_text(tree.to_text(), ALGORITHMS, 5) == tree


def test_the_authors_second_tree_has_three_branches_and_then_nine():
    tree = gatv2_tree()
    assert tree.counts == (1, 3, 9)
    assert tree.module(2, "dfs") == tree.module(2, "bridges") != tree.module(2, "bfs")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "at least one layer"),
        ([[{"a", "b"}], [{"a"}]], "layer 1 must have every task in one group, got not b"),
        ([[{"a", "b"}, {"b"}]], "layer 0 .* got b twice"),
        ([[{"a"}, {"b"}], [{"a", "b"}]], "layer 1 must refine the one before, but joins a, b again"),
        ([[{"a"}, set()]], "an empty group"),
    ],
)
def test_what_is_no_tree_is_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        BranchingStructure(layers)


def test_partitions_become_a_tree():
    tree = BranchingStructure.from_partitions([{"a": 0, "b": 0, "c": 0}, {"a": 5, "b": 5, "c": 1}])
    assert tree.counts == (1, 2) and tree.route("c") == (0, 1)


def test_text_that_is_no_tree_names_the_line():
    with pytest.raises(ValueError, match="line 2 must begin with a layer from 0 to 1"):
        BranchingStructure.from_text("0: a b\n7: a\n", "ab", 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"algorithms": []}, "algorithms must be a list of at least one name"),
        ({"algorithms": "bfs"}, "algorithms must be a list"),
        ({"algorithms": ["bfs", "bfs"]}, "algorithms must be different"),
        ({"algorithms": ["sort"]}, "algorithm must be one of"),
        ({"processor": "gcn"}, "processor must be one of"),
        ({"processor": "gatv2", "hidden": 10}, r"hidden must be a multiple of heads \(3\), got 10"),
        ({"projection": 0}, "projection must be at least 1"),
        ({"structure": BranchingStructure.shared(["dfs"], 1)}, "structure must be of the tasks bfs, got dfs"),
    ],
)
def test_bad_networks_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Reasoner(**{"algorithms": ["bfs"], "processor": "mpnn"} | SMALL | arguments)


def test_trajectories_of_another_algorithm_are_refused():
    with pytest.raises(ValueError, match="trajectories must be of bfs, got dfs"):
        Reasoner(["bfs"], "mpnn", **SMALL)(paths("dfs"))
