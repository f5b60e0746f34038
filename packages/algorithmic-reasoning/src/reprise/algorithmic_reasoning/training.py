"""Training on fresh graphs, one batch and one update for each task in turn, and evaluation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.losses import Prediction, loss, score
from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.sampling import FAMILIES, sample
from reprise.algorithmic_reasoning.trajectories import Trajectories
from reprise.algorithmic_reasoning.validation import integer, number

Progress = Callable[[int, int], None]
_VALIDATION_GRAPHS = 64


@dataclass(frozen=True)
class History:
    """What happened in training.

    Attributes
    ----------
    losses : list of dict of str to float
        Loss of each task, per step.
    scores : list of dict of str to float
        Validation score of each task, every `validate_every` steps, with ``step``.
    best_step : int
        Whose weights the model has at the end: those with the largest sum of validation scores.
    """

    losses: list[dict[str, float]] = field(default_factory=list)
    scores: list[dict[str, float]] = field(default_factory=list)
    best_step: int = 0


def fit(
    model: Reasoner,
    *,
    steps: int,
    batch_size: int = 4,
    nodes: int = 16,
    lr: float = 2.5e-4,
    clip: float = 1.0,
    validate_every: int = 50,
    tasks: Sequence[str] | None = None,
    parameters: Sequence[str] | None = None,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> History:
    """Train on fresh random graphs, and keep the weights that validate best.

    Parameters
    ----------
    model : Reasoner
        Changed in place.
    steps : int
        In each, every task gets one batch and one update of Adam.
    batch_size : int
        Graphs per batch.
    nodes : int
        N.
    lr : float
        Step size of Adam.
    clip : float
        Largest norm of a gradient.
    validate_every : int
        Steps between two validations on 64 graphs per task of the same size; 0 to keep the last weights.
    tasks : sequence of str, optional
        Those to train on; all of the model's when not given.
    parameters : sequence of str, optional
        Names of those to train; all when not given.
    generator : torch.Generator, optional
        Source of the graphs.
    progress : callable, optional
        ``progress(done, steps)``.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If a number is out of range, a name unknown, or a loss not finite.

    Notes
    -----
    Training graphs have many densities (``FAMILIES[name].training_p``) and random positions, as the official runs have;
    validation graphs one density. Parameters that an update does not use keep no gradient, and Adam leaves them alone.
    """
    steps, batch_size, nodes = integer("steps", steps), integer("batch_size", batch_size), integer("nodes", nodes)
    number("lr", lr, open_=True)
    number("clip", clip, open_=True)
    integer("validate_every", validate_every, minimum=0)
    names = list(model.routes) if tasks is None else [_known(model, name) for name in tasks]
    trained = _chosen(model, parameters)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    held_out = {name: fresh_graphs(name, nodes, _VALIDATION_GRAPHS, generator, training=False) for name in names}
    device = trained[0].device
    optimizer = torch.optim.Adam(trained, lr=lr, fused=True)  # one kernel: a third of a short task's time otherwise
    history, best, best_step, best_state = History(), -1.0, steps, None
    for step in range(1, steps + 1):
        model.train()
        losses = {}
        for name in names:
            batch = fresh_graphs(name, nodes, batch_size, generator, training=True).to(device)
            model.zero_grad(set_to_none=True)
            value = loss(model(batch), batch)
            if not bool(value.isfinite()):
                raise ValueError(f"the loss of {name} is {float(value.detach())} at step {step}: lower lr")
            torch.autograd.backward(value)
            used = [parameter for parameter in trained if parameter.grad is not None]
            nn.utils.clip_grad_norm_(used, clip)
            optimizer.step()
            losses[name] = float(value.detach())
        history.losses.append(losses)
        if validate_every and (step % validate_every == 0 or step == steps):
            scores = {name: evaluate(model, held_out[name]) for name in names}
            history.scores.append({"step": float(step), **scores})
            if sum(scores.values()) > best:
                best, best_step = sum(scores.values()), step
                best_state = copy.deepcopy(model.state_dict())
        if progress is not None:
            progress(step, steps)
    if best_state is not None:
        model.load_state_dict(best_state)
    model.zero_grad(set_to_none=True)
    return History(history.losses, history.scores, best_step)


@torch.no_grad()
def evaluate(model: Reasoner, trajectories: Trajectories, *, batch_size: int = 32) -> float:
    """Score of a model on trajectories, from 0 to 1; F1 of masks is over all of them together.

    Parameters
    ----------
    model : Reasoner
    trajectories : Trajectories
    batch_size : int
        Graphs at once.

    Raises
    ------
    ValueError
        If the model was not made for this algorithm.
    """
    integer("batch_size", batch_size)
    training = model.training
    model.eval()
    # Graphs of like lengths together: a batch takes as many steps as its longest.
    order = trajectories.lengths.argsort(stable=True).tolist()
    parts: list[Mapping[str, Tensor]] = []
    for start in range(0, len(order), batch_size):
        part = trajectories.select(order[start : start + batch_size])
        parts.append(model(part, keep_hints=False).outputs)
    model.train(training)
    joined = {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
    return score(Prediction(trajectories.name, joined, {}), trajectories.select(order).to("cpu"))


def fresh_graphs(name: str, nodes: int, count: int, generator: torch.Generator, *, training: bool) -> Trajectories:
    """A batch of an algorithm: in training of many densities, else of the one of the official splits."""
    seed = int(torch.randint(2**31, (), generator=generator))
    p = FAMILIES[name].training_p if training else None
    return sample(name, nodes=nodes, samples=count, seed=seed, p=p, positions="random")


def _known(model: Reasoner, name: str) -> str:
    if name not in model.routes:
        raise ValueError(f"tasks must be among {', '.join(model.routes)}, got {name!r}")
    return name


def _chosen(model: Reasoner, names: Sequence[str] | None) -> list[nn.Parameter]:
    named = dict(model.named_parameters())
    unknown = [name for name in names or () if name not in named]
    if unknown or (names is not None and len(names) == 0):
        raise ValueError(f"parameters must be names of the model's, at least one, got {unknown or names}")
    return list(named.values()) if names is None else [named[name] for name in names]
