"""What is to be made: a recipe as the fold knows it, and the shards of a generation as jobs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from stillroom import parts
from stillroom.engines.local import Job
from stillroom.errors import UserError
from stillroom.record import task_json
from stillroom.shard import Making
from stillroom.store import Run
from stillroom.world import Teacher, World


@dataclass(frozen=True)
class Plan:
    """What the fold needs to know of a recipe."""

    world: World
    spec: dict[str, str]
    config: dict[str, Any]
    seed: int
    count: int
    identity: str
    teacher: Teacher | None = None
    minutes: float | None = None
    """Of making, after which the generation that ends is the last."""


def shortened(plan: Plan, generations: int) -> Plan:
    """The plan of a run that has so many generations."""
    world = plan.world.model_copy(update={"generations": generations})
    return replace(plan, world=world, config=world.model_dump(mode="json"))


class Source:
    """The shards of a generation as jobs, lazily from the world's plan."""

    def __init__(self, plan: Plan, run: Run, number: int, state: Path | None) -> None:
        self.plan, self.run, self.number, self.state = plan, run, number, state
        self.given = 0
        self.expected: list[int] = []  # records that each shard given so far may bring

    def jobs(self) -> Iterator[Job]:
        tasks = self._tasks()
        size, first, index = type(self.plan.world).shard, 0, 0
        while batch := list(islice(tasks, size)):
            texts = [text for text, _ in batch]
            self.expected.append(sum(expected for _, expected in batch))
            yield making(self.plan, self.run, self.number, self.state, index, first, texts)
            first, index = first + len(batch), index + 1

    def _tasks(self) -> Iterator[tuple[str, int]]:
        """Tasks as canonical JSON, and how many records each may give."""
        where = f"{type(self.plan.world).__name__}.plan({self.number})"
        for task in self.plan.world.plan(self.number):
            try:
                text = task_json(task)
            except (TypeError, ValueError) as wrong:
                raise UserError(f"a task is not JSON: {wrong}", where) from None
            self.given += 1
            yield text, self.plan.world.expected(task)

    def worst(self) -> str:
        """The commonest reason for a "no" so far, in words."""
        reasons: dict[str, int] = {}
        for file in sorted(self.run.generation(self.number).glob("[0-9]*.rest.parquet"))[:50]:
            for row in parts.shard_rows(file):
                checks = row["verdict"]["checks"]
                first = next((c for c in checks if not c["ok"]), {"name": "no check", "detail": ""})
                reason = f"{first['name']}: {first['detail']}"
                reasons[reason] = reasons.get(reason, 0) + 1
        name = type(self.plan.world).__name__
        if not reasons and not self.given:
            return f"{name}.plan({self.number}) gave no task"
        if not reasons:
            return f"{name}.make gave no record for most tasks"
        reason = max(reasons, key=lambda r: reasons[r])
        return f"the commonest reason ({reasons[reason]} times): {reason}"


def making(
    plan: Plan, run: Run, number: int, state: Path | None, index: int, first: int, tasks: list[str]
) -> Job:
    """One shard's work (a shard.Making) as a job."""
    return vars(
        Making(
            spec=plan.spec,
            config=plan.config,
            seed=plan.seed,
            generation=number,
            index=index,
            first=first,
            tasks=tasks,
            run=str(run.folder.resolve()),
            state=str(state.resolve()) if state else "",
            model=plan.teacher.model if plan.teacher else "",
            where=f"shard {index} of generation {number}",
        )
    )
