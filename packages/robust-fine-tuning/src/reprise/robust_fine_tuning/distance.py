"""The Hessian distance measure: how far each layer has moved, weighted by the curvature that it moved through.

Theorem 2.1 of Ju, Li and Zhang (ICML 2022): with v_i = vec(W_i − W_i^s), the loss of a fine-tuned network exceeds its
training loss by about ``Σ_i √(C 𝓗_i / n)`` with ``𝓗_i = max_(x,y) v_iᵀ H_i⁺[ℓ(f(x), y)] v_i``, where H_i⁺ is the
positive part of the Hessian of one example's loss in W_i alone (the diagonal block) and C the largest loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from .examples import batches, call, move, number_of_classes
from .layers import Layers, Reference, reference_weights, weight_layers
from .quadratic_forms import Method, batch_forms, example_forms
from .training_mode import deterministic
from .validation import class_labels, module, whole_number

Loss = Literal["cross_entropy"] | Callable[[Tensor, Tensor], Tensor]
Reduction = Literal["example", "batch"]
Statistic = Literal["max", "p95", "mean"]


@dataclass(frozen=True)
class HessianDistance:
    """The measure of one model, with what it is made of.

    Parameters
    ----------
    layers : tuple of str
        L names, from the input to the output.
    per_example : Tensor, shape (N, L)
        ``v_iᵀ H_i⁺ v_i`` of every example; of every batch where the reduction is "batch".
    errors : Tensor, shape (N, L)
        What the last Lanczos step changed; zero for the other methods.
    losses : Tensor, shape (number of examples,)
        Loss of every example.
    n : int
        Number of training examples.
    method, reduction : str
    """

    layers: tuple[str, ...]
    per_example: Tensor
    errors: Tensor
    losses: Tensor
    n: int
    method: str
    reduction: str
    positions: Tensor = field(repr=False)

    def layer_values(self, statistic: Statistic = "max") -> dict[str, float]:
        """𝓗_i of every layer, as the maximum, the 95th percentile or the mean over examples."""
        if statistic not in get_args(Statistic):
            raise ValueError(f"statistic must be one of {', '.join(get_args(Statistic))}, got {statistic!r}")
        values = self.per_example
        if statistic == "max":
            found = values.amax(0)
        elif statistic == "mean":
            found = values.mean(0)
        else:
            found = values.quantile(0.95, dim=0)
        return dict(zip(self.layers, found.tolist()))

    @property
    def per_layer(self) -> dict[str, float]:
        """𝓗_i of every layer, the maximum over examples."""
        return self.layer_values("max")

    @property
    def loss_bound(self) -> float:
        """C, the largest loss of an example."""
        return float(self.losses.max())

    @property
    def measure(self) -> float:
        """``√(C/n) Σ_i √𝓗_i`` with the maximum over examples."""
        return self.measure_of("max")

    def measure_of(self, statistic: Statistic) -> float:
        """The measure with another statistic over examples: "max", "p95" or "mean"."""
        return math.sqrt(self.loss_bound / self.n) * sum(map(math.sqrt, self.layer_values(statistic).values()))

    @property
    def contributions(self) -> Tensor:
        """``Σ_i √(v_iᵀ H_i⁺ v_i)`` of every example (N,)."""
        return self.per_example.sqrt().sum(1)

    def culprits(self, count: int = 10) -> list[int]:
        """The examples that raise the measure most, largest first: likely mislabelled or misfitted points.

        Parameters
        ----------
        count : int
            How many, at most all.

        Returns
        -------
        list of int
            Positions in the data; with reduction "batch" each is the first example of its batch.

        Raises
        ------
        TypeError, ValueError
            If `count` is no positive whole number.

        Notes
        -----
        The Gauss-Newton form does not see labels; "lanczos" and "exact" do.
        """
        order = self.contributions.argsort(descending=True, stable=True)[: whole_number("count", count)]
        positions: list[int] = self.positions[order].tolist()
        return positions

    def table(self) -> str:
        """The layers with their maximum, 95th percentile and mean, and the measure of each, as text."""
        columns = {name: self.layer_values(name) for name in get_args(Statistic)}
        width = max(map(len, [*self.layers, "measure"]))
        head = " ".join(f"{name:>10}" for name in columns)
        rows = [
            f"{layer:<{width}} " + " ".join(f"{values[layer]:10.4g}" for values in columns.values())
            for layer in self.layers
        ]
        last = f"{'measure':<{width}} " + " ".join(f"{self.measure_of(name):10.4g}" for name in columns)
        return "\n".join([f"{'layer':<{width}} {head}", *rows, last, f"C = {self.loss_bound:.4g}, n = {self.n}"])


def hessian_distance(
    model: nn.Module,
    reference: Reference,
    data: Any,
    *,
    loss: Loss = "cross_entropy",
    layers: Layers = None,
    head: str | Iterable[str] | None = None,
    method: Method = "lanczos",
    reduction: Reduction = "example",
    batch_size: int = 4,
    steps: int = 20,
    n: int | None = None,
    chunk_size: int = 256,
    eval_mode: bool = False,
    device: torch.device | str | None = None,
) -> HessianDistance:
    """The Hessian distance measure of a fine-tuned model.

    Parameters
    ----------
    model : Module
        The fine-tuned model; its output are logits (B, k).
    reference : Module or mapping of str to Tensor
        The pretrained model or its state.
    data : pair ``(inputs, labels)`` or iterable of such pairs
        The examples that the maximum runs over.
    loss : "cross_entropy" or callable ``(logits, labels) -> scalar``
        A mean over the examples of a batch.
    layers : callable ``(name, parameter) -> bool`` or names, optional
        All trainable weights with two or four dimensions but embeddings by default.
    head : str or several, optional
        Layers without a pretrained value, by parameter or module: their distance is to zero.
    method : "lanczos", "ggn" or "exact"
        Lanczos on each example's block; the Gauss-Newton matrix, by one forward-mode pass per layer for all examples
        (equal to the Hessian for ReLU networks, a surrogate otherwise); or an eigendecomposition of each block, for
        layers of at most 2,048 weights.
    reduction : "example" or "batch"
        Blocks of single examples, or of mean losses over `batch_size` examples in a row, as the authors' code does.
    batch_size : int
        For the reduction "batch".
    steps : int
        Lanczos steps.
    n : int, optional
        Number of training examples in the bound; those of `data` by default.
    chunk_size : int
        Most examples at once.
    eval_mode : bool
        Switch a model in train mode to evaluation for the time of the call instead of refusing it.
    device : torch.device or str, optional
        Where the model is; that of its parameters by default.

    Returns
    -------
    HessianDistance

    Raises
    ------
    ValueError
        If a layer is missing in `reference` or of another shape, a label outside 0..k−1, a dropout or batch
        normalisation layer in train mode, a block too large for "exact", the data empty, or a value not finite.
    TypeError
        If an argument is of the wrong kind.

    Notes
    -----
    ``vᵀHv`` is not ``vᵀH⁺v``: negative curvature of one direction must not pay for another. Nor is it
    ``v_i·(Hv)_i`` of all layers at once, which mixes in the blocks off the diagonal. Cost for N examples and L layers:
    "ggn" L forward-mode passes; "lanczos" N·L·`steps` Hessian-vector products, in the memory of `steps` vectors for
    as many examples at once as fit into 256 MB.

    References
    ----------
    Ju, Li and Zhang, "Robust Fine-Tuning of Deep Neural Networks with Hessian-based Generalization Guarantees", ICML
    2022, Theorem 2.1.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> start = {name: p.detach() * 0.9 for name, p in model.named_parameters()}
    >>> found = hessian_distance(model, start, (torch.randn(20, 4), torch.arange(20) % 3), method="ggn")
    >>> sorted(found.per_layer), found.measure > 0
    (['0.weight', '2.weight'], True)
    """
    module("model", model)
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction must be one of {', '.join(get_args(Reduction))}, got {reduction!r}")
    batch_size, steps = whole_number("batch_size", batch_size), whole_number("steps", steps)
    chunk_size = whole_number("chunk_size", chunk_size)
    criterion = criterion_of(loss)
    weights = weight_layers(model, layers)
    start = reference_weights(weights, reference, head=head)
    moved = {name: (weight.detach() - start[name]).flatten() for name, weight in weights.items()}
    place = next(iter(weights.values())).device
    if device is not None and not same_place(device, place):
        raise ValueError(f"device must be where the model is ({place}), got {device}: move the model first")
    parts = batches("data", data, batch_size=chunk_size, model=model)
    held = [(move(inputs, place), labels.to(place)) for inputs, labels in parts]
    with deterministic(model, eval_mode=eval_mode):
        losses = example_losses(model, held, criterion, check_labels=loss == "cross_entropy")
        if reduction == "example":
            values, errors = example_forms(model, criterion, held, moved, method, steps)
            positions = torch.arange(len(values))
        else:
            groups = [group for batch in held for group in _split(batch, batch_size)]
            sizes = [len(labels) for _, labels in groups]
            if method == "ggn":
                values, errors = (
                    torch.stack([part.mean(0) for part in torch.split(found, sizes)])
                    for found in example_forms(model, criterion, held, moved, method, steps)
                )
            else:
                values, errors = batch_forms(model, criterion, groups, moved, method, steps)
            positions = torch.tensor([0, *sizes[:-1]]).cumsum(0)
    if not bool(values.isfinite().all()):
        raise ValueError("data: the curvature of an example is not finite")
    count = len(losses) if n is None else whole_number("n", n)
    return HessianDistance(
        tuple(weights), values.clamp_min(0).cpu(), errors.cpu(), losses.cpu(), count, method, reduction, positions
    )


def criterion_of(loss: Loss) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss as a function of logits and labels."""
    if loss == "cross_entropy":
        return nn.functional.cross_entropy
    if not callable(loss):
        raise ValueError(f"loss must be 'cross_entropy' or a callable (logits, labels) -> mean loss, got {loss!r}")
    return loss


