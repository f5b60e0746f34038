"""Supervised contrastive loss (Khosla et al., NeurIPS 2020): segments of one class near to one another, others far."""

from __future__ import annotations

import torch
from torch import Tensor


def supervised_contrastive(embedding: Tensor, label: Tensor, temperature: float = 0.3) -> Tensor:
    """Return the loss of a batch.

    Parameters
    ----------
    embedding : Tensor, shape (n, d)
        Rows are scaled to length one.
    label : Tensor, shape (n,)
    temperature : float
        τ.

    Returns
    -------
    Tensor, shape ()
        Mean over the anchors i that have another of their class of ``−1/|P(i)| Σ_p∈P(i) log softmax_a≠i(⟨z_i, z_a⟩ /
        τ)_p``, with P(i) the others of i's class (equation 2); 0 if there is none.

    Examples
    --------
    >>> apart = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    >>> label = torch.tensor([0, 0, 1, 1])
    >>> bool(supervised_contrastive(apart, label) < supervised_contrastive(apart, torch.tensor([0, 1, 0, 1])))
    True
    """
    rows = torch.nn.functional.normalize(embedding, dim=1)
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    similarity = (rows @ rows.T / temperature).masked_fill(itself, -torch.inf)
    log_share = torch.log_softmax(similarity, dim=1).masked_fill(itself, 0.0)
    same = (label[:, None] == label[None]) & ~itself
    count = same.sum(dim=1)
    anchors = count > 0
    if not anchors.any():
        return embedding.sum() * 0
    return -((log_share * same).sum(dim=1)[anchors] / count[anchors]).mean()
