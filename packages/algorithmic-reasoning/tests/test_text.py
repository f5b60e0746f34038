"""Text: equal to CLRS-Text's, character by character."""

import json

import pytest
import torch

from reprise.algorithmic_reasoning import ALGORITHMS, trace
from reprise.algorithmic_reasoning.text import text_sample, to_text


@pytest.mark.parametrize("name", ALGORITHMS)
def test_questions_and_answers_equal_the_reference(reference_file, name):
    expected = json.loads(reference_file("text_reference.json").read_text())[name]
    found = trace(name, expected["adjacency"], expected["source"])
    (long,), (short,) = to_text(found), to_text(found, hints=False)
    assert (long.question, long.answer) == (expected["question"], expected["answer"])
    assert (short.question, short.answer) == (expected["question_no_hints"], expected["answer_no_hints"])


def test_weights_are_cut_before_the_algorithm_runs():
    for path in text_sample("dijkstra", nodes=6, samples=3, seed=0):
        assert path.inputs["A"].mul(1000).round().div(1000).equal(path.inputs["A"])


def test_steps_are_drawn_in_order():
    (path,) = text_sample("dfs", nodes=6, samples=1, seed=0)
    (whole,), (part,) = to_text(path), to_text(path, max_steps=4, generator=torch.Generator().manual_seed(0))
    steps = part.answer.split(" | ")[0].split("], ")
    assert len(steps) == 4
    rest = iter(whole.answer.split(" | ")[0].split("], "))
    assert all(any(step.strip("]") == other.strip("]") for other in rest) for step in steps)
    with pytest.raises(ValueError, match="max_steps must be at least 1"):
        to_text(path, max_steps=0)
