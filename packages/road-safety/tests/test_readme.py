"""The README's code runs, and finds what it was given."""

import pytest


def test_readme(run_readme):
    names = run_readme()
    assert names["city"].num_edges == 4 and names["snapped"].rejected == 0
    assert names["ratio"].ratio == pytest.approx(1.2)
