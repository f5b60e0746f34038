"""The public names and the README."""

import reprise.hvp


def test_public_names_are_there_and_documented():
    assert all(getattr(reprise.hvp, name).__doc__ for name in reprise.hvp.__all__)


def test_readme_runs(run_readme):
    names = run_readme()
    assert names["f"].dense().tolist() == [[1.0, 0.0], [0.0, 4.0]]
    assert [row["step"] for row in names["watcher"].rows][:1] == [2.0]
