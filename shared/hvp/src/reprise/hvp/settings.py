"""How curvature products are formed: the choices behind an operator's arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch.distributed import ProcessGroup

from .contexts import BatchNorm
from .data import Resident

Strategy = Literal["auto", "linearize", "retained", "forward-over-reverse", "reverse-over-reverse", "finite-difference"]
Block = Literal["auto", "loop", "vmap"]


@dataclass(frozen=True)
class Settings:
    """The arguments of `curvature.CurvatureOperator` that say how, not what.

    Raises
    ------
    ValueError
        If one has a value that does not exist.
    """

    strategy: Strategy = "auto"
    resident: Resident = "auto"
    memory_budget: int = 2**32
    block: Block = "auto"
    chunk_size: int | None = None
    compile: bool | str = False
    batch_norm: BatchNorm = "eval"
    freeze_randomness: bool = False
    allow_tf32: bool = False
    process_group: ProcessGroup | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("strategy", Strategy), ("block", Block), ("batch_norm", BatchNorm)):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(f"{name} must be one of {get_args(allowed)}, got {getattr(self, name)!r}")
        if self.resident not in (True, False, "auto"):
            raise ValueError(f"resident must be True, False or 'auto', got {self.resident!r}")
        if self.chunk_size is not None and self.chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {self.chunk_size}")
