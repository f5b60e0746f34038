"""The estimate on MovieLens-100K and on 10⁷ synthetic ratings, beside a dictionary, pandas, scikit-learn and scipy."""

from functools import partial

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.utils.extmath import safe_sparse_dot

from reprise.core import MissingData
from reprise.core.ratios import compare, write
from reprise.one_sided_completion import load_ratings, second_moment, second_moment_from
from reprise.one_sided_completion.experiments.movielens import DATA
from reprise.one_sided_completion.experiments.scaling import blocks


def by_dictionary(ratings):
    """The authors' way: sparse products in torch, then a loop over entries of one and a dictionary of the other."""
    table = ratings.tocoo()
    shape, where = ratings.shape, torch.as_tensor(np.stack([table.row, table.col]).astype(np.int64))
    seen = torch.sparse_coo_tensor(where, torch.as_tensor(table.data), shape).coalesce()
    mask = torch.sparse_coo_tensor(where, torch.ones(ratings.nnz, dtype=torch.float64), shape).coalesce()
    sums = torch.sparse.mm(seen.T, seen).coalesce()
    counts = torch.sparse.mm(mask.T, mask).coalesce()
    of_pair = {(i.item(), j.item()): count.item() for (i, j), count in zip(counts.indices().T, counts.values())}
    places, values = sums.indices(), sums.values()
    found = []
    for entry in range(places.shape[1]):
        pair = places[0, entry].item(), places[1, entry].item()
        count = of_pair.get(pair, 0.0)
        found.append(values[entry].item() / count if count else 0.0)
    return torch.sparse_coo_tensor(places, torch.tensor(found), sums.shape)


def by_python(ratings):
    """The same loop and dictionary on plain lists, which is much faster than on tensors."""
    mask = sparse.csr_array((np.ones(ratings.nnz), ratings.indices, ratings.indptr), shape=ratings.shape)
    sums, counts = (ratings.T @ ratings).tocoo(), (mask.T @ mask).tocoo()
    of_pair = {(i, j): c for i, j, c in zip(counts.row.tolist(), counts.col.tolist(), counts.data.tolist())}
    found = []
    for i, j, total in zip(sums.row.tolist(), sums.col.tolist(), sums.data.tolist()):
        count = of_pair.get((i, j), 0.0)
        found.append(total / count if count else 0.0)
    return sparse.coo_array((found, (sums.row, sums.col)), shape=sums.shape)


def by_pandas(ratings):
    """Join the table with itself on users, and group by pair."""
    table = ratings.tocoo()
    frame = pd.DataFrame({"user": table.row, "item": table.col, "rating": table.data})
    pairs = frame.merge(frame, on="user")
    pairs = pairs[pairs["item_x"] <= pairs["item_y"]]
    product = pairs["rating_x"] * pairs["rating_y"]
    return product.groupby([pairs["item_x"], pairs["item_y"]]).agg(["sum", "count"])


def by_scipy(ratings):
    """Products OᵀO and IᵀI, and their quotient."""
    mask = sparse.csr_array((np.ones(ratings.nnz), ratings.indices, ratings.indptr), shape=ratings.shape)
    sums, counts = ratings.T @ ratings, mask.T @ mask
    sums.sort_indices()
    counts.sort_indices()
    sums.data /= counts.data
    return sums


def by_scikit_learn(ratings):
    """Dense products, as its pairwise metrics make them."""
    mask = sparse.csr_array((np.ones(ratings.nnz), ratings.indices, ratings.indptr), shape=ratings.shape)
    sums = safe_sparse_dot(ratings.T, ratings, dense_output=True)
    counts = safe_sparse_dot(mask.T, mask, dense_output=True)
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)


def real():
    """MovieLens-100K."""
    return load_ratings(DATA["100k"].find() / "u.data").matrix


def synthetic(rows=1_000_000):
    """10 ratings of 1,000 items in each row."""
    return next(blocks(rows, 1000, 10, rows, 0))


def streamed(rows):
    """The same in blocks of 50,000 rows, none of which is kept."""
    return second_moment_from(blocks(rows, 1000, 10, 50_000, 0))


if __name__ == "__main__":
    torch.set_num_threads(1)
    results = []
    second_moment(synthetic(1000))
    try:
        ratings = real()
    except MissingData as missing:
        print(missing)
    else:
        truth = by_scipy(ratings)
        np.testing.assert_allclose(second_moment(ratings).values.data, truth.data, rtol=1e-12)
        ours = partial(second_moment, ratings)
        name = "MovieLens-100K"
        results += [
            compare(
                f"{name} against the authors' dictionary", ours, partial(by_dictionary, ratings), goal=100, repeats=3
            ),
            compare(f"{name} against the same on lists", ours, partial(by_python, ratings), repeats=3),
            compare(f"{name} against pandas", ours, partial(by_pandas, ratings), goal=5, repeats=3),
            compare(f"{name} against scikit-learn", ours, partial(by_scikit_learn, ratings), goal=5),
            compare(f"{name} against scipy", ours, partial(by_scipy, ratings)),
        ]
    ratings = synthetic()
    np.testing.assert_allclose(second_moment(ratings).values.data, by_scipy(ratings).data, rtol=1e-9)
    ours = partial(second_moment, ratings)
    name = "10⁷ ratings, 10 per row"
    results += [
        compare(f"{name} against scikit-learn", ours, partial(by_scikit_learn, ratings), goal=5, repeats=3),
        compare(f"{name} against scipy", ours, partial(by_scipy, ratings), repeats=3),
    ]
    tenth = synthetic(100_000)
    results.append(
        compare(
            "10⁶ ratings, 10 per row against pandas",
            partial(second_moment, tenth),
            partial(by_pandas, tenth),
            goal=5,
            repeats=3,
        )
    )
    write(__file__, results, libraries=["numba", "pandas", "scikit-learn"])
