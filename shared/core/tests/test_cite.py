import bibtexparser
import pytest
import yaml
from pybtex.database import parse_string

from reprise.core import RepriseError
from reprise.core.cite import bibtex, citation, read_cff


def test_two_entries_that_bibtex_parsers_accept(toy):
    text = bibtex("toy")
    found = parse_string(text, "bibtex").entries
    assert list(found) == ["lovelace1843", "reprise-toy"]
    assert found["lovelace1843"].fields["journal"] == "Notes"
    assert found["lovelace1843"].persons["author"][0].last_names == ["Lovelace"]
    library = bibtexparser.parse_string(text)
    assert not library.failed_blocks and len(library.entries) == 2
    assert r"Toys \& Numbers" in library.entries[0]["title"]


def test_cff_is_the_file_that_the_package_ships(toy):
    assert yaml.safe_load(read_cff("toy"))["preferred-citation"]["year"] == 1843
    assert citation("toy").preferred_citation.authors[0].family_names == "Lovelace"


@pytest.mark.parametrize("text", ["title: [", "title: only", "- a list"])
def test_damaged_cff_is_one_sentence(toy, monkeypatch, text):
    monkeypatch.setattr("reprise.core.cite.read_cff", lambda slug: text)
    with pytest.raises(RepriseError, match=r"the CITATION.cff of toy is damaged"):
        citation("toy")
