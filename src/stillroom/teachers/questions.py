"""The questions of a world, for the loop that people write: ask, verify, learn."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from stillroom.checker import Checker
from stillroom.record import split_of, task_json
from stillroom.teachers.program import Program, Question
from stillroom.world import Verdict, World

LOOKED_AT = 500  # questions that tell how difficult a world's are


class Questions:
    """A world's training questions, in the order of its plan, as long as it goes on."""

    def __init__(self, world: World, seed: int = 0) -> None:
        self.world = world
        self._program = Program(world, seed)
        self._checker = Checker(world, Path(), "")

    def __iter__(self) -> Iterator[Question]:
        for question in self._program.questions():
            if split_of(question.tags, task_json(question.task)) == "train":
                yield question

    def hard(self) -> Iterator[Question]:
        """Those that are at least as difficult as the middle one of their concept.

        Difficulties are the tag `difficulty` read as numbers; without it every question counts.
        """
        seen: dict[str, list[float]] = {}
        for one in islice(self, LOOKED_AT):
            seen.setdefault(one.tags.get("concept", ""), []).append(_difficulty(one))
        middle = {concept: sorted(found)[len(found) // 2] for concept, found in seen.items()}
        for one in self:
            if _difficulty(one) >= middle.get(one.tags.get("concept", ""), 0.0):
                yield one

    def verify(self, question: Question, text: str) -> Verdict:
        """check(task, read(task, text)): true when the whole text stands, reasoning included."""
        return self._checker.text(question.task, text)


def _difficulty(question: Question) -> float:
    try:
        return float(question.tags.get("difficulty", "0"))
    except ValueError:
        return 0.0
