"""Recovery of rows by ridge regression, beside a loop that solves row after row as the authors' program does."""

from functools import partial

import numpy as np

from reprise.core.ratios import compare, write
from reprise.one_sided_completion import recover_rows
from reprise.one_sided_completion.experiments.scaling import blocks


def by_loop(factor, ratings, ridge):
    """Normal equations and a least-squares call for each row."""
    rows = np.zeros((ratings.shape[0], factor.shape[1]))
    for k in range(len(rows)):
        seen = slice(ratings.indptr[k], ratings.indptr[k + 1])
        part, target = factor[ratings.indices[seen]], ratings.data[seen]
        rows[k] = np.linalg.lstsq(part.T @ part + ridge * np.eye(factor.shape[1]), part.T @ target, rcond=None)[0]
    return rows


if __name__ == "__main__":
    factor = np.random.default_rng(0).standard_normal((1000, 10))
    results = []
    for entries, repeats in ((10, 3), (100, 3)):
        ratings = next(blocks(100_000, 1000, entries, 100_000, 0))
        np.testing.assert_allclose(
            recover_rows(factor, ratings[:100], ridge=0.1), by_loop(factor, ratings[:100], 0.1), atol=1e-6
        )
        results.append(
            compare(
                f"100,000 rows of {entries} entries",
                partial(recover_rows, factor, ratings, ridge=0.1),
                partial(by_loop, factor, ratings, 0.1),
                goal=50,
                repeats=repeats,
            )
        )
    write(__file__, results, libraries=["numba"])
