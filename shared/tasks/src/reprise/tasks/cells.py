"""Independent pieces of work, cells, on the cores of one machine or on a Dask cluster, through joblib.

A cell's randomness comes from a seed of its own, made from the base seed and the cell's content, so that the order, the
number of workers and the machine they run on never change a number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any, TypeVar

import joblib
import numpy as np
import numpy.typing as npt

from reprise.tasks import _checks
from reprise.tasks.features import TaskFeatures
from reprise.tasks.fits import SubsetFits, fit_logistic
from reprise.tasks.scores import linearised_scores
from reprise.tasks.statistics import TaskStatistics, logistic_statistics
from reprise.tasks.subsets import Subsets

Cell = TypeVar("Cell")
Result = TypeVar("Result")


def map_cells(
    function: Callable[[Cell], Result],
    cells: Iterable[Cell],
    *,
    workers: int = 1,
    dask: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Apply a function to every cell and return the results in the cells' order.

    Parameters
    ----------
    function : callable
        Picklable (cloudpickle: lambdas and closures too) unless `workers` is 1 without `dask`.
    cells : iterable
        What it is applied to.
    workers : int
        Processes on this machine; 1 runs in this one.
    dask : dask.distributed.Client or str, optional
        A client, or the address of a scheduler such as "tcp://host:8786": cells then run on its workers, and `workers`
        is not used. Needs the extra ``dask``.
    progress : callable, optional
        ``progress(done, total)`` after each result.

    Returns
    -------
    list

    Raises
    ------
    ModuleNotFoundError
        If `dask` is given and dask.distributed isn't installed.

    Examples
    --------
    >>> map_cells(abs, [-1, 2, -3])
    [1, 2, 3]
    """
    todo = list(cells)
    workers = _checks.integer("workers", workers)
    results: list[Result] = []
    with _backend(workers, dask):
        for result in joblib.Parallel(return_as="generator")(joblib.delayed(function)(cell) for cell in todo):
            results.append(result)
            if progress is not None:
                progress(len(results), len(todo))
    return results


def measure_subsets(
    train: Callable[[tuple[Hashable, ...], int], Mapping[Hashable, float]],
    subsets: Subsets,
    *,
    seed: int = 0,
    workers: int = 1,
    dask: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float64]:
    """Outcomes of really training on each subset: the reference that estimates are compared with.

    Parameters
    ----------
    train : callable
        ``train(names, seed)`` returns the score of (at least) each task in `names`, higher is better. The seed is made
        from the base seed and the subset, and is the same wherever the subset stands in the collection.
    subsets : Subsets
        What to train on.
    seed : int
        Base of the subsets' seeds.
    workers, dask, progress
        As in `map_cells`.

    Returns
    -------
    float64 array, shape (m, n)
        NaN for tasks outside of a subset that `train` gave no score for.

    Raises
    ------
    ValueError
        If a member's score is missing or not finite: the message names task and subset.

    Examples
    --------
    >>> measure_subsets(lambda names, seed: {name: len(names) for name in names}, given_subsets(3, [(0, 1), (2,)]))
    array([[ 2.,  2., nan],
           [nan, nan,  1.]])
    """
    _checks.integer("seed", seed, minimum=0)
    cells = [
        (names, int(np.random.SeedSequence([seed, *map(int, row)]).generate_state(1)[0]))
        for names, row in zip(subsets, subsets.members)
    ]
    outcomes = np.full(subsets.members.shape, np.nan)
    for index, scores in enumerate(
        map_cells(lambda cell: dict(train(*cell)), cells, workers=workers, dask=dask, progress=progress)
    ):
        for column, name in enumerate(subsets.tasks):
            outcomes[index, column] = scores.get(name, np.nan)
            if subsets.members[index, column] and not np.isfinite(outcomes[index, column]):
                raise ValueError(
                    f"train must return a finite score for task {name!r} of subset {subsets.names(index)}, "
                    f"got {scores.get(name)}"
                )
    return outcomes


def estimate_subsets(
    tasks: Mapping[Hashable, TaskFeatures],
    subsets: Subsets,
    *,
    ridge: float,
    reduction: str = "mean",
    intercept: bool = False,
    exact: bool = True,
    score: str = "logistic",
    validation: Mapping[Hashable, TaskFeatures] | None = None,
    workers: int = 1,
    dask: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float64]:
    """Outcomes of adapting to each subset, estimated by logistic regression on gradient features.

    Parameters
    ----------
    tasks : mapping from names to TaskFeatures
        What is fitted.
    subsets : Subsets
        Of the same names.
    ridge, reduction, intercept, exact
        As in `fit_logistic`.
    score : {"logistic", "accuracy"}
        As in `linearised_scores`.
    validation : mapping from names to TaskFeatures, optional
        Held-out predictions of the same tasks to score on; default: those fitted.
    workers, dask, progress
        As in `map_cells`; a cell is a part of the subsets.

    Returns
    -------
    float64 array, shape (m, n)
        Score of each member, higher is better; NaN outside of the subset.

    Raises
    ------
    ValueError
        As `fit_logistic` and `linearised_scores` do.
    RuntimeError
        If a fit doesn't converge.

    Examples
    --------
    >>> tasks = {name: TaskFeatures(torch.eye(2)) for name in "ab"}
    >>> estimate_subsets(tasks, all_pairs(["a", "b"]), ridge=1.0).round(3)
    array([[-0.588, -0.588]])
    """
    _checks.choice("score", score, ("logistic", "accuracy"))
    statistics: TaskStatistics = logistic_statistics(tasks, intercept=intercept)

    def outcomes(part: Subsets) -> npt.NDArray[np.float64]:
        fits: SubsetFits = fit_logistic(
            tasks, part, ridge=ridge, reduction=reduction, intercept=intercept, exact=exact, statistics=statistics
        )
        return linearised_scores(fits, tasks if validation is None else validation, score=score)

    # A few parts for each worker and no more: each of them goes through the predictions of all tasks.
    size = max(64, -(-len(subsets) // (4 * max(1, workers))))
    parts = [subsets.select(slice(start, start + size)) for start in range(0, len(subsets), size)]
    return np.concatenate(map_cells(outcomes, parts, workers=workers, dask=dask, progress=progress))


@contextmanager
def _backend(workers: int, dask: Any) -> Iterator[None]:
    """Tell joblib where cells run; a client is opened for an address, one that was given stays open."""
    if dask is None:
        with joblib.parallel_config(n_jobs=workers):
            yield
        return
    try:
        distributed: Any = import_module("distributed")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("dask needs dask.distributed: install reprise-tasks[dask]") from error
    connection = distributed.Client(dask, set_as_default=False) if isinstance(dask, str) else nullcontext(dask)
    with connection as client, joblib.parallel_config(backend="dask", client=client, n_jobs=-1):
        yield
