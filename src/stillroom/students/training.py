"""The training loop: any causal language model, resumed exactly where it was."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from stillroom.errors import Stopped, UserError
from stillroom.record import canonical, digest
from stillroom.students import checkpoints, several
from stillroom.students.batches import Batch, Examples, collate, pack, packed, passes
from stillroom.students.chat import Example
from stillroom.students.forward import learnt_logits, token_loss
from stillroom.students.schedule import rate_at

POINTS = 100  # of a loss curve


class Training(BaseModel, frozen=True, extra="forbid"):
    """How a student is trained. All of it decides the weights, the number of threads too."""

    tokens: int = Field(default=700_000, ge=1)
    """Tokens that are trained on, prompts included, padding not."""
    learning_rate: float = Field(default=2e-3, gt=0)
    batch: int = Field(default=32, ge=1)
    """Examples of one step (rows, when packed)."""
    accumulate: int = Field(default=1, ge=1)
    """Parts that a step's batch is worked on in, to save memory."""
    layout: Literal["rows", "packed"] = "rows"
    warmup: float = Field(default=0.05, ge=0, le=1)
    floor: float = Field(default=0.05, ge=0, le=1)
    """The share of the learning rate that the cosine ends at."""
    decay: float = Field(default=0.05, ge=0)
    """Weight decay, on matrices alone."""
    clip: float = Field(default=1.0, gt=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = Field(default=1, ge=1)


Loss = Callable[[Any, Batch], Any]
"""Logits [N, V] of the learnt places and the batch -> the summed loss over those N tokens."""


@dataclass
class Course:
    """How a training went: (step, tokens, mean loss) since the point before, and its cost."""

    curve: list[tuple[int, int, float]] = field(default_factory=list)
    steps: int = 0
    tokens: int = 0
    learnt: int = 0
    cpu_seconds: float = 0.0


def plan(data: Examples, how: Training, context: int, seed: int) -> tuple[int, Iterator[Batch]]:
    """How many steps use up the tokens, and the endless batches; `skip` some by `islice`."""
    if not len(data):
        raise UserError(
            "there is nothing to learn from: no answer was accepted",
            do="see why they were refused, in the report or with `stillroom show`",
        )
    if how.layout == "packed":
        once = len(packed(data.lengths, how.batch, context, seed, 0))
    else:
        once = math.ceil(len(data) / how.batch)
    return max(1, round(how.tokens * once / data.tokens)), _batches(data, how, context, seed)


def fit(
    model: Any,
    examples: Sequence[Example],
    how: Training,
    *,
    seed: int,
    folder: Path | None = None,
    loss: Loss = token_loss,
    about: dict[str, Any] | None = None,
    width: int | None = None,
    progress: Callable[[int, int, float], None] = lambda step, steps, value: None,
    every: float = 30.0,
) -> Course:
    """Train `model` in place; with a `folder`, go on from its checkpoint and leave one there.

    The loss is normalised by the tokens that are learnt in a step, however it is accumulated.
    Packed rows are `width` tokens wide, by default as many as the model's context holds. Chance in
    the model (dropout) comes from `seed` and the number of the step, so a resumed training has it
    too. Raises UserError when the folder holds another training, Stopped when loss or gradient is
    no number: the last good checkpoint stays.
    """
    import torch

    if model.device.type == "cpu":
        torch.set_num_threads(how.threads)
    data = Examples(examples)
    steps, batches = plan(data, how, width or model.config.max_position_embeddings, seed)
    optimizer = optimizer_of(model, how)
    identity = _identity(examples, how, seed, about or {})
    course, first = Course(), 0
    if folder is not None:
        course, first = checkpoints.resume(folder, model, optimizer, identity, Course)
    for _ in range(first):
        next(batches)
    began, saved = time.process_time(), time.monotonic()
    spent, point, total, learnt = course.cpu_seconds, max(1, steps // POINTS), 0.0, 0
    model.train()
    for step in range(first, steps):
        batch = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = how.learning_rate * rate_at(step, steps, how.warmup, how.floor)
        with _chance(model, seed, step):
            value = update(model, optimizer, batch, how, loss)
        if not math.isfinite(value):
            raise Stopped(
                f"the loss is {value} at step {step + 1} of {steps}",
                folder or "",
                "lower the learning rate" + ("; the last good checkpoint stays" if folder else ""),
            )
        total, learnt = total + value * len(batch.labels), learnt + len(batch.labels)
        course.tokens += batch.tokens
        course.learnt += len(batch.labels)
        course.steps = step + 1
        if (step + 1) % point == 0 or step + 1 == steps:
            course.curve.append((step + 1, course.tokens, total / learnt))
            progress(step + 1, steps, total / learnt)
            total, learnt = 0.0, 0
        course.cpu_seconds = spent + time.process_time() - began
        at_point = (step + 1) % point == 0
        due = folder is not None and at_point and time.monotonic() - saved > every
        if folder is not None and due and several.place()[0] == 0:
            checkpoints.save(folder, model, optimizer, identity, course)
            saved = time.monotonic()
    model.eval()
    return course


def optimizer_of(model: Any, how: Training) -> Any:
    """AdamW (Loshchilov and Hutter, 2019), fused; no decay on gains and biases."""
    import torch

    learnt = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learnt if p.dim() > 1], "weight_decay": how.decay},
        {"params": [p for p in learnt if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=how.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )


def update(model: Any, optimizer: Any, batch: Batch, how: Training, loss: Loss) -> float:
    """One step on a batch, at the rate that the optimizer has; the mean loss of its tokens.

    NaN, and no step, where loss or gradient is no number. UserError when memory is short.
    """
    import torch

    whole, device = 0.0, model.device
    mixed = how.precision == "bf16" or (how.precision == "auto" and device.type == "cuda")
    try:
        rank, count = several.place()
        shares = _parts(batch, count)
        mine = shares[rank : rank + 1] if count > 1 else [batch]
        for part in (part for share in mine for part in _parts(share, how.accumulate)):
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                logits = learnt_logits(model, part, device)
            summed = loss(logits, part)
            (summed / len(batch.labels)).backward()
            whole += summed.item()
        if count > 1:
            whole = several.add_up(model, whole)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), how.clip)
        if not (math.isfinite(whole) and math.isfinite(norm)):
            return math.nan
        optimizer.step()
    except RuntimeError as wrong:
        if not _out_of_memory(wrong):
            raise
        raise UserError(
            f"out of memory with {batch.ids.shape[0]} rows of {batch.ids.shape[1]} tokens a step",
            do="raise `accumulate` (the result stays the same but for rounding) or lower `batch`",
        ) from None
    finally:
        optimizer.zero_grad(set_to_none=True)
    return whole / len(batch.labels)


