from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprise.core import Context
from reprise.core.context import canonical

cells = st.dictionaries(st.text(min_size=1), st.one_of(st.integers(), st.floats(allow_nan=False), st.text()))


@settings(deadline=None)
@given(cells)
def test_seeds_depend_on_experiment_cell_and_base_seed_alone(cell):
    reordered = dict(reversed(cell.items()))
    one, same = Context("paper/a", cell, 7), Context("paper/a", reordered, 7)
    assert one.seed == same.seed
    assert one.generator.random() == same.generator.random()
    assert len({one.seed, Context("paper/b", cell, 7).seed, Context("paper/a", cell, 8).seed}) == 3


def test_cells_have_streams_of_their_own():
    draws = [Context("paper/a", {"trial": trial}).generator.standard_normal(2000) for trial in range(6)]
    assert all(abs(np.corrcoef(a, b)[0, 1]) < 0.1 for a, b in pairwise(draws))


def test_shared_seed_ignores_the_cell():
    one, other = Context("paper/a", {"alpha": 1}), Context("paper/a", {"alpha": 2})
    assert one.shared_seed("problem", 3) == other.shared_seed("problem", 3)
    assert one.shared_seed("problem", 3) != one.shared_seed("problem", 4)
    assert one.shared_seed("problem", 3) != one.shared_seed("start", 3)
    assert 0 <= one.shared_seed("problem", 3) < 2**32


def test_canonical_takes_numpy_scalars_and_refuses_the_rest():
    assert canonical({"b": np.float64(0.1), "a": np.int64(2)}) == '{"a":2,"b":0.1}'
    with pytest.raises(TypeError, match="expected JSON values, got object"):
        canonical(object())
