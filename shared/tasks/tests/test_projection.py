import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from reprise.tasks import RandomProjection
from reprise.tasks.philox import philox

KINDS = ["rademacher", "gaussian"]


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # published with Philox4x32-10: zeros, ones, digits of π
        ([0] * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_published_words(counter, key, words):
    assert philox(tuple(torch.tensor(word) for word in counter), key).tolist() == words


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 300), dim=st.integers(1, 300), cut=st.floats(0, 1), seed=st.integers(0, 2**64 - 1))
def test_a_block_does_not_depend_on_where_it_is_cut(kind, rows, dim, cut, seed):
    projection = RandomProjection(rows, dim, seed, kind)
    middle = int(cut * rows)
    whole = projection.block(0, rows)
    assert torch.equal(torch.cat((projection.block(0, middle), projection.block(middle, rows))), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_project_and_lift_equal_products_with_the_dense_matrix(kind, monkeypatch):
    monkeypatch.setattr("reprise.tasks.projection._BLOCK_ENTRIES", 1000)
    projection = RandomProjection(rows=321, dim=17, seed=5, kind=kind)
    dense = projection.block(0, 321, dtype=torch.float64)
    vectors = torch.randn(4, 321, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    coefficients = torch.randn(3, 17, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(projection.project(vectors), vectors @ dense)
    pieces = projection.project(vectors[:, :100]) + projection.project(vectors[:, 100:], start=100)
    torch.testing.assert_close(pieces, vectors @ dense)
    torch.testing.assert_close(projection.lift(coefficients), coefficients @ dense.T)
    torch.testing.assert_close(projection.lift(coefficients, start=50, stop=60), coefficients @ dense[50:60].T)


def test_rademacher_entries_are_balanced_independent_signs():
    entries = RandomProjection(2000, 200, seed=3).block(0, 2000, dtype=torch.float64).numpy() * 200**0.5
    assert set(np.unique(np.round(entries, 12))) == {-1.0, 1.0}
    # means of N independent signs have standard deviation 1/√N; 5 of them
    assert abs(entries.mean()) < 5 / 400_000**0.5
    for lagged in (entries[1:] * entries[:-1], entries[:, 1:] * entries[:, :-1]):
        assert abs(lagged.mean()) < 5 / lagged.size**0.5
    assert np.abs(entries.mean(axis=0)).max() < 5 / 2000**0.5


def test_gaussian_entries_pass_a_test_of_normality():
    entries = RandomProjection(1000, 200, seed=4, kind="gaussian").block(0, 1000, dtype=torch.float64).numpy()
    assert kstest(entries.ravel() * 200**0.5, "norm").pvalue > 1e-3
    assert abs((entries[1:] * entries[:-1]).mean() * 200) < 5 / entries.size**0.5


@pytest.mark.parametrize("kind", KINDS)
def test_inner_products_survive(kind):
    projection = RandomProjection(rows=20_000, dim=400, seed=0, kind=kind)
    vectors = torch.nn.functional.normalize(torch.randn(20, 20_000, generator=torch.Generator().manual_seed(0)))
    error = projection.project(vectors) @ projection.project(vectors).T - vectors @ vectors.T
    # each error has standard deviation at most √(2/400) = 0.07; the largest of 210 stays below 5 of them
    assert error.abs().max() < 0.36


@pytest.mark.parametrize("kind", KINDS)
def test_different_seeds_and_rows_give_unrelated_matrices(kind):
    blocks = [RandomProjection(500, 100, seed, kind).block(0, 500) for seed in (0, 1, 2**32)]
    blocks.append(RandomProjection(10**12, 100, 0, kind).block(2**32, 2**32 + 500))
    for first in range(4):
        for second in range(first):
            overlap = (blocks[first] * blocks[second]).sum() * 100 / 50_000
            assert abs(overlap) < 5 / 50_000**0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_cpu_and_gpu_give_the_same_bits(kind):
    projection = RandomProjection(10_000, 400, seed=7, kind=kind)
    assert torch.equal(projection.block(0, 10_000), projection.block(0, 10_000, device="cuda").cpu())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": 0, "dim": 2}, "rows must be >= 1"),
        ({"rows": 2, "dim": 2, "seed": -1}, "seed must be between 0"),
        ({"rows": 2, "dim": 2, "kind": "sparse"}, "kind must be one of 'rademacher', 'gaussian', got 'sparse'"),
    ],
)
def test_bad_projections_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomProjection(**arguments)


def test_vectors_that_do_not_fit_are_refused():
    projection = RandomProjection(10, 3)
    with pytest.raises(ValueError, match="within the 10 rows of P, got 5 to 15"):
        projection.project(torch.zeros(10), start=5)
    with pytest.raises(ValueError, match=r"shape \(..., 3\)"):
        projection.lift(torch.zeros(4))
    with pytest.raises(TypeError, match="floating point"):
        projection.project(torch.zeros(10, dtype=torch.int64))
