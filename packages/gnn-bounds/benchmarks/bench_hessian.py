"""vᵀH_n v of every graph and layer: one forward-mode pass per layer, against two backward passes per graph."""

import copy
from time import process_time

import torch
from torch import nn

from reprise.core.ratios import compare, write
from reprise.gnn_bounds import UnifiedGNN, hessian_measure, load_tu, prepare, train, with_features
from reprise.gnn_bounds.experiments.data import TU
from reprise.hvp import GaussNewton, per_example_quadratic


def double_backward(model, moves, batches):
    """The loop of the authors' code with batches of one graph, taken layer by layer: v_iᵀ(H_ii v_i)."""
    rows = []
    for batch, label in batches:
        row = []
        for name, move in moves.items():
            parameter = model.get_parameter(name)
            loss = nn.functional.cross_entropy(model(batch), label)
            (gradient,) = torch.autograd.grad(loss, parameter, create_graph=True)
            (product,) = torch.autograd.grad(gradient, parameter, grad_outputs=move, retain_graph=False)
            row.append((product * move).sum())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def all_at_once(model, moves, batches):
    """One pass per layer, as `hessian_measure` does it."""
    operator = GaussNewton(model, nn.functional.cross_entropy, batches, check=False)
    return per_example_quadratic(operator, operator.space.flatten(moves), per_layer=True, by="parameter")


if __name__ == "__main__":
    torch.set_num_threads(1)
    graphs = with_features(load_tu(TU.find() / "IMDBBINARY.txt"))[:900]
    generator = torch.Generator().manual_seed(0)
    model = UnifiedGNN(graphs[0].features.shape[1], 64, 2, 3, share_weights=False, generator=generator)
    start = copy.deepcopy(model.state_dict())
    data = prepare(graphs)
    train(model, data, range(900), epochs=3, generator=generator)
    moves = {name: (parameter - start[name]).detach() for name, parameter in model.named_parameters()}
    singles, whole = data.batches(1), data.batches(900)
    torch.testing.assert_close(
        all_at_once(model, moves, whole), double_backward(model, moves, singles), rtol=1e-3, atol=1e-5
    )
    results = [
        compare(
            "900 graphs, 3 layers, graphs collated beforehand: double backward, one graph at a time",
            lambda: all_at_once(model, moves, whole),
            lambda: double_backward(model, moves, singles),
            clock=process_time,
            repeats=5,
            goal=20.0,
        ),
        compare(
            "the same with everything that hessian_measure does (diffusion matrices, collation, losses, checks)",
            lambda: hessian_measure(model, start, graphs, batch_size=900),
            lambda: double_backward(model, moves, singles),
            clock=process_time,
            repeats=5,
            goal=20.0,
        ),
    ]
    write(__file__, results, libraries=("numba", "torch"))