@torch.no_grad()
def example_losses(
    model: nn.Module, held: list[Any], criterion: Callable[[Tensor, Tensor], Tensor], *, check_labels: bool
) -> Tensor:
    """Loss of every example; refuses labels that the model has no logit for."""
    found = []
    classes = number_of_classes("data", model, _first(held[0][0]))
    for inputs, labels in held:
        if check_labels:
            class_labels("data: labels", labels, classes)
        logits = call(model, inputs)
        if criterion is nn.functional.cross_entropy:
            found.append(nn.functional.cross_entropy(logits, labels, reduction="none"))
        else:
            found.append(torch.vmap(lambda row, label: criterion(row[None], label[None]))(logits, labels))
    losses = torch.cat(found)
    if not bool(losses.isfinite().all()):
        raise ValueError("data: the loss of an example is not finite")
    return losses


def same_place(device: Any, place: torch.device) -> bool:
    """Whether a device, as a user may write it, is `place`."""
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device must be a device of torch such as 'cpu' or 'cuda', got {device!r}") from None
    return wanted.type == place.type and wanted.index in (None, place.index)


def _first(inputs: Any) -> Any:
    return tuple(part[:1] for part in inputs) if isinstance(inputs, tuple) else inputs[:1]


def _split(batch: Any, size: int) -> list[Any]:
    inputs, labels = batch
    parts = zip(*(part.split(size) for part in inputs)) if isinstance(inputs, tuple) else inputs.split(size)
    return list(zip(parts, labels.split(size)))
