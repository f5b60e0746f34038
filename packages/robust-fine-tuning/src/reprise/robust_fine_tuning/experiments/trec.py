"""TREC questions behind the frozen layers of MiniLM, as the text experiments share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reprise.core import Context
from reprise.robust_fine_tuning.encoder import HiddenStates, TopLayers, hidden_states, load_minilm, tokenize
from reprise.robust_fine_tuning.experiments.data_sets import TEXT
from reprise.robust_fine_tuning.text_data import TextSet, keyword_labels, read_text_set

Split = tuple[HiddenStates, Tensor]


@dataclass(frozen=True)
class Questions:
    """Hidden states after `depth` layers and labels, of a pool and a test set; keyword labels of the pool."""

    depth: int
    pool: HiddenStates
    labels: Tensor
    weak: Tensor
    test: HiddenStates
    test_labels: Tensor

    def split(self, seed: int, train: int) -> tuple[Split, Tensor]:
        """A training set of the pool with its keyword labels; the pool's validation part is never drawn from."""
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(seed))[:train]
        return (_part(self.pool, order), self.labels[order]), self.weak[order]

    def top(self, generator: torch.Generator) -> TopLayers:
        """The trainable layers with a new head."""
        layers = list(load_minilm().layers)[self.depth :]
        return TopLayers(layers, 6, generator).requires_grad_(True)


def prepare(context: Context, *, pool: int, validation: int, test: int, depth: int) -> tuple[Questions, Split]:
    """Questions for training and testing, and clean ones to choose radii on, behind `depth` frozen layers."""
    train_set, test_set = read_text_set(context.data(TEXT), "trec")
    order = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(context.shared_seed("pool")))
    chosen, aside = order[:pool], order[pool : pool + validation]
    tested = test_set.subset(torch.arange(min(test, len(test_set))))
    # The weak labels' ties depend on all votes: all training questions vote, labels are not looked at.
    weak = keyword_labels(train_set.texts)
    encoder = load_minilm().to(context.device)

    def states(texts: TextSet) -> HiddenStates:
        return hidden_states(encoder, tokenize(texts.texts), depth)

    test_states, test_labels = by_length(states(tested), tested.labels)
    aside_set = train_set.subset(aside)
    questions = Questions(
        depth, states(train_set.subset(chosen)), train_set.labels[chosen], weak[chosen], test_states, test_labels
    )
    return questions, by_length(states(aside_set), aside_set.labels)


def by_length(states: HiddenStates, labels: Tensor) -> Split:
    """The same examples, short texts first: evaluation is over batches of like length."""
    order = states.mask.sum(1).argsort(stable=True)
    return _part(states, order), labels[order]


def sample(states: HiddenStates, labels: Tensor, count: int, device: str) -> list[tuple[Any, Tensor]]:
    """The first `count` examples in small batches of like length, for curvature."""
    part, its = by_length(_part(states, torch.arange(min(count, len(labels)))), labels[:count])
    found = []
    for index in torch.split(torch.arange(len(its)), 25):
        inputs = tuple(tensor.to(device) for tensor in part.batch(index))
        found.append((inputs, its[index].to(device)))
    return found


def _part(states: HiddenStates, index: Tensor) -> HiddenStates:
    return HiddenStates(states.hidden[index], states.mask[index])
