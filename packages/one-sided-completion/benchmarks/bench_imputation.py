"""One step of the imputation at d = 2,000 and r = 10, beside the authors' dense step with torch."""

from functools import partial

import numpy as np
import torch

from reprise.core.ratios import compare, peak_megabytes, write
from reprise.one_sided_completion import second_moment
from reprise.one_sided_completion.experiments.scaling import blocks
from reprise.one_sided_completion.objective import DenseObjective, PairObjective

DIMENSION, RANK = 2000, 10


def parts(entries):
    """Targets and weights of a moment of 20,000 rows."""
    moment = second_moment(next(blocks(20_000, DIMENSION, entries, 20_000, 0)))
    return moment, (moment.indptr, moment.indices, moment.pair_values, np.ones(len(moment.indices)))


def authors_step(target, mask, mass, factor, step):
    """A fixed step, and the objective after it, on full arrays: three products and seven passes over d × d numbers."""
    residual = (factor @ factor.T - target) * mask
    factor = factor - step * (2 / mass) * (residual @ factor)
    residual = factor @ factor.T - target
    return factor, (residual.square() * mask).sum() / (2 * mass)


def our_step(objective, factor, gradient, step):
    """The same: value and gradient at the new place come from one pass."""
    factor = factor - step * gradient
    return factor, *objective.value_and_gradient(factor)


def sparse_run():
    """Pairs alone, for memory: d = 20,000, of which 0.05 % of the pairs are seen."""
    moment = second_moment(next(blocks(20_000, 20_000, 3, 20_000, 0)))
    objective = PairObjective(moment.indptr, moment.indices, moment.pair_values, np.ones(len(moment.indices)))
    objective.value_and_gradient(np.ones((20_000, RANK)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    results = []
    for entries in (60, 10):
        moment, pieces = parts(entries)
        start = 0.1 * np.random.default_rng(0).random((DIMENSION, RANK))
        for precision in (np.float64, np.float32):
            target = torch.as_tensor(moment.to_dense().astype(precision))
            mask = torch.as_tensor((moment.counts.toarray() > 0).astype(precision))
            dense = moment.seen_fraction >= 0.35
            if not dense and precision == np.float32:
                continue  # pairs are in double precision alone
            objective = DenseObjective(*pieces, dtype=precision) if dense else PairObjective(*pieces)
            factor = objective.start(start)
            gradient = objective.value_and_gradient(factor)[1]
            peer_factor = torch.as_tensor(start.astype(precision))
            mass = float(mask.sum())
            one = our_step(objective, factor, gradient, 1.0)
            other = authors_step(target, mask, mass, peer_factor, 1.0)
            np.testing.assert_allclose(one[1], float(other[1]), rtol=1e-4)
            np.testing.assert_allclose(one[0], other[0].numpy(), rtol=1e-3, atol=1e-6)
            form = "dense" if dense else "pairs"
            results.append(
                compare(
                    f"step, {moment.seen_fraction:.0%} seen, {form}, {np.dtype(precision).name}",
                    partial(our_step, objective, factor, gradient, 1.0),
                    partial(authors_step, target, mask, mass, peer_factor, 1.0),
                    goal=2,
                    repeats=15,
                )
            )
    results.append(
        {"work": "d = 20,000 on pairs", "our_peak_mb": peak_megabytes(sparse_run), "dense_mb": 8 * 20_000**2 / 2**20}
    )
    print(results[-1])
    write(__file__, results, libraries=["numba", "scikit-learn", "torch"])
