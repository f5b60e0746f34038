"""Claims as text: for the terminal, for RESULTS.md and for a package's README, always from records."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from .claims import Verdict
from .errors import RepriseError
from .record import ClaimResult, Record, read_record
from .registry import paper
from .store import replace_file

MARK = {Verdict.REPRODUCED: "✓", Verdict.NOT_REPRODUCED: "✗", Verdict.NOT_RUN: "–"}
_BLOCK = re.compile(r"(<!-- claims -->\n).*?(<!-- /claims -->)", re.DOTALL)


def number(value: float | str | None) -> str:
    """Return a value with four significant digits, whole numbers in full; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    whole = float(value).is_integer() and 1e3 <= abs(value) < 1e9
    return f"{value:,.0f}" if whole else f"{value:.4g}"


def measured(claim: ClaimResult) -> str:
    """Return the measured value with its 95 % interval."""
    if claim.interval is None or None in claim.interval:
        return number(claim.measured)
    low, high = claim.interval
    return f"{number(claim.measured)} [{number(low)}, {number(high)}]"


def tally(claims: Sequence[ClaimResult]) -> str:
    """Return ``11 of 12 claims reproduced``, with what else there is."""
    count = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in Verdict}
    text = f"{count[Verdict.REPRODUCED]} of {len(claims)} claims reproduced"
    rest = [f"{count[v]} {v.value}" for v in (Verdict.NOT_REPRODUCED, Verdict.NOT_RUN) if count[v]]
    return text + (f" ({', '.join(rest)})" if rest else "")


def read_results(folder: Path, order: Sequence[str] = ()) -> list[tuple[Record, Path]]:
    """Return every record below a folder with the folder that holds it, by paper, in the order of the experiments.

    Raises
    ------
    RepriseError
        If a record is damaged.
    """
    paths = [folder] if folder.is_file() else sorted(folder.glob("**/record.json"))
    found = [(read_record(path), path.parent) for path in paths]
    rank = {name: position for position, name in enumerate(order)}
    return sorted(found, key=lambda pair: (pair[0].paper, rank.get(pair[0].experiment, len(rank)), pair[0].scale))


def refuse_other_papers(folder: Path, slug: str) -> None:
    """Make sure that a folder holds no results of another paper: experiments of one name would overwrite each other.

    Raises
    ------
    RepriseError
        If it does.
    """
    for path in sorted(folder.glob("*/**/record.json")):
        try:
            other = json.loads(path.read_bytes())["paper"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a damaged record is nobody's, and is written anew by its own experiment
        if other != slug:
            raise RepriseError(f"{folder} holds results of {other}: choose another --out for {slug}")


def claims_table(records: Sequence[Record]) -> str:
    """Return a Markdown table of all claims."""
    lines = [
        "| | claim | source | level | paper | measured [95 %] | asked | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        for claim in record.claims:
            name = claim.id if record.scale == "laptop" else f"{claim.id} ({record.scale})"
            cells = [
                name,
                claim.sentence,
                claim.source,
                claim.level,
                number(claim.paper),
                measured(claim),
                claim.expected or "–",
                f"{MARK[claim.verdict]} {claim.verdict.value}" + (f": {claim.tried}" if claim.tried else ""),
            ]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def write_results(folder: Path, order: Sequence[str]) -> Path:
    """Write RESULTS.md over all records below a folder, and return its path."""
    found = read_results(folder, order)
    records = [record for record, _ in found]
    claims = [claim for record in records if record.scale == "laptop" for claim in record.claims]
    title = f": {tally(claims)} at laptop scale" if claims else ""
    lines = [f"# {records[0].paper}{title}", "", claims_table(records)]
    for record, home in found:
        place = home.relative_to(folder).as_posix()
        lines += [
            f"## {record.experiment}: {record.title}",
            "",
            f"![{record.title}]({place}/figure.png)",
            "",
            f"{record.scale} scale, seed {record.seed}, {record.cells} cells in {record.cell_seconds:.0f} s of "
            f"computing on {record.machine.gpu if record.device == 'cuda' else record.machine.cpu}; "
            f"peak memory {record.peak_memory_bytes / 2**30:.1f} GiB; "
            f"[record]({place}/record.json), [table]({place}/table.csv)",
            "",
        ]
    path = folder / "RESULTS.md"
    replace_file(path, "\n".join(lines).encode())
    return path


def fill_readme(readme: Path, results: Path) -> bool:
    """Put the table of all recorded claims between the marks ``<!-- claims -->`` and ``<!-- /claims -->``.

    Returns whether the file changed.

    Raises
    ------
    RepriseError
        If the file is absent or has no such marks.
    """
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise RepriseError(f"cannot read {readme}: {error.strerror}") from error
    if not _BLOCK.search(text):
        raise RepriseError(f"{readme} has no lines <!-- claims --> and <!-- /claims -->")
    records = [record for record, _ in read_results(results)]
    if not records:
        raise RepriseError(f"there is no record below {results}: `reprise run PAPER --out {results}` makes one")
    order = {name: position for position, name in enumerate(paper(records[0].paper).experiments)}
    table = claims_table(sorted(records, key=lambda r: (order.get(r.experiment, len(order)), r.scale)))
    filled = _BLOCK.sub(lambda found: found.group(1) + table + found.group(2), text)
    if filled != text:
        replace_file(readme, filled.encode())
    return filled != text
