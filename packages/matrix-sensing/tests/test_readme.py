import numpy as np


def test_the_readme_code_recovers_the_matrix(run_readme):
    names = run_readme()
    assert np.linalg.norm(names["model"].matrix_ - names["X"]) < 1e-3 * np.linalg.norm(names["X"])
    assert names["model"].rank_ == 3
