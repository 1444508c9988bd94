"""A training by TRL as it goes on: how far it is, its checkpoints, and the Course that it was."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from stillroom import files
from stillroom.errors import Stopped, UserError
from stillroom.record import canonical, digest
from stillroom.students.chat import Example
from stillroom.students.training import Course, Training

Progress = Callable[[int, int, float], None]


def watch(
    progress: Progress,
    every: float,
    done: Callable[[Any], tuple[int, int]],
    enough: Callable[[Any], bool] = lambda state: False,
) -> Any:
    """A callback that tells how far it is, saves by the clock, and stops where it must."""
    from transformers import TrainerCallback

    began, saved = time.process_time(), time.monotonic()
    spent = last = 0.0

    class Watch(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            nonlocal spent, last
            before = [entry for entry in state.log_history if "cpu_seconds" in entry]
            if before:
                spent, last = before[-1]["cpu_seconds"], before[-1]["step"]

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            nonlocal saved
            control.should_training_stop |= enough(state)
            control.should_log |= state.global_step >= state.max_steps or enough(state)
            # At a point of the curve, so that none is half lost.
            if control.should_log and time.monotonic() - saved > every:
                control.should_save, saved = True, time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            nonlocal last
            entry = state.log_history[-1]
            if "loss" not in entry:
                return
            step, steps = done(state)
            value = entry["loss"]
            if value != value or value == float("inf"):
                raise Stopped(
                    f"the loss is {value} at step {step} of {steps}",
                    args.output_dir,
                    "lower the learning rate; the last good checkpoint is there",
                )
            entry["tokens"] = state.num_input_tokens_seen
            entry["cpu_seconds"] = spent + time.process_time() - began
            entry["steps"], last = step - last, step
            progress(step, steps, value)

    return Watch()


def course_of(state: Any) -> tuple[Course, list[dict[str, Any]]]:
    """What TRL noted down, before a resume too: a Course without `learnt`, and all its points."""
    points = [entry for entry in state.log_history if "cpu_seconds" in entry]
    curve = [(entry["step"], entry["tokens"], entry["loss"]) for entry in points]
    last = points[-1]
    course = Course(curve, last["step"], last["tokens"], 0, last["cpu_seconds"])
    return course, points


@contextmanager
def isolated(model: Any, how: Training) -> Iterator[None]:
    """Leave no traces of TRL: what it wraps around forward functions is taken off again."""
    import torch
    from transformers.utils import logging

    told: Any = logging
    loud = told.get_verbosity()
    before = {one: one.__dict__.get("forward") for one in model.modules()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what TRL calls in transformers
            yield
    except torch.OutOfMemoryError:
        raise UserError(
            f"out of memory with {how.batch} rows a step",
            do="raise `accumulate` (the result stays the same but for rounding) or lower `batch`",
        ) from None
    finally:
        told.set_verbosity(loud)
        for one, forward in before.items():
            one.__dict__.pop("forward", None)
            if forward is not None:
                one.forward = forward


def identity_of(kind: str, data: Sequence[Any], how: Training, seed: int) -> dict[str, Any]:
    rows = [[one.start, one.ids] if isinstance(one, Example) else list(one) for one in data]
    shown = digest(canonical(rows)).hex()
    return {"kind": kind, "data": shown, "training": how.model_dump(mode="json"), "seed": seed}


def resumable(out: Path, identity: dict[str, Any]) -> tuple[Path, Path | None]:
    """The folder for TRL and its newest checkpoint; UserError when another training is there."""
    known = files.read_json(out / "identity.json")
    if known is not None and known != orjson.loads(canonical(identity)):
        parts = ", ".join(key for key in identity if known.get(key) != identity[key])
        raise UserError(
            f"this folder holds another training: {parts} are different",
            out,
            "give another folder, or remove this one",
        )
    out.mkdir(parents=True, exist_ok=True)
    files.write_json(out / "identity.json", identity)
    return out, newest(out)


def newest(out: Path) -> Path | None:
    """The newest whole checkpoint.

    TRL writes them in place, the state last of all: one without a readable state was cut off.
    """
    whole = {}
    for found in out.glob("checkpoint-*"):
        try:
            whole[orjson.loads((found / "trainer_state.json").read_bytes())["global_step"]] = found
        except (OSError, orjson.JSONDecodeError, KeyError):
            continue
    return whole[max(whole)] if whole else None
