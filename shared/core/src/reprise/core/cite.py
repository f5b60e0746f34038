"""Citations, from the one CITATION.cff that a package ships: of the paper, and of its reproduction."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pybtex.database import BibliographyData, Entry, Person
from pybtex.database.output.bibtex import Writer
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import RepriseError
from .registry import distribution, source_folder


class _CffModel(BaseModel):
    model_config = ConfigDict(
        extra="allow",
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
        coerce_numbers_to_str=True,  # YAML reads `version: 1.0` as a number
    )


class Author(_CffModel):
    """A person, or an entity that has only a name."""

    family_names: str | None = None
    given_names: str | None = None
    name_particle: str | None = None
    name_suffix: str | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _has_a_name(self) -> Author:
        if not (self.family_names or self.name):
            raise ValueError("an author needs family-names or name")
        return self

    @property
    def display(self) -> str:
        """The whole name, as it is read."""
        if self.name:
            return self.name
        parts = (self.given_names, self.name_particle, self.family_names, self.name_suffix)
        return " ".join(part for part in parts if part)


class Venue(_CffModel):
    """A conference, a journal's publisher, an institution."""

    name: str


class Identifier(_CffModel):
    """A DOI, an address, or ``arXiv:…``."""

    type: str
    value: str


class Reference(_CffModel):
    """A cited work in the terms of the Citation File Format 1.2.0."""

    type: str = "software"
    title: str
    authors: list[Author] = Field(min_length=1)
    year: int | None = None
    version: str | None = None
    journal: str | None = None
    conference: Venue | None = None
    collection_title: str | None = None
    publisher: Venue | None = None
    volume: str | None = None
    start: str | None = None
    end: str | None = None
    doi: str | None = None
    url: str | None = None
    repository_code: str | None = None
    date_released: date | None = None
    identifiers: list[Identifier] = Field(default_factory=list)


class Citation(Reference):
    """A CITATION.cff file."""

    cff_version: str
    message: str
    preferred_citation: Reference
    references: list[Reference] = Field(default_factory=list)


def read_cff(slug: str) -> str:
    """Return the text of the CITATION.cff that a paper's package ships, or that lies in its source.

    Raises
    ------
    RepriseError
        If the paper is unknown or its package ships none.
    """
    text = distribution(slug).read_text("licenses/CITATION.cff")
    if text is not None:
        return text
    # An editable installation holds metadata alone.
    file = (source_folder(slug) or Path()) / "CITATION.cff"
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise RepriseError(f"the package of {slug} ships no CITATION.cff: install it again") from error


def citation(slug: str) -> Citation:
    """Return the validated citation of a paper and its reproduction.

    Raises
    ------
    RepriseError
        If the file does not fit the format.
    """
    try:
        return Citation.model_validate(yaml.safe_load(read_cff(slug)))
    except (yaml.YAMLError, ValidationError) as error:
        raise RepriseError(f"the CITATION.cff of {slug} is damaged: {str(error).splitlines()[0]}") from error


def bibtex(slug: str) -> str:
    """Return BibTeX entries: the paper, further papers that the package repeats, and the reproduction."""
    cited = citation(slug)
    entries: dict[str, Entry] = {}
    for paper in (cited.preferred_citation, *cited.references):
        first = (paper.authors[0].family_names or paper.authors[0].name or slug).lower()
        key = "".join(filter(str.isalnum, first)) + str(paper.year or "")
        while key in entries:
            key += "x"
        entries[key] = _entry(paper)
    entries[f"reprise-{slug}"] = _entry(cited)
    return str(_Writer().to_string(BibliographyData(entries)))


class _Writer(Writer):  # type: ignore[misc]
    """Writes links as they are: escaped ones lead nowhere."""

    def _write_field(self, stream: Any, type: str, value: str) -> None:
        if type in ("doi", "url", "eprint"):
            stream.write(f",\n    {type} = {{{value}}}")
        else:
            super()._write_field(stream, type, value)


def _entry(work: Reference) -> Entry:
    kinds = {"conference-paper": "inproceedings", "article": "article", "software": "software"}
    arxiv = next((i.value.removeprefix("arXiv:") for i in work.identifiers if i.value.startswith("arXiv:")), None)
    doi = work.doi or next((i.value for i in work.identifiers if i.type == "doi"), None)
    pages = f"{work.start}--{work.end}" if work.start is not None and work.end is not None else None
    fields = {
        "title": f"{{{work.title}}}",
        "booktitle": work.conference.name if work.conference else work.collection_title,
        "journal": work.journal,
        "publisher": work.publisher.name if work.publisher else None,
        "volume": work.volume,
        "pages": pages,
        "year": work.year or (work.date_released.year if work.date_released else None),
        "version": work.version,
        "doi": doi,
        "url": work.url or work.repository_code,
        "eprint": arxiv,
        "archivePrefix": "arXiv" if arxiv else None,
    }
    persons = [
        Person(
            first=author.given_names or "",
            prelast=author.name_particle or "",
            last=author.family_names,
            lineage=author.name_suffix or "",
        )
        if author.family_names
        else Person(last=f"{{{author.name}}}")
        for author in work.authors
    ]
    written = {name: str(value) for name, value in fields.items() if value is not None}
    return Entry(kinds.get(work.type, "misc"), fields=written, persons={"author": persons})


def print_citation(slug: str, *, cff: bool, as_json: bool) -> None:
    """Print the citation of a paper and its reproduction."""
    text = read_cff(slug) if cff else bibtex(slug)
    print(json.dumps({"paper": slug, "format": "cff" if cff else "bibtex", "text": text}) if as_json else text.strip())
