"""The ResNet-12 of few-shot learning: four blocks of three convolutions, for images of 84 × 84."""

from __future__ import annotations

from torch import Tensor, nn

from .validation import whole_number

WIDTHS = (64, 160, 320, 640)


class Block(nn.Module):
    """Three 3 × 3 convolutions beside a 1 × 1 one, then a maximum over 2 × 2."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for i in range(3):
            parts += [nn.Conv2d(before if i == 0 else width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
            parts += [nn.LeakyReLU(0.1)] if i < 2 else []
        self.main = nn.Sequential(*parts)
        self.side = nn.Sequential(nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width))
        self.last = nn.Sequential(nn.LeakyReLU(0.1), nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, width, height / 2, width / 2) of maps (B, before, height, width)."""
        found: Tensor = self.last(self.main(x) + self.side(x))
        return found


def resnet12(classes: int, widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    """A ResNet-12 with a linear head named ``head``.

    Parameters
    ----------
    classes : int
    widths : tuple of int
        Channels of the blocks, from the input to the output.

    Examples
    --------
    >>> import torch
    >>> resnet12(5, (4, 6, 8, 10)).eval()(torch.zeros(2, 3, 84, 84)).shape
    torch.Size([2, 5])
    """
    model = nn.Sequential()
    for i, (before, width) in enumerate(zip((3, *widths), widths), start=1):
        model.add_module(f"block{i}", Block(before, width))
    model.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    model.add_module("head", nn.Linear(widths[-1], whole_number("classes", classes, minimum=2)))
    return model
