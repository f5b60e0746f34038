import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprise.tasks import Subsets, all_pairs, given_subsets, random_subsets


@settings(deadline=None)
@given(n=st.integers(2, 14), size=st.integers(2, 6), count=st.integers(1, 40), seed=st.integers(0, 1000))
def test_random_subsets_are_different_of_one_size_and_cover_every_pair(n, size, count, seed):
    size = min(size, n)
    subsets = random_subsets(n, count=count, size=size, seed=seed)
    assert len(set(subsets)) == len(subsets) == min(count, math.comb(n, size)) + subsets.added
    assert (subsets.members.sum(axis=1) == size).all()
    assert subsets.coverage == 1.0 and subsets.uncovered == []


def test_the_same_seed_gives_the_same_subsets_and_another_gives_others():
    draws = [list(random_subsets(30, count=20, size=4, seed=seed)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_members_are_drawn_uniformly():
    members = random_subsets(40, count=4000, size=4, seed=0, cover=False).members
    # 4000 draws of 4 out of 40: each task is in 400 subsets, with standard deviation 19
    assert np.abs(members.sum(axis=0) - 400).max() < 5 * 19


def test_without_covering_the_missing_pairs_are_named():
    subsets = random_subsets(list("abcd"), count=1, size=2, seed=0, cover=False)
    assert len(subsets) == 1 and subsets.added == 0
    assert subsets.coverage == pytest.approx(1 / 6)
    assert set(subsets.uncovered) == set(itertools.combinations("abcd", 2)) - {subsets.names(0)}


def test_pair_counts_equal_a_direct_count():
    subsets = random_subsets(7, count=12, size=3, seed=3)
    for i, j in itertools.product(range(7), repeat=2):
        assert subsets.counts[i, j] == sum(i in subset and j in subset for subset in subsets)


def test_all_pairs_and_given_subsets_keep_names_and_order():
    assert list(all_pairs(["x", "y", "z"])) == [("x", "y"), ("x", "z"), ("y", "z")]
    mine = given_subsets(["x", "y", "z"], [("z",), ("y", "x")])
    assert list(mine) == [("z",), ("x", "y")]
    assert list(mine.select([1])) == [("x", "y")]
    assert isinstance(mine, Subsets)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random_subsets(1), "tasks must be at least two, got 1"),
        (lambda: random_subsets(["a", "a", "b"]), "more than once: 'a'"),
        (lambda: random_subsets(5, size=6), "size must be between 1 and 5, got 6"),
        (lambda: random_subsets(5, size=1), "size must be at least 2 to cover pairs"),
        (lambda: random_subsets(5, count=0), "count must be >= 1, got 0"),
        (lambda: given_subsets(["a", "b"], [("a",), ("a", "c")]), r"subset 1 holds unknown tasks \['c'\]"),
        (lambda: given_subsets(["a", "b"], [()]), "subset 0 must hold at least one task"),
        (lambda: given_subsets(["a", "b"], [("a", "a")]), "none twice"),
        (lambda: given_subsets(["a", "b"], []), "at least one subset, got none"),
    ],
)
def test_bad_tasks_and_subsets_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_string_of_tasks_is_refused():
    with pytest.raises(TypeError, match="got the string 'abc'"):
        random_subsets("abc")
