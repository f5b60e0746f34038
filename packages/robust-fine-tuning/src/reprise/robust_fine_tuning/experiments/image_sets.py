"""The papers' image sets and pretrained ResNets, as the experiments at scale paper share them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reprise.core import Context, DataSet
from reprise.robust_fine_tuning.experiments import data_sets
from reprise.robust_fine_tuning.fine_grained_data import aircrafts, cars, cub_200, dogs, flowers
from reprise.robust_fine_tuning.image_data import ImageSet, caltech_256, cifar, domainnet_sample, mit_indoor

READERS: dict[str, tuple[DataSet, Callable[[Path], ImageSet]]] = {
    "indoor": (data_sets.INDOOR, mit_indoor),
    "caltech": (data_sets.CALTECH, caltech_256),
    "aircrafts": (data_sets.AIRCRAFTS, aircrafts),
    "cub": (data_sets.CUB, cub_200),
    "cars": (data_sets.CARS, cars),
    "dogs": (data_sets.DOGS, dogs),
    "flowers": (data_sets.FLOWERS, flowers),
    "cifar10": (data_sets.CIFAR10, partial(cifar, classes=10)),
    "cifar100": (data_sets.CIFAR100, partial(cifar, classes=100)),
    **{name: (data_sets.DOMAINNET, partial(domainnet_sample, domain=name)) for name in data_sets.DOMAINS},
}

Initial = Literal["pretrained", "adversarial", "random"]
WRAPPED = "module.model."


@dataclass(frozen=True)
class ImageTask:
    """A pretrained network with a new head, and the parts of an image set; `weak` are labels given to `train`."""

    model: nn.Module
    train: tuple[Any, Tensor]
    validation: tuple[Any, Tensor]
    test: tuple[Any, Tensor]
    classes: int
    weak: Tensor | None = None


def image_task(name: str, depth: int, seed: int, context: Context, initial: Initial = "pretrained") -> ImageTask:
    """One image set with a ResNet: a tenth of the training images, by `seed`, is set aside for validation."""
    data_set, read = READERS[name]
    images = read(context.data(data_set))
    inputs, labels = images.train
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    kept, aside = order[len(order) // 10 :], order[: len(order) // 10]
    return ImageTask(
        resnet(depth, images.classes, seed, context, initial).to(context.device),
        (Chosen(inputs, kept), labels[kept]),
        (Chosen(inputs, aside), labels[aside]),
        images.test,
        images.classes,
        None if images.weak is None else images.weak[kept],
    )


def resnet(depth: int, classes: int, seed: int, context: Context, initial: Initial = "pretrained") -> nn.Module:
    """A ResNet of torchvision with a new head ``fc``: with the weights of ImageNet, pretrained there as it is or
    against adversaries, or with random ones."""
    from torchvision import models

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = getattr(models, f"resnet{depth}")()
        head = nn.Linear(model.fc.in_features, classes)  # type: ignore[union-attr, arg-type]
    if initial != "random":
        data_set, file = (
            (data_sets.RESNETS, data_sets.RESNET_FILES[depth])
            if initial == "pretrained"
            else (data_sets.ROBUST_RESNETS, data_sets.ROBUST_RESNET_FILES[depth])
        )
        model.load_state_dict(_state(torch.load(context.data(data_set) / file, weights_only=True)))
    model.fc = head
    return model


def _state(saved: dict[str, Any]) -> dict[str, Tensor]:
    """Weights as torchvision names them; adversarially trained ones are wrapped in the attack that they withstand."""
    weights = saved.get("model", saved)
    wrapped = {name.removeprefix(WRAPPED): value for name, value in weights.items() if name.startswith(WRAPPED)}
    return wrapped or weights


@dataclass(frozen=True)
class Chosen:
    """Some of the inputs of a larger set."""

    inputs: Any
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, index: Tensor) -> Any:
        """The inputs at `index` of the chosen ones."""
        return self.inputs.batch(self.index[index])
