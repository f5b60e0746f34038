import bibtexparser
import pytest
import yaml
from pybtex.database import parse_string

from reprise.core import RepriseError
from reprise.core.cite import bibtex, citation, read_cff


class MetadataAlone:
    """A distribution without the file asked for."""

    def read_text(self, name):
        return None


def test_two_entries_that_bibtex_parsers_accept(toy):
    text = bibtex("toy")
    found = parse_string(text, "bibtex").entries
    assert list(found) == ["lovelace1843", "reprise-toy"]
    assert found["lovelace1843"].fields["journal"] == "Notes"
    assert found["lovelace1843"].persons["author"][0].last_names == ["Lovelace"]
    library = bibtexparser.parse_string(text)
    assert not library.failed_blocks and len(library.entries) == 2
    assert r"Toys \& Numbers" in library.entries[0]["title"]


def test_further_papers_of_a_package_are_cited_too(toy, monkeypatch):
    further = """
references:
  - {type: conference-paper, title: Earlier, year: 1842, authors: [{family-names: Lovelace}], collection-title: Proc.}
  - {type: article, title: Same year, year: 1843, authors: [{family-names: Lovelace}], journal: Notes}
"""
    text = read_cff("toy") + further
    monkeypatch.setattr("reprise.core.cite.read_cff", lambda slug: text)
    found = parse_string(bibtex("toy"), "bibtex").entries
    assert list(found) == ["lovelace1843", "lovelace1842", "lovelace1843x", "reprise-toy"]
    assert found["lovelace1842"].fields["booktitle"] == "Proc."


def test_cff_is_the_file_that_the_package_ships(toy):
    assert yaml.safe_load(read_cff("toy"))["preferred-citation"]["year"] == 1843
    assert citation("toy").preferred_citation.authors[0].family_names == "Lovelace"


def test_editable_package_cites_from_its_source(toy, monkeypatch, tmp_path):
    shipped = read_cff("toy")
    monkeypatch.setattr("reprise.core.cite.distribution", lambda slug: MetadataAlone())
    monkeypatch.setattr("reprise.core.cite.source_folder", lambda slug: tmp_path)
    with pytest.raises(RepriseError, match=r"the package of toy ships no CITATION.cff"):
        read_cff("toy")
    (tmp_path / "CITATION.cff").write_text(shipped, encoding="utf-8")
    assert read_cff("toy") == shipped


@pytest.mark.parametrize("text", ["title: [", "title: only", "- a list"])
def test_damaged_cff_is_one_sentence(toy, monkeypatch, text):
    monkeypatch.setattr("reprise.core.cite.read_cff", lambda slug: text)
    with pytest.raises(RepriseError, match=r"the CITATION.cff of toy is damaged"):
        citation("toy")


def test_links_are_written_as_they_are_and_names_whole(toy, monkeypatch):
    text = """
cff-version: 1.2.0
message: Cite both.
title: Software
version: 1.0
date-released: 2026-01-02
repository-code: https://example.org/a_b#c
authors: [{name: Developers}]
preferred-citation:
  type: article
  title: Paper
  authors: [{family-names: Beethoven, given-names: Ludwig, name-particle: van}]
  doi: 10.1000/a_b%c
"""
    monkeypatch.setattr("reprise.core.cite.read_cff", lambda slug: text)
    written = bibtex("toy")
    assert "doi = {10.1000/a_b%c}" in written and "url = {https://example.org/a_b#c}" in written
    found = parse_string(written, "bibtex").entries
    assert found["beethoven"].persons["author"][0].prelast_names == ["van"]
    assert found["reprise-toy"].fields["year"] == "2026" and found["reprise-toy"].fields["version"] == "1.0"
    assert citation("toy").preferred_citation.authors[0].display == "Ludwig van Beethoven"
