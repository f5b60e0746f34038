import numpy as np


def test_the_readme_code_learns_the_moment_and_predicts(run_readme):
    names = run_readme()
    M, model = names["M"], names["model"]
    truth = M.T @ M / len(M)
    assert np.linalg.norm(model.moment_ - truth) < 0.1 * np.linalg.norm(truth)
    predicted = model.predict(np.repeat(np.arange(100), 60), np.tile(np.arange(60), 100))
    assert np.linalg.norm(predicted - M[:100].ravel()) < 0.1 * np.linalg.norm(M[:100])
