"""The form of every package, and who may import whom; looks at what lies in shared/ and packages/ now."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SHARED = sorted(path.parent for path in ROOT.glob("shared/*/pyproject.toml"))
PAPERS = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
NO_UTILITY = {"utils.py", "helpers.py", "common.py", "misc.py"}

members = pytest.mark.parametrize("member", [*SHARED, *PAPERS], ids=lambda path: path.name)
papers = pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)


def module(member: Path) -> str:
    return member.name.replace("-", "_")


def project(member: Path) -> dict:
    return tomllib.loads((member / "pyproject.toml").read_text(encoding="utf-8"))


def imports(file: Path) -> set[str]:
    """Return the absolute names of all modules that a file imports, anywhere in it."""
    inside = file.parts[file.parts.index("src") + 1 : -1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = list(inside[: len(inside) - node.level + 1]) if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            found |= {base} if node.module else {f"{base}.{alias.name}" for alias in node.names}
    return found


def experiments(paper: Path) -> list[str]:
    """Return the names that a paper declares, in order."""
    text = (paper / "src/reprise" / module(paper) / "paper.py").read_text(encoding="utf-8")
    slug, *names = re.findall(r'"([a-z0-9-]+)"', text.partition("Paper(")[2])
    assert slug == paper.name and names
    return names


def allowed(file: Path, member: Path) -> set[str]:
    """Return which of our packages a file may import."""
    own = module(member)
    if member in SHARED:
        return {own}
    inside = file.relative_to(member / "src/reprise" / own).parts
    if inside[0] in ("experiments", "paper.py", "command.py"):
        return {own, "core", "hvp", "tasks"}
    return {own, "hvp", "tasks"}


@members
def test_nobody_imports_what_they_may_not_know(member):
    for file in (member / "src").rglob("*.py"):
        known = {name.split(".")[1] for name in imports(file) if name.startswith("reprise.")}
        assert known <= allowed(file, member), file
        assert "reprise" not in imports(file), f"{file} imports the bare namespace"


@papers
def test_methods_do_not_import_experiments(paper):
    package = paper / "src/reprise" / module(paper)
    for file in package.rglob("*.py"):
        if file.relative_to(package).parts[0] not in ("experiments", "paper.py", "command.py"):
            assert not any(".experiments" in name for name in imports(file)), file


@members
def test_what_is_imported_is_declared(member):
    declared = project(member)["project"]
    names = {Requirement(text).name for text in declared["dependencies"]}
    names |= {Requirement(text).name for extra in declared.get("optional-dependencies", {}).values() for text in extra}
    for file in (member / "src").rglob("*.py"):
        ours = {name.split(".")[1] for name in imports(file) if name.startswith("reprise.")} - {module(member)}
        assert {f"reprise-{name}" for name in ours} <= names, file
        if "torch" not in names:
            assert not any(name.split(".")[0] == "torch" for name in imports(file)), file


def test_namespace_has_no_init():
    assert not list(ROOT.glob("*/*/src/reprise/__init__.py"))


@members
def test_member_has_the_form_of_the_house(member):
    declared = project(member)
    assert declared["project"]["name"] == f"reprise-{member.name}"
    assert declared["tool"]["uv"]["build-backend"] == {"module-name": f"reprise.{module(member)}", "namespace": True}
    assert any(Requirement(text).name == "pytest" for text in declared["dependency-groups"]["test"])
    assert len((member / "README.md").read_text(encoding="utf-8").splitlines()) > 10
    package = member / "src/reprise" / module(member)
    assert (package / "py.typed").exists()
    for file in package.rglob("*.py"):
        assert file.name not in NO_UTILITY, file
        assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), f"{file} does not say what it is"
    tests = list((member / "tests").rglob("test_*.py"))
    assert tests
    for file in tests:
        assert re.search(r"\bassert\b|\braises\(", file.read_text(encoding="utf-8")), f"{file} asserts nothing"


@members
def test_member_is_known_to_the_workspace(member):
    root = project(ROOT)
    name = f"reprise-{member.name}"
    assert name in root["project"]["dependencies"]
    assert root["tool"]["uv"]["sources"][name] == {"workspace": True}


@papers
def test_paper_has_the_form_of_the_house(paper):
    package = paper / "src/reprise" / module(paper)
    declared = project(paper)["project"]
    assert declared["license-files"] == ["CITATION.cff"]
    assert declared["entry-points"]["reprise.papers"] == {paper.name: f"reprise.{module(paper)}.paper:PAPER"}
    cited = yaml.safe_load((paper / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["preferred-citation"]["title"] and cited["preferred-citation"]["authors"]
    assert list((paper / "benchmarks").glob("bench_*.py"))
    files = [
        file for file in (package / "experiments").glob("*.py") if "EXPERIMENT =" in file.read_text(encoding="utf-8")
    ]
    assert {file.stem.replace("_", "-") for file in files} == set(experiments(paper))


@papers
def test_every_experiment_is_recorded_and_its_claims_stand_in_the_readme(paper):
    readme = (paper / "README.md").read_text(encoding="utf-8")
    # A package may land before all of its experiments are recorded, if it says which.
    said = re.search(r"^- \*\*Not recorded yet:\*\*(.*?)(?=^- |^$)", readme, re.MULTILINE | re.DOTALL)
    missing = set(re.findall(r"`([a-z0-9-]+)`", said[1])) if said else set()
    assert missing <= set(experiments(paper)), f"{missing} are not all experiments"
    ids = []
    for name in experiments(paper):
        folder = paper / "results" / name
        assert (name in missing) != (folder / "record.json").exists(), f"{name}: recorded, or named as not recorded"
        if name in missing:
            continue
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        for file in ("table.csv", "figure.svg", "figure.png"):
            assert (folder / file).exists(), f"{folder} lacks {file}"
        for claim in record["claims"]:
            ids.append(claim["id"])
            row = next(line for line in readme.splitlines() if line.startswith(f"| {claim['id']} |"))
            assert claim["verdict"] in row, f"{row} does not say {claim['verdict']}: `reprise readme` renews it"
    assert len(set(ids)) == len(ids), "two claims of one paper share an id"
    assert (paper / "results/RESULTS.md").exists()


def test_no_address_of_a_registry_or_path_of_a_machine_is_written_down():
    address = re.compile(r"https?://[^\s\"']*(?:pypi|pythonhosted|npmjs|jfrog|artifactory)[^\s\"']*", re.IGNORECASE)
    path = re.compile(r"(?:^|[^A-Za-z0-9_./])/(?:root|home|work)/\w")
    skipped = {".git", ".venv", ".nox", "__pycache__", ".mypy_cache", ".ruff_cache", ".hypothesis", "site", "results"}
    for file in ROOT.rglob("*"):
        if skipped & set(file.relative_to(ROOT).parts) or not file.is_file() or file.name == "uv.lock":
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert not address.search(text), f"{file} names a registry"
        assert not path.search(text), f"{file} names a path of one machine"
