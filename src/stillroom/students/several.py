"""Several processes that train one student together, as `accelerate launch` starts them.

Each works on its rows of every batch; gradients are added up before the step, so all take the same
one, and the result is that of a single process but for rounding.
"""

import os
from typing import Any


def place() -> tuple[int, int]:
    """This process's number and how many there are; (0, 1) unless a launcher has set them."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return 0, 1
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    if state.num_processes != count:
        raise RuntimeError(f"{count} processes were launched, {state.num_processes} found together")
    return int(state.process_index), int(state.num_processes)


def add_up(model: Any, loss: float) -> float:
    """Sum the gradients of all processes into each, and their losses."""
    import torch
    from torch import distributed

    for parameter in model.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:  # this process had no row of the batch
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)
    total = torch.tensor(loss, dtype=torch.float64, device=model.device)
    distributed.all_reduce(total)
    return float(total)
