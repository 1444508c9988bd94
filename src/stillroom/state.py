"""The verbs that see a whole generation or more, in a worker: start, learn, audit."""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stillroom import dataset
from stillroom.checker import Failures
from stillroom.dataset import Dataset
from stillroom.engines.local import Job
from stillroom.errors import Stopped, UserError
from stillroom.record import canonical, task_prefix
from stillroom.shard import world_of
from stillroom.world import Context, Finding, World


def start_state(job: Job) -> str:
    """Call `start`; the path of what it made, or nothing."""
    return _stateful(job, "start", lambda world, ctx, sets: world.start(ctx))


def learn_state(job: Job) -> str:
    """Call `learn` on all generations so far; the path of the new state."""
    state = Path(job["state"]) if job["state"] else None
    return _stateful(job, "learn", lambda world, ctx, sets: world.learn(state, sets, ctx))


def _stateful(
    job: Job, verb: str, call: Callable[[World, Context, list[Dataset]], Path | None]
) -> str:
    world, ctx, sets = _whole(job, verb)
    return str(_private_bugs(world, job, verb, lambda: call(world, ctx, sets)) or "")


def audit_set(job: Job) -> list[dict[str, Any]]:
    """Call `audit` on all generations."""
    world, ctx, sets = _whole(job, "audit")
    found: list[dict[str, Any]] = _private_bugs(
        world, job, "audit", lambda: [_plain(one) for one in world.audit(sets, ctx)]
    )
    return found


def _plain(finding: Finding) -> dict[str, Any]:
    """A finding as JSON holds it: numpy's numbers are hashed as text and read as numbers."""
    fields = {
        key: value.item() if hasattr(value, "item") else value
        for key, value in asdict(finding).items()
    }
    for key in ("value", "low", "high"):
        given = fields[key]
        if given is None and key != "value":
            continue
        if not isinstance(given, (int, float)) or not math.isfinite(given):
            raise ValueError(f"the {key} of {finding.name!r} is {given!r:.60}, not a number")
    return fields


def _whole(job: Job, verb: str) -> tuple[World, Context, list[Dataset]]:
    """World, context and the generations so far, for the verbs that see the whole."""
    world = world_of(job["spec"], job["config"])
    number, state = job["generation"], Path(job["state"]) if job["state"] else None
    sets = [
        dataset.generation(Path(job["run"]), g) for g in range(0 if number is None else number + 1)
    ]
    key = canonical([task_prefix(world, job["seed"]).decode(), verb, number])
    return world, Context(key, state, None, lambda: Path(job["scratch"])), sets


def _private_bugs(world: World, job: Job, verb: str, call: Callable[[], Any]) -> Any:
    """The call's answer; of a private world an exception's message stays in RUN/private."""
    try:
        return call()
    except UserError:
        raise
    except Exception as wrong:
        words = Failures(world, Path(job["run"]), verb).note(verb, wrong)
        log = Path(job["run"]) / "private" / "tracebacks" / f"{verb}.txt"
        raise Stopped(f"{words}", job["where"], f"the traceback is in {log}") from None
