"""``reprise list``, ``info``, ``data`` and ``schema``: what there is, before anything is run."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from .context import canonical
from .errors import RepriseError
from .registry import paper, recorded_folder, slugs, split


def list_papers(as_json: bool) -> None:
    """Print every installed paper with its experiments and the verdicts that are recorded."""
    listed: list[dict[str, Any]] = [{"paper": slug, "experiments": _recorded(slug)} for slug in slugs()]
    if as_json:
        print(json.dumps(listed, indent=1))
        return
    if not listed:
        print("No paper is installed.")
    for entry in listed:
        print(entry["paper"])
        for name, recorded in entry["experiments"].items():
            print(f"  {name:<24}{recorded}")


def info(target: str, as_json: bool) -> None:
    """Print claims with sources, settings per scale, and data."""
    from .cite import citation

    found, names = split(target)
    experiments = [found.experiment(name) for name in names]
    work = citation(found.slug).preferred_citation
    described: dict[str, Any] = {
        "paper": found.slug,
        "title": work.title,
        "authors": [author.name or f"{author.given_names} {author.family_names}" for author in work.authors],
        "year": work.year,
        "experiments": [
            {
                "name": experiment.name,
                "title": experiment.title,
                "claims": [
                    {"id": c.id, "sentence": c.sentence, "source": c.source, "paper": c.paper, "level": c.level}
                    for c in experiment.claims
                ],
                "scales": {scale: asdict(settings) for scale, settings in experiment.scales.items()},
                "data": {scale: [d.name for d in needed] for scale, needed in experiment.data.items()},
            }
            for experiment in experiments
        ],
    }
    if as_json:
        print(json.dumps(json.loads(canonical(described)), indent=1))
        return
    print(f"{work.title}\n{', '.join(described['authors'])}, {work.year}")
    for experiment in experiments:
        _print_experiment(experiment)


def show_data(slug: str, *, fetch: bool, as_json: bool) -> None:
    """Print where the data sets of a paper lie, or what has to be downloaded; fetch them if asked.

    Raises
    ------
    MissingData
        With `fetch`, if a file has to be downloaded by a person.
    """
    import sys

    found = paper(slug)
    needed: dict[str, Any] = {}
    scales: dict[str, list[str]] = {}
    for name in found.experiments:
        for scale, data_sets in found.experiment(name).data.items():
            for data_set in data_sets:
                needed[data_set.name] = data_set
                scales.setdefault(data_set.name, []).append(f"{name} ({scale})")
    if fetch:
        for data_set in needed.values():
            data_set.fetch(lambda line: print(line, file=sys.stderr))
    listed = []
    for data_set in needed.values():
        place = data_set.locate()
        listed.append(
            {
                "name": data_set.name,
                "folder": str(place) if place else None,
                "missing": [] if place else data_set.missing(data_set.folders()[0]),
                "source": data_set.source,
                "size": data_set.size,
                "licence": data_set.licence,
                "used_by": scales[data_set.name],
            }
        )
    if as_json:
        print(json.dumps(listed, indent=1))
        return
    if not listed:
        print(f"{slug} needs no files: all its data are generated.")
    for entry in listed:
        state = entry["folder"] or f"missing: {', '.join(entry['missing'])}"
        print(f"{entry['name']}: {state}")
        print(f"  from {entry['source']} ({entry['size']}, {entry['licence']})")
        print(f"  for {', '.join(entry['used_by'])}")


def print_schema(of: str) -> None:
    """Print the JSON schema of a record, or of what ``run --json`` prints.

    Raises
    ------
    RepriseError
        If there is no schema of that kind.
    """
    from pydantic import BaseModel

    from .record import Record, Run, schema

    kinds: dict[str, type[BaseModel]] = {"record": Record, "run": Run}
    if of not in kinds:
        raise RepriseError(f"there is no schema {of!r}: choose record or run")
    print(json.dumps(schema(kinds[of]), indent=1))


def _recorded(slug: str) -> dict[str, str]:
    """Return per experiment what is recorded of it, here or beside the package's source, without validating it."""
    try:
        experiments, beside = paper(slug).experiments, recorded_folder(slug)
    except RepriseError as error:
        return {"": str(error)}
    folders = [Path("results") / slug, *([beside] if beside else [])]
    found = {}
    for name in experiments:
        parts = []
        for folder in folders:
            for path in sorted((folder / name).glob("**/record.json")):
                parts.append(_verdicts(path))
            if parts:
                break
        found[name] = ", ".join(parts) or "not run"
    return found


def _verdicts(path: Path) -> str:
    try:
        record = json.loads(path.read_bytes())
        verdicts = [claim["verdict"] for claim in record["claims"]]
        return f"{record['scale']}: {verdicts.count('reproduced')} of {len(verdicts)} claims reproduced"
    except (OSError, ValueError, KeyError, TypeError):
        return f"a damaged record ({path})"


def _print_experiment(experiment: Any) -> None:
    print(f"\n{experiment.name}: {experiment.title}")
    for claim in experiment.claims:
        value = f" (paper: {claim.paper})" if claim.paper is not None else ""
        print(f"  {claim.id} [{claim.level}] {claim.sentence}{value}\n      {claim.source}")
    scales = list(experiment.scales)
    names = [field.name for field in fields(experiment.scales[scales[0]])]
    width = max(len(name) for name in names) + 2
    columns = {s: [str(getattr(experiment.scales[s], name)) for name in names] for s in scales}
    widths = {s: max(len(s), *map(len, columns[s])) + 2 for s in scales}
    print(f"  {'':<{width}}" + "".join(f"{s:<{widths[s]}}" for s in scales).rstrip())
    for row, name in enumerate(names):
        print(f"  {name:<{width}}" + "".join(f"{columns[s][row]:<{widths[s]}}" for s in scales).rstrip())
    for scale, data_sets in experiment.data.items():
        print(f"  data at {scale}: {', '.join(data_set.name for data_set in data_sets)}")
