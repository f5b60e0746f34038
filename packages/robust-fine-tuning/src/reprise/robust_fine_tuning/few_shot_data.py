"""miniImageNet for few-shot learning, and the episodes that few-shot learning is tested on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .image_data import ImageArrays, need
from .restricted_pickle import load_arrays
from .validation import class_labels, whole_number

MINI = "miniImageNet_category_split_{}.pickle"
PARTS = {"base": "train_phase_train", "validation": "val", "novel": "test"}
_SOURCE = "take the three pickles of miniImageNet (84 x 84) that MetaOptNet's authors publish"


def mini_imagenet(folder: Path | str, part: Literal["base", "validation", "novel"]) -> tuple[ImageArrays, Tensor]:
    """One part of miniImageNet: 64 base, 16 validation or 20 novel classes; labels are numbered from 0.

    The pickles hold ``data`` (uint8, N × 84 × 84 × 3) and ``labels``; they are read by an unpickler that knows arrays
    only. Images stay 84 × 84.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    path = need(Path(folder) / MINI.format(PARTS[part]), _SOURCE)
    held = load_arrays(path)
    if not isinstance(held, dict) or {"data", "labels"} - held.keys():
        raise ValueError(f"{path.name} must hold 'data' and 'labels'")
    _, labels = np.unique(np.asarray(held["labels"]), return_inverse=True)
    return ImageArrays(np.asarray(held["data"], dtype=np.uint8), size=84), torch.from_numpy(labels.astype(np.int64))


@dataclass(frozen=True)
class Episode:
    """Positions of support and query examples (ways · shots and ways · queries), and their labels 0..ways−1."""

    support: Tensor
    support_labels: Tensor
    query: Tensor
    query_labels: Tensor


def episode(labels: Any, *, ways: int, shots: int, queries: int, generator: torch.Generator) -> Episode:
    """A few-shot task: `ways` classes at random, of each `shots` examples to learn from and `queries` to be tested on.

    Raises
    ------
    ValueError
        If there are too few classes, or examples of one.

    Examples
    --------
    >>> found = episode([0, 0, 1, 1, 2, 2], ways=2, shots=1, queries=1, generator=torch.Generator().manual_seed(0))
    >>> found.support_labels.tolist(), found.query_labels.tolist()
    ([0, 1], [0, 1])
    """
    found = class_labels("labels", labels)
    ways, shots = whole_number("ways", ways, minimum=2), whole_number("shots", shots)
    queries = whole_number("queries", queries)
    kinds = torch.tensor(sorted(set(found.tolist())))
    if len(kinds) < ways:
        raise ValueError(f"ways must be at most the number of classes ({len(kinds)}), got {ways}")
    support, query = [], []
    for kind in kinds[torch.randperm(len(kinds), generator=generator)[:ways]]:
        members = (found == kind).nonzero().flatten()
        if len(members) < shots + queries:
            raise ValueError(f"labels: class {int(kind)} has {len(members)} examples, {shots + queries} are needed")
        drawn = members[torch.randperm(len(members), generator=generator)[: shots + queries]]
        support.append(drawn[:shots])
        query.append(drawn[shots:])
    numbers = torch.arange(ways)
    return Episode(
        torch.cat(support), numbers.repeat_interleave(shots), torch.cat(query), numbers.repeat_interleave(queries)
    )
