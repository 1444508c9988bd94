"""A budget in minutes: how long a run was worked on, and which generation that made its last.

A clock decides nothing else. The number is pinned in run.json, so that from then on the run is one
of so many generations, with the root that it would have if they had been asked for by number.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from stillroom import files
from stillroom.world import World

WORK = {"start", "shard", "generation", "learn", "stopped"}  # events before which a run was making


def clock(folder: Path) -> Callable[[], float]:
    """Seconds of making from the run's beginning until the call, in all its sessions."""
    before, began = worked(folder), time.monotonic()
    return lambda: before + time.monotonic() - began


def worked(folder: Path) -> float:
    """Seconds of making in the sessions so far, the killed ones too, from events.jsonl.

    What lies between sessions counts nothing, nor does a step in which the clock was set back.
    """
    seconds, last = 0.0, None
    for kind, at in _events(folder / "events.jsonl"):
        if kind in WORK and last is not None:
            seconds += max(0.0, at - last)
        if kind in WORK or kind == "begin":
            last = at
        elif kind == "done":
            last = None
    return seconds


def _events(path: Path) -> Iterator[tuple[str, float]]:
    """(kind, time) of each event; a line that a killed run left half written is none."""
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            event = orjson.loads(line)
            yield str(event["event"]), float(event["time"])
        except (ValueError, TypeError, KeyError):
            continue


def pin(run: Path, last: int, minutes: float) -> None:
    """Write into run.json that the minutes made this generation the last."""
    _write(run, {"last": last, "minutes": minutes})


def left(
    run: Path, about: dict[str, Any] | None, world: World, minutes: float | None
) -> tuple[World, float | None]:
    """The world with the generations that are to be made, and the minutes that may cut them.

    Where run.json (`about`) says which is the last and no more minutes are given now, it stays
    the last, and nothing may be cut any more; else the pin is taken out, and the run goes on.
    """
    if about is None or "last" not in about:
        return world, minutes
    if minutes is not None and minutes <= about["minutes"]:
        pinned = min(world.generations, about["last"] + 1)
        return world.model_copy(update={"generations": pinned}), None
    _write(run, {})
    return world, minutes


def _write(run: Path, pinned: dict[str, Any]) -> None:
    about = files.read_json(run / "run.json") or {}
    kept = {key: about[key] for key in about if key not in ("last", "minutes", "seal")}
    files.write_json(run / "run.json", files.seal(kept | pinned))
