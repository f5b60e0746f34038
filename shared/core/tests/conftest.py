"""A paper made for the tests, and the command run as a user runs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOY = Path(__file__).parent / "toy_paper"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment of a process in which the toy paper is installed; bytecode is kept, imports take seconds else."""
    return {**os.environ, "PYTHONPATH": str(TOY), "PYTHONDONTWRITEBYTECODE": "", "COLUMNS": "120"}


@pytest.fixture
def command(tmp_path: Path, environment: dict[str, str]) -> Command:
    """Run ``reprise`` in an empty folder, to its end."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "reprise.core", *arguments],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Start ``reprise`` in the same folder and let it run, in a process group of its own."""

    def run(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "reprise.core", *arguments],
            cwd=tmp_path,
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Where the tests themselves run in the background, they and what they start would not hear of Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A folder in which the toy paper was run, and nothing disturbed it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    arguments = ("run", "toy/powers", "--workers", "1")
    subprocess.run([sys.executable, "-m", "reprise.core", *arguments], cwd=folder, env=environment, capture_output=True)
    return folder


@pytest.fixture
def recorded(tmp_path: Path, undisturbed: Path) -> Path:
    """The results of that run in the test's own folder, to be damaged."""
    return shutil.copytree(undisturbed / "results", tmp_path / "results")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch):
    """The toy paper in this process."""
    from reprise.core import registry

    monkeypatch.syspath_prepend(str(TOY))
    registry._entry_points.cache_clear()
    yield registry.paper("toy")
    registry._entry_points.cache_clear()
    for name in [name for name in sys.modules if name.startswith("reprise.toy")]:
        del sys.modules[name]
