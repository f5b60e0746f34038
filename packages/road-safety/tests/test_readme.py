"""The README's code runs."""

from pathlib import Path


def test_readme(run_readme):
    run_readme(Path(__file__).parents[1] / "README.md")
