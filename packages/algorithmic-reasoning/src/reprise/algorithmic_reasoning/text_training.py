"""Training, scoring and linearising branching adapters on questions and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprise.algorithmic_reasoning.branching_lora import BranchingLoRA
from reprise.algorithmic_reasoning.text import Text
from reprise.algorithmic_reasoning.validation import integer, number
from reprise.tasks import RandomProjection, TaskFeatures, multiclass_margin, output_gradients, parameter_count

Encode = Callable[[str], Sequence[int]]
Decode = Callable[[Sequence[int]], str]
IGNORED = -100


def token_batch(texts: Sequence[Text], encode: Encode, device: torch.device | str) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens of questions and answers, where there are any, and those of answers with all others ignored.

    Returns
    -------
    tokens, mask, labels : Tensor of int64, shape (B, T)
        Padded at the end. `labels` are −100 but for answers.
    """
    pairs = [(list(encode(text.question)), list(encode(text.answer))) for text in texts]
    width = max(len(question) + len(answer) for question, answer in pairs)
    tokens = torch.zeros(len(pairs), width, dtype=torch.int64)
    mask, labels = torch.zeros_like(tokens), torch.full_like(tokens, IGNORED)
    for row, (question, answer) in enumerate(pairs):
        length = len(question) + len(answer)
        tokens[row, :length] = torch.tensor(question + answer)
        mask[row, :length] = 1
        labels[row, len(question) : length] = torch.tensor(answer)
    return tokens.to(device), mask.to(device), labels.to(device)


def answer_loss(model: BranchingLoRA, name: str, texts: Sequence[Text], encode: Encode) -> Tensor:
    """Mean cross entropy of the answers' tokens, shape ()."""
    tokens, mask, labels = token_batch(texts, encode, _device(model))
    logits = model(name, tokens, mask)[:, :-1]
    return functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)


def fit_text(
    model: BranchingLoRA,
    data: Mapping[str, Sequence[Text]],
    encode: Encode,
    *,
    steps: int,
    lr: float = 2e-5,
    batch_size: int = 2,
    accumulation: int = 2,
    clip: float = 1.0,
    parameters: Sequence[str] | None = None,
    generator: torch.Generator | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, float]]:
    """Train adapters by AdamW, one update for each task in turn.

    Parameters
    ----------
    model : BranchingLoRA
        Changed in place.
    data : mapping of str to sequence of Text
        Questions and answers of every task to train on.
    encode : callable
        From text to tokens, such as ``lambda text: tokenizer.encode(text, add_special_tokens=False)``.
    steps : int
        Updates of every task.
    lr : float
    batch_size, accumulation : int
        Texts at once, and batches per update.
    clip : float
        Largest norm of a gradient.
    parameters : sequence of str, optional
        Names of those to train; all when not given.
    generator : torch.Generator, optional
        Source of the draws of texts.
    progress : callable, optional
        ``progress(done, steps)``.

    Returns
    -------
    list of dict of str to float
        Loss of each task, per step.

    Raises
    ------
    ValueError
        If a number is out of range, a task or parameter unknown, a task has no text, or a loss is not finite.
    """
    for label, count in (("steps", steps), ("batch_size", batch_size), ("accumulation", accumulation)):
        integer(label, count)
    number("lr", lr, open_=True)
    unknown = [name for name in data if name not in model.routes or len(data[name]) == 0]
    if unknown or not data:
        raise ValueError(f"data must hold texts for tasks among {', '.join(model.routes)}, got none for {unknown}")
    named = dict(model.named_parameters())
    missing = [name for name in parameters or () if name not in named]
    if missing:
        raise ValueError(f"parameters must be names of the adapters', got {missing}")
    trained = list(named.values()) if parameters is None else [named[name] for name in parameters]
    optimizer = torch.optim.AdamW(trained, lr=lr)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    history = []
    for step in range(1, steps + 1):
        losses = {}
        for name, texts in data.items():
            model.zero_grad(set_to_none=True)  # other branches keep no gradient: AdamW leaves them alone
            total = 0.0
            for _ in range(accumulation):
                drawn = torch.randint(len(texts), (batch_size,), generator=generator).tolist()
                value = answer_loss(model, name, [texts[index] for index in drawn], encode) / accumulation
                torch.autograd.backward(value)
                total += float(value.detach())
            if not total < float("inf"):
                raise ValueError(f"the loss of {name} is {total} at step {step}: lower lr")
            nn.utils.clip_grad_norm_([p for p in trained if p.grad is not None], clip)
            optimizer.step()
            losses[name] = total
        history.append(losses)
        if progress is not None:
            progress(step, steps)
    model.zero_grad(set_to_none=True)
    return history


@torch.no_grad()
def answer_accuracy(
    model: BranchingLoRA, name: str, texts: Sequence[Text], encode: Encode, decode: Decode, *, slack: int = 8
) -> float:
    """Share of greedy answers whose output, what comes after the steps, is right.

    Parameters
    ----------
    model : BranchingLoRA
    name : str
    texts : sequence of Text
    encode, decode : callable
        From text to tokens and back.
    slack : int
        Tokens that may be written beyond the length of the right answer.
    """
    right = 0
    with model.task(name) as language_model:
        for text in texts:
            tokens = torch.tensor([list(encode(text.question))], device=_device(model))
            found = language_model.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=len(encode(text.answer)) + slack,
                do_sample=False,
                pad_token_id=0,
            )
            right += _output(decode(found[0, tokens.shape[1] :].tolist())) == _output(text.answer)
    return right / len(texts)


def text_gradient_features(
    model: BranchingLoRA,
    name: str,
    texts: Sequence[Text],
    encode: Encode,
    *,
    layer: int = 0,
    dim: int = 400,
    rows: int | None = None,
    seed: int = 0,
    chunk_size: int | None = None,
) -> TaskFeatures:
    """Projected gradients, by the adapters of a task, of the margins of its answers' tokens.

    Parameters
    ----------
    model : BranchingLoRA
    name : str
    texts : sequence of Text
        Taken one at a time.
    encode : callable
    layer : int
        Gradients are by adapters from this layer of the tree on.
    dim : int
        d_p.
    rows : int, optional
        At most so many tokens of a text, drawn uniformly.
    seed : int
        Of projection and draw.
    chunk_size : int, optional
        Gradients at once.

    Returns
    -------
    TaskFeatures
        For `estimate_affinity`; every sign is +1, the margin is log(p/(1 − p)) of the right token.
    """
    names = model.parameter_names(name, layer=layer)
    projection = RandomProjection(parameter_count(model, names), dim, seed=seed)
    features, offsets = [], []
    for index, text in enumerate(texts):
        tokens, mask, labels = token_batch([text], encode, _device(model))
        answered = labels[0, 1:] != IGNORED

        def margins(model: Any, tokens: Tensor = tokens, mask: Tensor = mask, at: Tensor = answered) -> Tensor:
            logits = model(name, tokens, mask)[0, :-1][at]
            return multiclass_margin(logits, tokens[0, 1:][at])

        found = output_gradients(
            model,
            margins,
            parameters=names,
            projection=projection,
            chunk_size=chunk_size,
            limit=rows,
            seed=seed + index,
        )
        features.append(found.features)
        offsets.append(found.values)
    return TaskFeatures(torch.cat(features), offsets=torch.cat(offsets))


def _output(answer: str) -> str:
    """What an answer says after its steps, up to the empty line that ends it."""
    return answer.split("\n\n")[0].rpartition("|")[2].strip()


def _device(model: BranchingLoRA) -> torch.device:
    return next(model.parameters()).device
