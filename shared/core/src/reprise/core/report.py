"""``reprise report``: one self-contained HTML page of records: claims, figures, settings, provenance, citations."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .cite import bibtex, citation
from .errors import RepriseError
from .paper import SCALES
from .record import Record
from .registry import paper as find_paper
from .registry import recorded_folder, slugs
from .store import replace_file
from .tables import MARK, measured, number, read_results, tally

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
# What a figure is drawn with; anything else (scripts, foreign objects, images from elsewhere) is left out of the page.
_DRAWN = frozenset(
    "svg g defs path rect circle use clippath text tspan line polyline polygon ellipse".split()  # noqa: SIM905
)
# The distributions that decide the numbers; the record holds all of them.
_VERSIONS = ("numpy", "scipy", "torch", "pandas", "joblib", "cvxpy", "numba", "matplotlib")


@dataclass(frozen=True)
class _Section:
    """One paper of the page."""

    slug: str
    title: str
    authors: str
    year: int | None
    bibtex: str
    records: list[tuple[Record, Markup]]

    @property
    def tallies(self) -> list[str]:
        scales = sorted({record.scale for record, _ in self.records}, key=SCALES.index)
        claims = {s: [c for record, _ in self.records if record.scale == s for c in record.claims] for s in scales}
        return [f"{scale}: {tally(claims[scale])}" for scale in scales]


def write_report(folders: Sequence[Path], out: Path, as_json: bool) -> None:
    """Write the page and print its path.

    Without folders it covers ``results/``, and beside it what is recorded with the source of the installed papers.

    Raises
    ------
    RepriseError
        If there is no record, one is damaged, or the page cannot be written.
    """
    places = {folder.resolve(): folder for folder in folders or _default_folders()}
    found = [pair for folder in places.values() for pair in read_results(folder)]
    if not found:
        where = ", ".join(map(str, folders)) or "results/"
        raise RepriseError(f"there is no record below {where}: `reprise run PAPER` makes one")
    replace_file(out, render(found).encode())
    if as_json:
        print(json.dumps({"page": str(out), "records": len(found)}))
    else:
        print(out)


def render(found: Sequence[tuple[Record, Path]]) -> str:
    """Return the page of some records and the folders that hold their figures."""
    sections = []
    for slug in sorted({record.paper for record, _ in found}):
        mine = [(record, folder) for record, folder in found if record.paper == slug]
        figures = [
            (record, inline_svg(folder / "figure.svg", f"{slug}-{position}", record.title))
            for position, (record, folder) in enumerate(mine)
        ]
        sections.append(_section(slug, figures))
    environment = Environment(
        loader=PackageLoader("reprise.core"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, measured=measured, duration=duration)
    # One paper may have been run several times; its summary counts every run.
    script = files("reprise.core").joinpath("templates/report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        script=Markup(script),  # ours
        script_hash=digest,
        sections=sections,
        mark=MARK,
        told=_VERSIONS,
    )


def inline_svg(path: Path, prefix: str, label: str = "") -> Markup:
    """Return a figure as inline SVG: drawing elements only, no reference out of it, ids made unique by `prefix`.

    Style sheets are left out, as they would hold for the whole page; `label` is what a screen reader says.

    Raises
    ------
    RepriseError
        If the file is absent or is no SVG.
    """
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except OSError as error:
        raise RepriseError(f"cannot read the figure {path}: {error.strerror}") from error
    except ElementTree.ParseError as error:
        raise RepriseError(f"the figure {path} is damaged: {error}") from error
    if root.tag != f"{{{_SVG}}}svg":
        raise RepriseError(f"the figure {path} is damaged: it is no SVG")
    _clean(root, prefix)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.attrib.update({"role": "img", "aria-label": label, "stroke-linejoin": "round", "stroke-linecap": "butt"})
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # cleaned above, element by element


def _clean(element: ElementTree.Element, prefix: str) -> None:
    for child in list(element):
        namespace, _, name = str(child.tag).rpartition("}")
        if namespace != "{" + _SVG or name.lower() not in _DRAWN:
            element.remove(child)
        else:
            _clean(child, prefix)
    for name, value in list(element.attrib.items()):
        plain = name.rpartition("}")[2].lower()  # as a browser reads them
        if plain.startswith("on") or (plain == "href" and not value.startswith("#")):
            del element.attrib[name]
        elif plain == "id":
            element.attrib[name] = f"{prefix}-{value}"
        elif plain == "href":
            element.attrib[name] = f"#{prefix}-{value[1:]}"
        else:
            local = re.sub(r"url\(\s*#([^)]*)\)", rf"url(#{prefix}-\1)", value)
            element.attrib[name] = "" if re.search(r"url\((?!#)", local) else local


def duration(seconds: float) -> str:
    """Return a time for people: ``4 s``, ``3 min 20 s``."""
    whole = round(seconds)
    if whole < 1:
        return f"{seconds:.1g} s"
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def _section(slug: str, records: list[tuple[Record, Markup]]) -> _Section:
    if slug not in slugs():
        return _Section(slug, slug, "its package is not installed here", None, "", records)
    order = {name: position for position, name in enumerate(find_paper(slug).experiments)}
    records = sorted(records, key=lambda pair: (order.get(pair[0].experiment, len(order)), pair[0].scale))
    work = citation(slug).preferred_citation
    authors = ", ".join(author.display for author in work.authors)
    return _Section(slug, work.title, authors, work.year, bibtex(slug).strip(), records)


def _default_folders() -> list[Path]:
    """Return ``results/``, and the recorded results of every paper that was not run there."""
    here = Path("results")
    beside = [recorded_folder(slug) for slug in slugs() if not (here / slug).is_dir()]
    return [folder for folder in (here, *beside) if folder is not None and folder.is_dir()]
