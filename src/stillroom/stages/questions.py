"""A run's records as questions: which are learnt from, which choose, which judge."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from stillroom.record import Record, split_of
from stillroom.world import Message, Task, World

ORDINARY, EXTRAPOLATE = "ordinary", "extrapolate"


@dataclass(frozen=True, slots=True)
class Posed:
    """A question of a run, with the chat that answers it and the groups that it counts in."""

    id: str
    task: Task
    chat: tuple[Message, ...]
    concept: str
    difficulty: str
    right: bool = True
    """Whether the record's own answer passed the check."""

    @property
    def messages(self) -> tuple[Message, ...]:
        return self.chat[:-1]

    @property
    def answer(self) -> str:
        return self.chat[-1]["content"]


@dataclass
class Sets:
    """The questions of a run by what they are for. `refused` were answered wrongly."""

    train: list[Posed] = field(default_factory=list)
    validation: list[Posed] = field(default_factory=list)
    test: list[Posed] = field(default_factory=list)
    extrapolate: list[Posed] = field(default_factory=list)
    refused: list[Posed] = field(default_factory=list)


def sets_of(
    world: World, kept: Iterable[Record], rest: Iterable[Record], validation: int, test: int
) -> Sets:
    """Records as questions, in plan order; only the first `validation` and `test` judge."""
    sets = Sets()
    for record in kept:
        split = split_of(record.tags, record.task_json)
        beyond = record.tags.get("test") == EXTRAPOLATE
        into, most = {
            "train": (sets.train, None),
            "validation": (sets.validation, validation),
            "test": (sets.extrapolate if beyond else sets.test, test),
        }[split]
        if most is None or len(into) < most:
            into.append(posed(world, record))
    sets.refused = [
        posed(world, record)
        for record in rest
        if record.outcome == "refused" and split_of(record.tags, record.task_json) == "train"
    ]
    return sets


def posed(world: World, record: Record) -> Posed:
    """A record as a question."""
    tags = record.tags
    return Posed(
        record.id,
        record.task,
        world.show(record).messages,
        tags.get("concept", ""),
        tags.get("difficulty", ""),
        record.verdict.ok,
    )
