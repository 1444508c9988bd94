"""Which lessons there are, and which split each question belongs to.

Levels 1 to 8 are trained on. A question's split is a hash of what it is made of, in any order, so
neither the same question nor the same with its parts exchanged is ever in two splits: tests of
these levels interpolate. Level 9 (wider: larger operands) and level 10 (deeper: longer
compositions) are for tests alone: they extrapolate.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import orjson

from stillroom.record import digest
from stillroom.world import Task, Wishes
from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.curriculum import entry
from stillroom.worlds.lessons.locales import locales
from stillroom.worlds.lessons.symbols import AUDIENCES, STYLES

PLANNED = (
    "concept",
    "subject",
    "level",
    "difficulty",
    "audience",
    "style",
    "locale",
    "split",
    "test",
)
BEYOND = (9, 10)
_CYCLE = ("train",) * 4 + ("validation",) + ("train",) * 4 + ("test",)
_BUCKETS = ("train",) * 6 + ("validation",) * 2 + ("test",) * 2
_PART = re.compile(r"\d+|\w+|[^\w\s]")


def known_levels(levels: tuple[int, ...]) -> tuple[int, ...]:
    """The levels as they are; ValueError where there are no such ones."""
    if not levels or len(set(levels)) != len(levels) or not set(levels) <= set(range(1, 11)):
        raise ValueError("levels: some of 1 to 10, each once (9 and 10 go beyond, for tests)")
    return levels


@lru_cache(maxsize=50_000)
def _bucket(key: bytes) -> str:
    return _BUCKETS[digest(key, 8)[0] * 10 // 256]


def split_of_question(concept: str, family: str, slots: Slots) -> str:
    """The split of a question of levels 1 to 8, by its parts without their order."""
    parts = sorted(_PART.findall(" ".join(slots.values())))
    return _bucket(orjson.dumps([concept, family, parts]))


def lesson(concept: str, place: int, level: int, number: int) -> Task:
    """The task of a concept (by its place) and level in round `number`.

    Audiences, styles, countries and splits take turns with different periods, so that all their
    crossings come up equally often.
    """
    turn = number + 2 * place + level
    split = "test" if level in BEYOND else _CYCLE[(number + 3 * place + 7 * level) % 10]
    countries = tuple(locales())
    return {
        "concept": concept,
        "level": level,
        "audience": tuple(AUDIENCES)[turn % 3],
        "style": STYLES[(turn // 3 + place + level) % 3],
        "locale": countries[(5 * place + 3 * level + number) % len(countries)],
        "split": split,
        "number": number,
    }


def tags(task: Task) -> dict[str, str]:
    """What is known of a lesson before it is made."""
    level = str(task["level"])
    found = {
        "concept": task["concept"],
        "subject": entry(task["concept"]).subject,
        "level": level,
        "difficulty": level,
        "audience": task["audience"],
        "style": task["style"],
        "locale": task["locale"],
        "split": task["split"],
    }
    if task["split"] == "test":
        found["test"] = "extrapolate" if task["level"] in BEYOND else "interpolate"
    return found


def plan(concepts: tuple[str, ...], levels: tuple[int, ...], only: Wishes | None) -> Iterator[Task]:
    """All lessons, concept varying fastest, without an end; with wishes only what they ask for."""
    wanted = {tag: quota for tag, quota in only.quotas.items() if quota} if only else {}

    def wishes(task: Task) -> bool:
        # Quotas of one tag add up; a tag that only shows after making can't be planned for.
        known = tags(task)
        return all(known.get(tag) in quota for tag, quota in wanted.items() if tag in PLANNED)

    # Ninety rounds hold every crossing: without a match in them there will be none.
    number, fruitless = 0, 0
    while fruitless < 90:
        found = False
        for level in levels:
            # The tests beyond the levels come up in one round of five.
            if level in BEYOND and number % 5 != (0 if level == BEYOND[0] else 3):
                continue
            for place, concept in enumerate(concepts):
                task = lesson(concept, place, level, number)
                if wishes(task):
                    found = True
                    yield task
        number, fruitless = number + 1, 0 if found else fruitless + 1
