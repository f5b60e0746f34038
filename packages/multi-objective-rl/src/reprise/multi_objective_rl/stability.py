"""How sure groups are: estimates again and again under random weights of subsets and of transitions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from reprise.multi_objective_rl.estimation import PolicyGradEx
from reprise.multi_objective_rl.ppo import Progress
from reprise.multi_objective_rl.validation import numpy_generator, one_of, whole_number
from reprise.tasks import Stability, TaskFeatures, affinity_matrix, fit_logistic, linearised_scores, stability


def stability_report(
    estimate: PolicyGradEx,
    *,
    ks: Sequence[int] | None = None,
    samples: int = 20,
    over: str = "both",
    generator: np.random.Generator | int = 0,
    progress: Progress | None = None,
) -> Stability:
    """Co-clustering probabilities under the Bayesian bootstrap, and the number of groups that they suggest.

    Parameters
    ----------
    estimate : PolicyGradEx
        Fitted, with ``score="loss"``.
    ks : sequence of int, optional
        Numbers of groups to try, as in `reprise.tasks.stability`.
    samples : int
        Bootstrap affinities.
    over : {"both", "subsets", "transitions"}
        What is reweighted: subsets, in the means of the affinity; transitions, in every fit and score, by independent
        Exp(1) weights; or both.
    generator : numpy.random.Generator or int
    progress : callable, optional

    Returns
    -------
    reprise.tasks.Stability
        ``co_clustering[k]``, ``suggested_k``, ``interval(k)``.

    Notes
    -----
    Transitions follow one another, so that their bootstrap understates the spread over rollouts.
    """
    one_of("over", over, ("both", "subsets", "transitions"))
    if estimate.score != "loss":
        raise ValueError(f'estimate must have score="loss", got score={estimate.score!r}: returns are not reweighted')
    samples = whole_number("samples", samples)
    generator = numpy_generator(generator)
    if over == "subsets":
        seed = int(generator.integers(2**31))
        return stability(estimate.affinity_, ks=ks, samples=samples, seed=seed, progress=progress)
    matrices = []
    for sample in range(samples):
        features: dict[Hashable, TaskFeatures] = {
            name: _reweighted(task, generator) for name, task in estimate.features_.items()
        }
        subsets = estimate.affinity_.subsets
        fits = fit_logistic(features, subsets, ridge=2 * estimate.ridge, exact=estimate.exact)
        affinity = affinity_matrix(linearised_scores(fits, features), subsets, target=estimate.target)
        seed = int(generator.integers(2**31))
        matrices.append(affinity.bootstrap(1, seed=seed)[0] if over == "both" else affinity.matrix)
        if progress is not None:
            progress(sample + 1, samples)
    return stability(estimate.affinity_, ks=ks, matrices=np.stack(matrices))


def _reweighted(task: TaskFeatures, generator: np.random.Generator) -> TaskFeatures:
    drawn = generator.standard_exponential(len(task))
    weights = task.weights * task.weights.new_tensor(drawn / drawn.mean())
    return replace(task, weights=weights)
