"""Products over data that is spread over processes: every process holds a shard of the data and the whole model.

One product moves P numbers twice: the vector, sent from the first process so that all multiply the same one, and the
sum of the weighted partial products. Works with gloo and nccl.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed import ProcessGroup

Group = ProcessGroup | Literal["world"] | None


def resolve_group(group: Group) -> ProcessGroup | None:
    """The process group, ``"world"`` for the default one.

    Raises
    ------
    ValueError
        If torch.distributed is not initialised.
    TypeError
        If it is no process group.
    """
    if group is None:
        return None
    if not dist.is_available() or not dist.is_initialized():
        raise ValueError("process_group needs torch.distributed.init_process_group() first")
    if group == "world":
        return dist.group.WORLD
    if not isinstance(group, ProcessGroup):
        raise TypeError(f"process_group must be a ProcessGroup, 'world' or None, got {type(group).__name__}")
    return group


def broadcast(rows: Tensor, group: ProcessGroup | None) -> Tensor:
    """The rows of the first process of the group, on all of them."""
    if group is None:
        return rows
    rows = rows.clone(memory_format=torch.contiguous_format)
    dist.broadcast(rows, dist.get_global_rank(group, 0), group=group)
    return rows


def sum_over(total: Tensor, weight: float, group: ProcessGroup | None) -> tuple[Tensor, float]:
    """Sums of `total` and `weight` over the processes of the group."""
    if group is None:
        return total, weight
    packed = torch.cat([total.reshape(-1), total.new_tensor([weight])])
    dist.all_reduce(packed, group=group)
    return packed[:-1].view_as(total), float(packed[-1])


def require_everywhere(error: Exception | None, size: int, group: ProcessGroup | None, device: torch.device) -> None:
    """Raise on every process if one of them failed, or if they differ in the number of parameters.

    Raises
    ------
    ValueError
        On the processes that did not fail themselves.
    """
    if group is None:
        if error is not None:
            raise error
        return
    report = torch.tensor([float(error is not None), float(size), -float(size)], dtype=torch.float64, device=device)
    dist.all_reduce(report, op=dist.ReduceOp.MAX, group=group)
    if error is not None:
        raise error
    if report[0] > 0:
        raise ValueError("process_group: another process could not build its operator")
    if report[1] != -report[2]:
        raise ValueError(f"process_group: processes must have as many parameters, got {size} and others")
