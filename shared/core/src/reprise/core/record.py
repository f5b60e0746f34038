"""The record of a run: everything needed to believe it and to run it again. Its JSON schema is published."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .claims import Claim, Outcome, Verdict
from .errors import RepriseError
from .provenance import Machine, Source


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


# JSON knows no NaN: a value that could not be measured is null.
Measured = Annotated[float | None, BeforeValidator(_finite_or_none)]


class Part(BaseModel):
    """One of several checks of a claim."""

    model_config = ConfigDict(extra="forbid")

    measured: Measured
    interval: tuple[Measured, Measured] | None = Field(description="95 % interval over trials")
    expected: str
    holds: bool
    samples: int


class ClaimResult(BaseModel):
    """A claim beside what was measured."""

    model_config = ConfigDict(extra="forbid")

    id: str
    experiment: str
    sentence: str
    level: Literal["number", "direction"]
    source: str
    paper: float | str | None
    expected: str | None = Field(description="what the check asks of the measured value")
    measured: Measured
    interval: tuple[Measured, Measured] | None = Field(description="95 % interval over trials")
    samples: int
    verdict: Verdict
    parts: list[Part] = Field(default_factory=list)
    tried: str = ""


class Record(BaseModel):
    """One experiment, run once at one scale."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    paper: str
    experiment: str
    title: str
    scale: str
    claims: list[ClaimResult]
    settings: dict[str, Any]
    seed: int
    device: str
    workers: int = Field(description="cells measured at a time, here or on a cluster")
    cells: int
    rows: int
    table_sha256: str = Field(description="of table.csv, which lies beside the record")
    timings: list[str] = Field(description="columns that differ from run to run")
    started: datetime
    wall_seconds: float = Field(description="of the command that finished the run")
    cell_seconds: float = Field(description="summed over all cells, resumed ones included")
    peak_memory_bytes: int = Field(description="of the largest process that measured a cell")
    machine: Machine = Field(description="that the command ran on")
    source: Source | None
    versions: dict[str, str]


class Run(BaseModel):
    """What one command ran: the claims of all its experiments, and their records."""

    model_config = ConfigDict(extra="forbid")

    paper: str
    claims: list[ClaimResult]
    records: list[Record]


def claim_result(claim: Claim, experiment: str, table: pd.DataFrame) -> ClaimResult:
    """Judge one claim by a table."""
    verdict, outcome = claim.judge(table)
    parts = [] if outcome is None else [_part(part) for part in outcome.parts]
    return ClaimResult(
        id=claim.id,
        experiment=experiment,
        sentence=claim.sentence,
        level=claim.level,
        source=claim.source,
        paper=claim.paper,
        expected=outcome.expected if outcome else None,
        measured=outcome.measured if outcome else None,
        interval=outcome.interval if outcome else None,
        samples=outcome.samples if outcome else 0,
        verdict=verdict,
        parts=parts,
        tried=claim.tried,
    )


def read_record(path: Path) -> Record:
    """Read and validate a record.

    Raises
    ------
    RepriseError
        If the file is absent, is no JSON, or does not fit the schema.
    """
    if path.is_dir():
        path = path / "record.json"
    try:
        return Record.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RepriseError(f"cannot read the record {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RepriseError(f"the record {path} is damaged: {where}: {first['msg']}") from error


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of what `model` writes."""
    made: dict[str, Any] = json.loads(json.dumps(model.model_json_schema(mode="serialization")))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _part(outcome: Outcome) -> Part:
    return Part(
        measured=outcome.measured,
        interval=outcome.interval,
        expected=outcome.expected,
        holds=outcome.holds,
        samples=outcome.samples,
    )
