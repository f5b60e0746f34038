"""The second moment when rows are copies of k profiles plus noise: cluster the rows first (the authors' mixture-hajek).

Each coordinate then takes only k values: its observed values are cut at the k − 1 largest gaps, clusters of different
coordinates are linked by the rows that show both, and k-means on what is seen refines the labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from reprise.one_sided_completion.moment import SecondMoment, second_moment
from reprise.one_sided_completion.validation import as_ratings, integer

Array = np.ndarray[Any, Any]

OBSERVATIONS = 5  # per coordinate and profile, below which profiles cannot be told apart
GAP = 10  # a coordinate is trusted when its clusters are this many times farther apart than they are wide


@dataclass(frozen=True)
class Mixture:
    """Profiles found, and the moment that they make.

    Attributes
    ----------
    moment : SecondMoment
        Σ_c weight_c μ_c μ_cᵀ where all profiles were seen, with the diagonal of the plain estimate. No number of rows
        stands behind an entry: counts are 1.
    profiles : ndarray, shape (k, d)
        Means μ; NaN where a profile was not seen.
    weights : ndarray, shape (k,)
    labels : ndarray of int, shape (n,)
        Profile of each row, -1 for rows that show nothing.
    """

    moment: SecondMoment
    profiles: Array
    weights: Array
    labels: Array


def mixture_moment(ratings: Any, components: int, *, restarts: int = 5, max_iter: int = 100, seed: int = 0) -> Mixture:
    """Estimate the second moment of a mixture of `components` profiles.

    Parameters
    ----------
    ratings : scipy sparse array, shape (n, d)
    components : int
        k, at least 2.
    restarts : int
        Random starts of k-means beside the one from the gaps.
    max_iter : int
        Rounds of k-means per start.
    seed : int

    Returns
    -------
    Mixture

    Raises
    ------
    ValueError
        If there are fewer than five observations per coordinate and profile, or no start gives k profiles.

    Examples
    --------
    >>> from reprise.one_sided_completion import noisy_mixtures, sample
    >>> M = noisy_mixtures(2000, 20, 3, seed=0)
    >>> found = mixture_moment(sample(M, per_row=4, seed=1), 3)
    >>> T = M.T @ M / len(M)
    >>> bool(np.linalg.norm(found.moment.to_dense() - T) < 0.05 * np.linalg.norm(T))
    True
    """
    ratings = as_ratings(ratings)
    n, d = ratings.shape
    integer("components", components, minimum=2)
    each = ratings.nnz / (d * components)
    if each < OBSERVATIONS:
        raise ValueError(
            f"ratings must hold {OBSERVATIONS} observations per column and profile, got {each:.2f}: "
            f"with {components} profiles {OBSERVATIONS * d * components} entries are needed, there are {ratings.nnz}"
        )
    filled = np.flatnonzero(np.diff(ratings.indptr))
    seen = ratings[filled]
    generator = np.random.default_rng(seed)
    starts = [_labels_from_gaps(seen, components)]
    starts += [generator.permutation(np.arange(len(filled)) % components) for _ in range(restarts)]
    found = [_k_means(seen, start, components, max_iter) for start in starts if start is not None]
    complete = [result for result in found if (np.bincount(result[1], minlength=components) > 0).all()]
    if not complete:
        raise ValueError(f"components must be fewer than {components}: no start of k-means kept that many profiles")
    _, labels, profiles = min(complete, key=lambda result: result[0])
    weights = np.bincount(labels, minlength=components) / len(labels)
    all_labels = np.full(n, -1)
    all_labels[filled] = labels
    return Mixture(_assemble(ratings, profiles, weights), profiles, weights, all_labels)


def _labels_from_gaps(seen: sparse.csr_array, components: int) -> Array | None:
    """Label rows by cutting each column at its largest gaps and linking the pieces; None where this fails."""
    d = seen.shape[1]
    columns = sparse.csr_array((np.arange(seen.nnz), seen.indices, seen.indptr), shape=seen.shape).tocsc()
    node = np.full(seen.nnz, -1)  # of each entry, where its column is trusted
    for column in range(d):
        entries = columns.data[columns.indptr[column] : columns.indptr[column + 1]]
        if len(entries) < components:
            continue
        order = np.argsort(seen.data[entries], kind="stable")
        values = seen.data[entries][order]
        cuts = np.sort(np.argsort(np.diff(values))[-(components - 1) :] + 1)
        pieces = np.split(values, cuts)
        centres = np.array([piece.mean() for piece in pieces])
        width = np.sqrt(sum(((piece - piece.mean()) ** 2).sum() for piece in pieces) / len(values))
        if np.diff(centres).min() > GAP * max(width, np.finfo(float).eps * np.abs(values).max()):
            node[entries[order]] = column * components + np.repeat(range(components), [len(p) for p in pieces])
    rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    kept = node >= 0
    rows, node = rows[kept], node[kept]
    together = np.flatnonzero(np.diff(rows) == 0)
    edges = sparse.coo_array(
        (np.ones(len(together)), (node[together], node[together + 1])), shape=(d * components, d * components)
    )
    count, part = connected_components(edges, directed=False)
    sizes = np.bincount(part, minlength=count)
    largest = np.argsort(sizes)[-components:]
    if count < components or (sizes[largest] <= 1).any():
        return None
    named = np.full(count, -1)
    named[largest] = np.arange(components)
    label = named[part[node]]
    votes = np.zeros((seen.shape[0], components))
    np.add.at(votes, (rows[label >= 0], label[label >= 0]), 1)
    result: Array = votes.argmax(axis=1)
    unclear = (votes > 0).sum(axis=1) != 1
    result[unclear] = np.arange(unclear.sum()) % components
    return result


def _k_means(seen: sparse.csr_array, labels: Array, components: int, max_iter: int) -> tuple[float, Array, Array]:
    """Lloyd's algorithm on what is seen: mean squared distance per row, labels and profiles."""
    rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    lengths = np.diff(seen.indptr)
    loss, profiles = np.inf, np.empty((components, seen.shape[1]))
    for _ in range(max_iter):
        place = labels[rows] * seen.shape[1] + seen.indices
        size = components * seen.shape[1]
        with np.errstate(invalid="ignore"):
            flat = np.bincount(place, seen.data, size) / np.bincount(place, minlength=size)
        profiles = flat.reshape(components, -1)
        # A profile that was not seen there is compared with as zero, as the authors do.
        distances = np.nan_to_num(profiles).T[seen.indices]
        distances -= seen.data[:, None]
        distances **= 2
        per_row = np.add.reduceat(distances, seen.indptr[:-1], axis=0) / lengths[:, None]
        found = per_row.argmin(axis=1)
        loss = float(per_row[np.arange(len(found)), found].mean())
        if np.array_equal(found, labels):
            break
        labels = found
    return loss, labels, profiles


def _assemble(ratings: sparse.csr_array, profiles: Array, weights: Array) -> SecondMoment:
    plain = second_moment(ratings)
    d = plain.dimension
    diagonal = np.full(d, np.nan)
    on = plain.pair_rows == plain.indices
    diagonal[plain.indices[on]] = plain.pair_values[on]
    values = (profiles.T * weights) @ profiles
    np.fill_diagonal(values, diagonal)
    rows, columns = np.nonzero(np.triu(np.isfinite(values)))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=d))])
    pair_values = values[rows, columns]
    return SecondMoment(plain.rows, indptr, columns.astype(np.int32), np.ones(len(rows)), pair_values, pair_values**2)