def _out_of_memory(wrong: RuntimeError) -> bool:
    """A GPU's allocator has an exception of its own, the CPU's has words alone."""
    import torch

    return isinstance(wrong, torch.OutOfMemoryError) or "can't allocate memory" in str(wrong)


@contextmanager
def _chance(model: Any, seed: int, step: int) -> Iterator[None]:
    """Chance inside the model decided by the step; the caller's own is left as it was."""
    import torch

    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(1_000_003 * seed + step)
        yield


def _parts(batch: Batch, count: int) -> list[Batch]:
    """A batch's rows in `count` parts, without the width that only others need."""
    if count == 1:
        return [batch]
    import torch

    width, parts = batch.ids.shape[1], []
    row_of = batch.flat // width
    for rows in torch.arange(batch.ids.shape[0]).tensor_split(count):
        if not len(rows):
            continue
        first, last = int(rows[0]), int(rows[-1])
        mine = (row_of >= first) & (row_of <= last)
        parts.append(
            Batch(
                batch.ids[first : last + 1],
                batch.flat[mine] - first * width,
                batch.labels[mine],
                batch.rows[first : last + 1],
                0,
                None if batch.positions is None else batch.positions[first : last + 1],
            )
        )
    return parts


def _batches(data: Examples, how: Training, context: int, seed: int) -> Iterator[Batch]:
    number = 0
    while True:
        if how.layout == "packed":
            for rows in packed(data.lengths, how.batch, context, seed, number):
                yield pack(data, rows, 0)
        else:
            for some in passes(data.lengths, how.batch, seed, number):
                yield collate(data, some, 0)
        number += 1


def _identity(
    examples: Sequence[Example], how: Training, seed: int, about: dict[str, Any]
) -> dict[str, Any]:
    shown = digest(canonical([[one.start, one.ids] for one in examples])).hex()
    return {"examples": shown, "training": how.model_dump(mode="json"), "seed": seed, **about}
