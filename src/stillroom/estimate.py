"""What asking a teacher will take, told before anything is paid for."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from stillroom.answer import Answer
from stillroom.errors import UserError
from stillroom.record import task_id, task_json, task_prefix
from stillroom.teachers.budget import Budget
from stillroom.teachers.settings import Settings
from stillroom.world import Context, Message, World

REHEARSED = 4  # tasks whose prompts are looked at
UNSAID = 1024  # tokens of an answer, where the recipe sets no max_tokens
TOKENS_A_SECOND = 40  # what one stream of a usual server gives; the time rests on this
BYTES_A_TOKEN = 6  # of disk: the ledger's raw answer, and the record


@dataclass(frozen=True)
class Estimate:
    """At most so much, if every task is kept; money is None when the recipe names no price."""

    model: str
    url: str
    tasks: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    money: float | None
    seconds: float
    disk_bytes: int
    recorded: int

    @property
    def words(self) -> str:
        money = "unknown (no teacher.price in the recipe)"
        if self.money is not None:
            money = f"{self.money:.2f}"
        known = f"{self.recorded:,} answers are there already and cost nothing. "
        return (
            f"{self.model} at {self.url} would be asked about {self.calls:,} times for "
            f"{self.tasks:,} tasks: {self.prompt_tokens:,} tokens of prompts, at most "
            f"{self.completion_tokens:,} of answers. Money: {money}. Time: about "
            f"{duration(self.seconds)} at {TOKENS_A_SECOND} tokens a second and stream. "
            f"Disk: {self.disk_bytes / 1e6:.1f} MB. {known if self.recorded else ''}"
            "Tasks whose records are refused come on top."
        )


async def estimate(
    world: World, settings: Settings, count: int, seed: int, recorded: int
) -> Estimate:
    """From the prompts of the first tasks, put to a teacher that says nothing."""
    size = type(world).shard
    tasks = -(-count // size) * size * world.generations
    seen = [
        await _rehearse(world, index, task, seed)
        for index, task in enumerate(islice(world.plan(0), REHEARSED))
    ]
    calls = _mean([len(lengths) for lengths in seen]) or 1.0
    characters = _mean([sum(lengths) for lengths in seen])
    return priced(settings, tasks, round(tasks * calls), tasks * characters, recorded)


def priced(
    settings: Settings, tasks: int, calls: int, characters: float, recorded: int
) -> Estimate:
    """What so many calls, with so many characters of prompts all together, will take."""
    most = int(settings.params.get("max_tokens", UNSAID))
    prompt, completion = round(characters / 4), calls * most
    budget = Budget(settings.budget, settings.price)
    return Estimate(
        model=settings.identity,
        url=settings.url,
        tasks=tasks,
        calls=calls,
        prompt_tokens=prompt,
        completion_tokens=completion,
        money=budget.cost(prompt, completion) if settings.price else None,
        seconds=completion / TOKENS_A_SECOND / min(settings.in_flight, max(1, tasks)),
        disk_bytes=(prompt + 2 * completion) * BYTES_A_TOKEN,
        recorded=recorded,
    )


class _Silent:
    """Notes how long the prompts are, and answers nothing."""

    model = "rehearsal"

    def __init__(self) -> None:
        self.lengths: list[int] = []

    async def ask(self, messages: Sequence[Message], **params: Any) -> Answer:
        self.lengths.append(sum(len(message["content"]) for message in messages))
        return Answer("")


async def _rehearse(world: World, index: int, task: dict[str, Any], seed: int) -> list[int]:
    """Lengths of the prompts that a task would send, as far as it gets with empty answers."""
    silent = _Silent()
    tid = task_id(task_prefix(world, seed), 0, index, task_json(task).encode())
    try:
        made = world.make(task, Context(tid, None, silent))
        if isinstance(made, Awaitable):
            await asyncio.wait_for(made, 10)
    except UserError:
        raise
    except Exception:  # what an empty answer breaks is of no interest here
        pass
    return silent.lengths


def _mean(numbers: list[int]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def duration(seconds: float) -> str:
    """Seconds in words: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
