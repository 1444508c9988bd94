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

    _remove_parts(folder)
    part = folder / f".{NAME}.{os.getpid()}.part"
    part.mkdir(parents=True)
    learnt = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    save_file({name: p.contiguous() for name, p in learnt.items()}, part / "weights.safetensors")
    moments = {}
    for name in learnt:
        for key, value in optimizer.state[model.get_parameter(name)].items():
            moments[f"{name}|{key}"] = value.detach().contiguous()
    save_file(moments, part / "optimizer.safetensors")
    told = {"identity": identity, "files": files.tree(part), **asdict(course)}
    files.write_json(part / "course.json", files.seal(told))
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
    told = files.read_json(found[-1] / "course.json")
    if told is None or not files.sealed(told) or told["files"] != _hashes(found[-1]):
        raise UserError("this checkpoint is damaged", found[-1], "remove it to start again")
    if told["identity"] != identity:
        raise UserError(
            f"this folder holds another training: {_differences(told['identity'], identity)} "
            "are different",
            folder,
            "give another folder, or remove this one",
        )
    course = kind(**{k: v for k, v in told.items() if k not in ("identity", "files", "seal")})
    course.curve = [tuple(point) for point in course.curve]
    weights = load_file(found[-1] / "weights.safetensors")
    moments = load_file(found[-1] / "optimizer.safetensors")
    _load(model, optimizer, weights, moments)
    return course, course.steps


def clear(folder: Path) -> None:
    """Remove the checkpoints of a finished training."""
    _remove_parts(folder)
    for old in folder.glob(f"{NAME}-*"):
        shutil.rmtree(old)


def _remove_parts(folder: Path) -> None:
    """What processes that were killed had begun to write."""
    for part in folder.glob(f".{NAME}.*.part"):
        shutil.rmtree(part, ignore_errors=True)


def _hashes(checkpoint: Path) -> dict[str, str]:
    found = files.tree(checkpoint)
    del found["course.json"]  # it has a seal of its own
    return found


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


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))
