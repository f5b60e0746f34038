"""The paper's baselines: mixtures of experts, lookahead losses, learned branches."""

import numpy as np
import pytest
import torch

from reprise.algorithmic_reasoning import (
    LearningToBranch,
    MixtureOfExperts,
    Reasoner,
    evaluate,
    fit,
    learn_branches,
    lookahead_affinity,
    loss,
    sample,
)

SMALL = {"hidden": 8, "layers": 2, "heads": 2, "projection": 4}
KINDS = ["mpnn", "triplet_gmpnn", "gatv2", "edge_transformer"]


def paths(name, *, samples=3, seed=1):
    return sample(name, nodes=5, samples=samples, seed=seed, p=0.6)


def copy_experts(model, plain):
    """Give every module of a layer the weights that the plain network has there."""
    for copies, (layer,) in zip(model.processor.layers, plain.processor.layers):
        for module in copies:
            module.load_state_dict(layer.state_dict())
    rest = {name: value for name, value in plain.state_dict().items() if not name.startswith("processor.layers.")}
    model.load_state_dict(model.state_dict() | rest)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [MixtureOfExperts, LearningToBranch])
def test_equal_modules_are_one_network_however_they_are_mixed(kind, make):
    torch.manual_seed(0)
    plain, model = Reasoner(["bfs", "dfs"], kind, **SMALL).double(), make(["bfs", "dfs"], kind, **SMALL).double()
    copy_experts(model, plain)
    given = paths("bfs")
    found, expected = model(given), plain(given)
    torch.testing.assert_close(found.outputs, expected.outputs)
    torch.testing.assert_close(found.hints, expected.hints)


def test_a_mixture_follows_its_tasks_gates():
    torch.manual_seed(0)
    model = MixtureOfExperts(["bfs", "dfs"], "mpnn", experts=2, **SMALL).double()
    plain = Reasoner(["bfs", "dfs"], "mpnn", **SMALL).double()
    copy_experts(model, plain)
    with torch.no_grad():
        for copies, gate in zip(model.processor.layers, model.gates["bfs"]):
            for parameter in copies[1].parameters():
                parameter.add_(1.0)
            gate.bias.copy_(torch.tensor([1e3, -1e3]))  # the first module alone
    torch.testing.assert_close(model(paths("bfs")).outputs, plain(paths("bfs")).outputs)
    assert not torch.allclose(model(paths("dfs")).outputs["pi"], plain(paths("dfs")).outputs["pi"])


def test_gates_and_choices_of_other_tasks_keep_no_gradient():
    for make, part in ((MixtureOfExperts, "gates"), (LearningToBranch, "leaves")):
        torch.manual_seed(0)
        model = make(["bfs", "dfs"], "mpnn", **SMALL)
        loss(model(paths("bfs")), paths("bfs")).backward()
        used = {name for name, p in model.named_parameters() if p.grad is not None and name.startswith(part)}
        assert used and all(name.startswith(f"{part}.bfs") for name in used)


def test_the_likeliest_tree_follows_the_parents_and_is_what_is_evaluated():
    torch.manual_seed(0)
    model = LearningToBranch(["bfs", "dfs", "bellman_ford"], "mpnn", width=3, **SMALL | {"layers": 3}).double()
    with torch.no_grad():
        model.leaves["bfs"].copy_(torch.tensor([9.0, 0, 0]))
        model.leaves["bellman_ford"].copy_(torch.tensor([0, 9.0, 0]))
        model.leaves["dfs"].copy_(torch.tensor([0, 0, 9.0]))
        model.parents[1].copy_(9 * torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]]))
        model.parents[0].copy_(9 * torch.tensor([[0, 0, 1.0], [0, 0, 1.0], [0, 1.0, 0]]))
    tree = model.likeliest()
    assert tree.counts == (1, 2, 3)
    assert set(tree.layers[1]) == {frozenset({"bfs", "bellman_ford"}), frozenset({"dfs"})}
    plain = Reasoner(["bfs"], "mpnn", **SMALL | {"layers": 3}).double()
    for depth, place in enumerate((2, 0, 0)):  # the way of bfs from its leaf back
        plain.processor.layers[depth][0].load_state_dict(model.processor.layers[depth][place].state_dict())
    plain.tasks["bfs"].load_state_dict(model.tasks["bfs"].state_dict())
    model.eval()
    torch.testing.assert_close(model(paths("bfs")).outputs, plain(paths("bfs")).outputs)


def test_a_module_that_misleads_is_left():
    torch.manual_seed(0)
    model = LearningToBranch(["bfs"], "mpnn", width=2, **SMALL | {"layers": 1, "projection": None})
    with torch.no_grad():
        model.processor.layers[0][0].norm.weight.zero_()  # a module that says nothing
        model.leaves["bfs"].copy_(torch.tensor([0.5, 0.0]))
    others = [name for name, _ in model.named_parameters() if "layers.0.0" not in name]
    learn_branches(model, steps=60, nodes=5, lr=2e-2, parameters=others, validate_every=0)
    assert model.leaves["bfs"].argmax() == 1
    assert model.temperature == pytest.approx(0.5)


@pytest.mark.parametrize("make", [MixtureOfExperts, LearningToBranch])
def test_rivals_train_like_any_network(make):
    torch.manual_seed(0)
    model = make(["bfs"], "mpnn", **SMALL | {"projection": None, "hidden": 16})
    held = paths("bfs", samples=16, seed=9)
    model.eval()
    before = float(loss(model(held), held).detach())
    fit(model, steps=40, lr=1e-2, nodes=5, validate_every=0)
    model.eval()
    assert float(loss(model(held), held).detach()) < before
    assert 0 <= evaluate(model, held) <= 1


def test_lookahead_is_one_less_the_ratio_of_losses_behind_a_step():
    torch.manual_seed(0)
    model = Reasoner(["bfs", "bellman_ford"], "mpnn", **SMALL).double()
    tiny, small = (
        lookahead_affinity(
            _copy(model), steps=1, nodes=5, lr=1e-12, step_size=size, generator=torch.Generator().manual_seed(3)
        )
        for size in (1e-7, 1e-6)
    )
    np.testing.assert_allclose(small / tiny, 10, rtol=0.01)  # to first order, gains grow with the step
    assert (np.diagonal(tiny) > 0).all()  # a step for a task lowers its own loss


def _copy(model):
    again = Reasoner(["bfs", "bellman_ford"], "mpnn", **SMALL).double()
    again.load_state_dict(model.state_dict())
    return again


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MixtureOfExperts(["bfs"], "mpnn", experts=0, **SMALL), "experts must be at least 1"),
        (lambda: LearningToBranch(["bfs"], "mpnn", width=0, **SMALL), "width must be at least 1"),
        (lambda: lookahead_affinity(Reasoner(["bfs"], "mpnn", **SMALL), steps=0), "steps must be at least 1"),
        (lambda: lookahead_affinity(Reasoner(["bfs"], "mpnn", **SMALL), steps=1, every=0), "every must be"),
        (
            lambda: learn_branches(LearningToBranch(["bfs"], "mpnn", **SMALL), steps=1, temperatures=(1.0, 0.0)),
            "temperatures must be finite, above 0",
        ),
    ],
)
def test_bad_options_of_rivals_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
