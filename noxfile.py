"""Sessions of the workspace; one set per folder under shared/ and packages/, found by looking.

`uvx nox` runs lint, types, layout and every package's tests, each in an environment that holds that package
and what it declares, installed as a built wheel.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

ROOT = Path(__file__).parent
MEMBERS = {
    f"reprise-{path.parent.name}": path.parent
    for folder in ("shared", "packages")
    for path in sorted((ROOT / folder).glob("*/pyproject.toml"))
}
PAPERS = {name: path for name, path in MEMBERS.items() if path.parent.name == "packages"}

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "layout", *(f"test-{path.name}" for path in MEMBERS.values())]


def sync(session: nox.Session, *arguments: str, editable: bool = False) -> None:
    """Make the session's environment exactly what uv resolves for `arguments`; members are built anew as wheels."""
    rebuilt = [flag for name in MEMBERS for flag in ("--reinstall-package", name)]
    session.run_install(
        "uv",
        "sync",
        "--quiet",
        *([] if editable else ["--no-editable", *rebuilt]),
        *arguments,
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy: strict in shared/, ordinary in packages/."""
    sync(session, "--all-packages", "--all-extras", "--group", "types")
    sources = [str(path.relative_to(ROOT) / "src") for path in MEMBERS.values()]
    session.run("mypy", *sources, env={"MYPYPATH": os.pathsep.join(sources)})


@nox.session
def layout(session: nox.Session) -> None:
    """Check the form of every package and who may import whom."""
    sync(session, "--only-group", "layout")
    session.run("pytest", "tests", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Write the API pages of every package to site/."""
    sync(session, "--all-packages", "--all-extras", "--group", "docs")
    modules = [f"reprise.{path.name.replace('-', '_')}" for path in MEMBERS.values()]
    session.run("python", ".ci/docs.py", *modules)


@nox.session
def lock(session: nox.Session) -> None:
    """Prove that requirements.lock is what uv resolves; `nox -s lock -- --write` renews it."""
    exported = session.run(
        "uv",
        "export",
        "--quiet",
        "--all-packages",
        "--all-extras",
        "--all-groups",
        "--no-emit-workspace",
        "--no-header",
        external=True,
        silent=True,
    )
    recorded = ROOT / "requirements.lock"
    if "--write" in session.posargs:
        recorded.write_text(exported)
    elif not recorded.exists() or recorded.read_text() != exported:
        session.error("requirements.lock differs from what uv resolves: run `nox -s lock -- --write` and commit it")


def _add_test(name: str, path: Path) -> None:
    def test(session: nox.Session) -> None:
        sync(session, "--package", name, "--no-dev", "--group", "test")
        session.run("pytest", f"{path.relative_to(ROOT)}/tests", *session.posargs)

    test.__doc__ = f"Test {name} alone, against its built wheel."
    nox.session(test, name=f"test-{path.name}")


def _add_minimums(name: str, path: Path) -> None:
    def minimums(session: nox.Session) -> None:
        requirements = session.create_tmp() + "/minimums.txt"
        relative = str(path.relative_to(ROOT))
        session.run_install(
            *("uv", "pip", "compile", "--quiet", "--resolution", "lowest-direct"),
            *("--group", f"{relative}/pyproject.toml:test", f"{relative}/pyproject.toml"),
            *("--output-file", requirements),
        )
        session.install("--requirement", requirements)
        session.install("--no-deps", "--reinstall", f"./{relative}")
        session.run("pytest", f"{relative}/tests", *session.posargs)

    minimums.__doc__ = f"Test {name} with the lowest versions that it allows."
    nox.session(minimums, name=f"minimums-{path.name}")


def _add_bench(name: str, path: Path) -> None:
    def bench(session: nox.Session) -> None:
        sync(session, "--package", name, "--no-dev", "--all-extras", "--all-groups")
        for script in sorted((path / "benchmarks").glob("bench_*.py")):
            session.run("python", str(script.relative_to(ROOT)), *session.posargs)

    bench.__doc__ = f"Measure {name} beside its peers."
    nox.session(bench, name=f"bench-{path.name}")


def _add_reproduce(name: str, path: Path) -> None:
    def reproduce(session: nox.Session) -> None:
        # From the checkout, so that the records name its commit.
        sync(session, "--package", name, "--no-dev", "--all-extras", editable=True)
        results = str(path.relative_to(ROOT) / "results")
        session.run("reprise", "run", path.name, "--out", results, "--fresh", *session.posargs, success_codes=[0, 1])
        session.run("reprise", "readme", str(path.relative_to(ROOT) / "README.md"), results)

    reproduce.__doc__ = f"Run every experiment of {name} and renew its recorded results."
    nox.session(reproduce, name=f"reproduce-{path.name}")


for _name, _path in MEMBERS.items():
    _add_test(_name, _path)
    _add_minimums(_name, _path)
    if (_path / "benchmarks").is_dir():
        _add_bench(_name, _path)
for _name, _path in PAPERS.items():
    _add_reproduce(_name, _path)
