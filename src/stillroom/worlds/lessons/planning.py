"""Which lessons there are, and which split each question belongs to.

A question's split is a hash of the question itself, so the same question is never in two splits.
"""

from collections.abc import Iterator
from functools import lru_cache

import orjson

from stillroom.record import digest
from stillroom.world import Task, Wishes
from stillroom.worlds.lessons.content import Slots, content

SPLITS = ("train", "validation", "test")
_CYCLE = ("train",) * 4 + ("validation",) + ("train",) * 4 + ("test",)


def split_of_lesson(number: int) -> str:
    """8 of 10 lessons are for training, one for validation, one for the test."""
    return _CYCLE[number % 10]


@lru_cache(maxsize=50_000)
def _bucket(key: bytes) -> str:
    return _CYCLE[digest(key, 8)[0] * 10 // 256]


def split_of_question(concept: str, family: str, slots: Slots) -> str:
    return _bucket(orjson.dumps([concept, family, sorted(slots.items())]))


def plan(concepts: tuple[str, ...], levels: tuple[int, ...], only: Wishes | None) -> Iterator[Task]:
    """All lessons, concept varying fastest, without an end; with wishes only what they ask for."""
    wanted = {tag: quota for tag, quota in only.quotas.items() if quota} if only else {}
    asked = set(wanted)

    def wishes(task: Task) -> bool:
        tags = {
            "concept": task["concept"],
            "level": str(task["level"]),
            "difficulty": str(task["level"]),
            "subject": content(task["concept"]).subject,
            "split": task["split"],
        }
        # Quotas of one tag add up; a tag that only shows after making can't be planned for.
        return all(tags[tag] in wanted[tag] for tag in asked & tags.keys())

    # One full cycle of numbers holds every split: without a match in it there will be none.
    number, fruitless = 0, 0
    while fruitless < 10:
        found = False
        for level in levels:
            for concept in concepts:
                task = {
                    "concept": concept,
                    "level": level,
                    "split": split_of_lesson(number),
                    "number": number,
                }
                if wishes(task):
                    found = True
                    yield task
        number, fruitless = number + 1, 0 if found else fruitless + 1
