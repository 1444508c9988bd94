"""Checkpoints of a training: weights, optimizer and course, written whole, in safetensors."""

import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stillroom import files
from stillroom.errors import UserError

NAME = "checkpoint"


def save(folder: Path, model: Any, optimizer: Any, identity: dict[str, Any], course: Any) -> None:
    """Put a checkpoint in the place of the one before; at every moment a whole one is there."""
    from safetensors.torch import save_file

    part = folder / f".{NAME}.{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    learnt = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    save_file({name: p.contiguous() for name, p in learnt.items()}, part / "weights.safetensors")
    moments = {}
    for name, p in learnt.items():
        for key, value in optimizer.state[_parameter(model, name)].items():
            moments[f"{name}|{key}"] = value.detach().contiguous()
        del p
    save_file(moments, part / "optimizer.safetensors")
    files.write_json(part / "course.json", files.seal({"identity": identity, **asdict(course)}))
    for file in part.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    # Two names in turn: a rename can't replace a folder that is not empty.
    new = folder / f"{NAME}-{course.steps:08d}"
    shutil.rmtree(new, ignore_errors=True)
    part.rename(new)
    for old in sorted(folder.glob(f"{NAME}-*"))[:-1]:
        shutil.rmtree(old)


def resume(
    folder: Path, model: Any, optimizer: Any, identity: dict[str, Any], kind: Any
) -> tuple[Any, int]:
    """Load the newest checkpoint into model and optimizer: (its course, steps done)."""
    from safetensors.torch import load_file

    found = sorted(folder.glob(f"{NAME}-*"))
    if not found:
        return kind(), 0
    told = files.read_json(found[-1] / "course.json", "identity", "curve", "steps")
    if told is None or not files.sealed(told):
        raise UserError("this checkpoint is damaged", found[-1], "remove it to start again")
    if told["identity"] != identity:
        raise UserError(
            f"this folder holds another training: {_differences(told['identity'], identity)} "
            "are different",
            folder,
            "give another folder, or remove this one",
        )
    try:
        weights = load_file(found[-1] / "weights.safetensors")
        moments = load_file(found[-1] / "optimizer.safetensors")
    except Exception as wrong:
        raise UserError(
            f"this checkpoint is damaged: {wrong}", found[-1], "remove it to start again"
        ) from None
    course = kind(**{k: v for k, v in told.items() if k not in ("identity", "seal")})
    course.curve = [tuple(point) for point in course.curve]
    _load(model, optimizer, weights, moments)
    return course, course.steps


def clear(folder: Path) -> None:
    """Remove the checkpoints of a finished training."""
    for old in folder.glob(f"{NAME}-*"):
        shutil.rmtree(old)


def _load(model: Any, optimizer: Any, weights: dict[str, Any], moments: dict[str, Any]) -> None:
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(weights[name])
                state = {
                    key.rpartition("|")[2]: value.to(parameter.device)
                    for key, value in moments.items()
                    if key.rpartition("|")[0] == name
                }
                optimizer.state[parameter] = state


def _parameter(model: Any, name: str) -> Any:
    return model.get_parameter(name)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))
