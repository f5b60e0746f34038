"""The papers that are installed, found through the entry points ``reprise.papers``."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import cast

from .errors import RepriseError
from .paper import Paper


@cache
def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {entry.name: entry for entry in metadata.entry_points(group="reprise.papers")}


def slugs() -> list[str]:
    """Return the slugs of all installed papers, sorted."""
    return sorted(_entry_points())


def paper(slug: str) -> Paper:
    """Return one paper's declaration.

    Raises
    ------
    RepriseError
        If no such paper is installed, or its package cannot be loaded.
    """
    if slug not in _entry_points():
        near = get_close_matches(slug, slugs(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"installed are: {', '.join(slugs()) or 'none'}"
        raise RepriseError(f"no paper {slug!r} is installed; {hint}")
    try:
        return cast(Paper, _entry_points()[slug].load())
    except Exception as error:  # whatever is wrong with one package must not stop the others
        raise RepriseError(f"the package of {slug} cannot be loaded: {type(error).__name__}: {error}") from error


def distribution(slug: str) -> metadata.Distribution:
    """Return the installed distribution of a paper's package."""
    paper(slug)  # says what is wrong if there is no such paper
    found = _entry_points()[slug].dist
    if found is None:
        raise RepriseError(f"the package of {slug} has no metadata: install it again")
    return found


def split(target: str) -> tuple[Paper, tuple[str, ...]]:
    """Return the paper and the experiments that ``paper`` or ``paper/experiment`` names.

    Raises
    ------
    RepriseError
        If the paper or the experiment is unknown.
    """
    slug, slash, name = target.partition("/")
    found = paper(slug)
    if slash and name not in found.experiments:
        raise RepriseError(f"{slug} has no experiment {name!r}: choose among {', '.join(found.experiments)}")
    return found, (name,) if slash else found.experiments


def source_folder(slug: str) -> Path | None:
    """Return the folder of a package's source, or None where it runs from a wheel."""
    import importlib.util

    spec = importlib.util.find_spec(paper(slug).module)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parents[3]
    return folder if (folder / "pyproject.toml").exists() else None


def recorded_folder(slug: str) -> Path | None:
    """Return the results that lie beside a package's source, or None where it runs from a wheel."""
    folder = source_folder(slug)
    return folder and folder / "results"
