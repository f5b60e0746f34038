"""``reprise list``, ``info``, ``data`` and ``schema``: what there is, before anything is run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from .context import canonical
from .data import DataSet
from .errors import MissingData, RepriseError
from .registry import paper, recorded_folder, slugs, split


def list_papers(as_json: bool) -> None:
    """Print every installed paper with its experiments and the verdicts that are recorded."""
    listed = [_listed(slug) for slug in slugs()]
    if as_json:
        print(json.dumps(listed, indent=1))
        return
    if not listed:
        print("No paper is installed.")
    for entry in listed:
        print(entry["paper"] + (f": {entry['problem']}" if "problem" in entry else ""))
        for name, records in entry["experiments"].items():
            print(f"  {name:<24}{', '.join(map(_told, records)) or 'not run'}")


def info(target: str, as_json: bool) -> None:
    """Print claims with sources, settings per scale, and data."""
    from .cite import citation

    found, names = split(target)
    experiments = [found.experiment(name) for name in names]
    work = citation(found.slug).preferred_citation
    described: dict[str, Any] = {
        "paper": found.slug,
        "title": work.title,
        "authors": [author.display for author in work.authors],
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
    found = paper(slug)
    needed: dict[str, Any] = {}
    scales: dict[str, list[str]] = {}
    for name in found.experiments:
        for scale, data_sets in found.experiment(name).data.items():
            for data_set in data_sets:
                needed[data_set.name] = data_set
                scales.setdefault(data_set.name, []).append(f"{name} ({scale})")
    if fetch:
        _fetch(list(needed.values()))
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


def _fetch(data_sets: list[DataSet]) -> None:
    """Fetch all that may be fetched, then say what a person has to download."""
    first: MissingData | None = None
    for data_set in data_sets:
        try:
            data_set.fetch(lambda line: print(line, file=sys.stderr))
        except MissingData as missing:
            first = first or missing
    if first is not None:
        raise first


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


def _listed(slug: str) -> dict[str, Any]:
    """Return a paper's experiments with what is recorded of each, here or else beside the package's source."""
    try:
        experiments, beside = paper(slug).experiments, recorded_folder(slug)
    except RepriseError as error:
        return {"paper": slug, "experiments": {}, "problem": str(error)}
    here = Path("results") / slug
    found = {}
    for name in experiments:
        paths = sorted((here / name).glob("**/record.json"))
        if not paths and beside is not None:
            paths = sorted((beside / name).glob("**/record.json"))
        found[name] = [_verdicts(path) for path in paths]
    return {"paper": slug, "experiments": found}


def _verdicts(path: Path) -> dict[str, Any]:
    """Return the verdicts of a record without validating it: a list has to be quick."""
    try:
        record = json.loads(path.read_bytes())
        verdicts = [claim["verdict"] for claim in record["claims"]]
        return {"scale": record["scale"], "claims": len(verdicts), "reproduced": verdicts.count("reproduced")}
    except (OSError, ValueError, KeyError, TypeError):
        return {"damaged": str(path)}


def _told(record: dict[str, Any]) -> str:
    if "damaged" in record:
        return f"a damaged record ({record['damaged']})"
    return f"{record['scale']}: {record['reproduced']} of {record['claims']} claims reproduced"


def _print_experiment(experiment: Any) -> None:
    print(f"\n{experiment.name}: {experiment.title}")
    for claim in experiment.claims:
        value = f" (paper: {claim.paper})" if claim.paper is not None else ""
        print(f"  {claim.id} [{claim.level}] {claim.sentence}{value}\n      {claim.source}")
    scales = list(experiment.scales)
    names = [field.name for field in fields(experiment.scales[scales[0]])]
    width = max(map(len, names), default=0) + 2
    columns = {s: [str(getattr(experiment.scales[s], name)) for name in names] for s in scales}
    widths = {s: max(len(s), *map(len, columns[s])) + 2 for s in scales}
    print(f"  {'':<{width}}" + "".join(f"{s:<{widths[s]}}" for s in scales).rstrip())
    for row, name in enumerate(names):
        print(f"  {name:<{width}}" + "".join(f"{columns[s][row]:<{widths[s]}}" for s in scales).rstrip())
    for scale, data_sets in experiment.data.items():
        print(f"  data at {scale}: {', '.join(data_set.name for data_set in data_sets)}")
