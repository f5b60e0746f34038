"""The papers' image sets and pretrained ResNets, as the experiments at scale paper share them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class ImageTask:
    """A pretrained network with a new head, and the parts of an image set; `weak` are labels given to `train`."""

    model: nn.Module
    train: tuple[Any, Tensor]
    validation: tuple[Any, Tensor]
    test: tuple[Any, Tensor]
    classes: int
    weak: Tensor | None = None


def image_task(name: str, depth: int, seed: int, context: Context) -> ImageTask:
    """One image set with a ResNet: a tenth of the training images, by `seed`, is set aside for validation."""
    data_set, read = READERS[name]
    images = read(context.data(data_set))
    inputs, labels = images.train
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    kept, aside = order[len(order) // 10 :], order[: len(order) // 10]
    return ImageTask(
        resnet(depth, images.classes, seed, context).to(context.device),
        (Chosen(inputs, kept), labels[kept]),
        (Chosen(inputs, aside), labels[aside]),
        images.test,
        images.classes,
        None if images.weak is None else images.weak[kept],
    )


def resnet(depth: int, classes: int, seed: int, context: Context) -> nn.Module:
    """A ResNet of torchvision with the weights of ImageNet and a new head ``fc``."""
    from torchvision import models

    model: nn.Module = getattr(models, f"resnet{depth}")()
    file = context.data(data_sets.RESNETS) / data_sets.RESNET_FILES[depth]
    model.load_state_dict(torch.load(file, weights_only=True))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.fc = nn.Linear(model.fc.in_features, classes)  # type: ignore[union-attr, arg-type]
    return model


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
