"""BERT and its kin from their published safetensors, in torch's own encoder layers; no transformers library."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from .encoder import Encoder, MissingModel, pool, through, torch_names
from .validation import whole_number

LARGEST_HEAD = 64  # width of an attention head where config.json does not say how many there are


def load_bert(folder: Path | str) -> Encoder:
    """The encoder whose ``model.safetensors`` lies in a folder, in evaluation mode.

    Parameters
    ----------
    folder : Path
        Its ``config.json``, where there is one, tells the number of attention heads; all other sizes are those of the
        tensors.

    Raises
    ------
    MissingModel
        If the extra ``text`` is not installed.
    FileNotFoundError, ValueError
        If the file is missing, or is not of a BERT.

    Notes
    -----
    Both kinds of published names are read: with and without the prefix ``bert.``, LayerNorm's parameters as weight and
    bias or as gamma and beta. The pooler and the heads of pretraining are left out.
    """
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise MissingModel("reading BERT needs safetensors: install reprise-robust-fine-tuning[text]") from None
    folder = Path(folder)
    path = folder / "model.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing in {folder.name}/")
    state = {_name(name): value for name, value in load_file(path).items()}
    words = "embeddings.word_embeddings.weight"
    if words not in state:
        raise ValueError(f"{path.name} is not of a BERT: it lacks {words}")
    vocabulary, width = state[words].shape
    depth = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("encoder.layer."))
    config = folder / "config.json"
    heads = json.loads(config.read_text())["num_attention_heads"] if config.is_file() else width // LARGEST_HEAD
    encoder = Encoder(
        depth=depth,
        width=width,
        heads=heads,
        inner=len(state["encoder.layer.0.intermediate.dense.weight"]),
        vocabulary=vocabulary,
        positions=len(state["embeddings.position_embeddings.weight"]),
    )
    encoder.load_state_dict(torch_names(state, depth))
    return encoder.eval()


class TextClassifier(nn.Module):
    """An encoder and a linear head: token ids (B, T) and mask (B, T) to logits (B, k).

    Parameters
    ----------
    encoder : Encoder
        All of it is fine-tuned.
    classes : int
    generator : torch.Generator, optional
        Of the head's start, N(0, 1/width).
    """

    def __init__(self, encoder: Encoder, classes: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.words.embedding_dim
        self.head = nn.Linear(width, whole_number("classes", classes, minimum=2))
        with torch.no_grad():
            self.head.weight.copy_(torch.randn(self.head.weight.shape, generator=generator) * width**-0.5)
            self.head.bias.zero_()

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits of token ids."""
        hidden = through(self.encoder.layers, self.encoder.embed(ids), mask)
        logits: Tensor = self.head(pool(hidden, mask))
        return logits


def _name(name: str) -> str:
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
