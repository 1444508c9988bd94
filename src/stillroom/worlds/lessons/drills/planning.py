"""Which drills there are: questions from numbered streams, each once, in rounds over the sizes.

A plan has no chance in it: a stream's key is the series, family and size, so the same config has
the same questions in the same order. A question goes to the split its operands hash to; sizes
beyond the ordinary ones are for tests alone.
"""

from collections import deque
from collections.abc import Iterator
from itertools import count

from stillroom.record import canonical, digest
from stillroom.world import Task, Wishes, stream
from stillroom.worlds.lessons.drills.drawing import draw
from stillroom.worlds.lessons.drills.notation import question, split_of

PLANNED = ("concept", "difficulty", "split", "test")
_CYCLE = ("train",) * 4 + ("validation",) + ("train",) * 4 + ("test",)
_BLOCK = 256
_PATIENCE = 40  # blocks without a new question of a split, after which there is none left


class Source:
    """The new questions of one family and size, split by split; it remembers which it gave."""

    def __init__(
        self, family: str, size: int, *, room: int, cups: int, series: int, beyond: bool
    ) -> None:
        self.family, self.size, self.beyond = family, size, beyond
        self._room, self._cups = room, cups
        key = canonical(["drills", series, family, size, cups if family == "cups" else 0])
        self._rng = stream(digest(key, 16))
        self.splits: tuple[str, ...] = ("test",) if beyond else ("train", "validation", "test")
        self._waiting: dict[str, deque[str]] = {}
        self._fruitless: dict[str, int] = {}
        self._seen: set[str] = set()

    def take(self, split: str) -> str | None:
        """A question of this split that was not given before; None when none is left."""
        waiting = self._waiting.setdefault(split, deque())
        while not waiting:
            if self._fruitless.get(split, 0) >= _PATIENCE:
                return None
            self._fill()
        return waiting.popleft()

    def _fill(self) -> None:
        found = dict.fromkeys(self.splits, False)
        for operands in draw(self.family, self.size, self._cups, self._rng, _BLOCK):
            asked = question(self.family, operands, self._room)
            if asked in self._seen:
                continue
            self._seen.add(asked)
            split = "test" if self.beyond else split_of(self.family, operands)
            if split in found:
                found[split] = True
                self._waiting.setdefault(split, deque()).append(asked)
        for split, new in found.items():
            self._fruitless[split] = 0 if new else self._fruitless.get(split, 0) + 1


def tags(family: str, size: int, split: str, beyond: bool) -> dict[str, str]:
    """What is known of a drill before it is made, named as for lessons."""
    found = {"concept": family, "difficulty": str(size), "split": split}
    if split == "test":
        found["test"] = "extrapolate" if beyond else "interpolate"
    return found


def plan(sources: list[Source], weights: list[int], only: Wishes | None) -> Iterator[Task]:
    """Rounds over all sources, each as often a round as its weight, until none has a question.

    Of a source's ten turns eight are for training, one for validation and one for a test; a
    source beyond the ordinary sizes has one turn in ten rounds.
    """
    for source in sources:
        source.splits = _wished(source, only)
    turns = [
        (place, source)
        for lap in range(max(weights, default=0))
        for place, source in enumerate(sources)
        if weights[place] > lap and source.splits
    ]
    number = 0
    asked = dict.fromkeys(range(len(sources)), 0)
    empty: set[tuple[int, str]] = set()
    for lap in count():
        turns = [(n, s) for n, s in turns if any((n, split) not in empty for split in s.splits)]
        if not turns:
            return
        for place, source in turns:
            if source.beyond and (lap + place) % 10:
                continue
            # The sources' cycles begin at different places, so that splits fill evenly.
            split = "test" if source.beyond else _CYCLE[(asked[place] + 3 * place) % 10]
            asked[place] += 1
            if split not in source.splits or (place, split) in empty:
                continue
            text = source.take(split)
            if text is None:
                empty.add((place, split))
                continue
            yield {
                "family": source.family,
                "size": source.size,
                "split": split,
                "number": number,
                "question": text,
            }
            number += 1


def _wished(source: Source, only: Wishes | None) -> tuple[str, ...]:
    """The splits in which every planned tag is one that was asked for."""
    wanted = {tag: quota for tag, quota in (only.quotas if only else {}).items() if quota}

    def fits(split: str) -> bool:
        known = tags(source.family, source.size, split, source.beyond)
        return all(known.get(tag) in quota for tag, quota in wanted.items() if tag in PLANNED)

    return tuple(split for split in source.splits if fits(split))
