"""Chance in small pieces: a numpy Generator, drawn from in blocks, as a single call is slow."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
_BLOCK = 256


class Dice:
    """Uniform choices from blocks of a Generator's random numbers."""

    __slots__ = ("fraction",)

    def __init__(self, rng: np.random.Generator) -> None:
        # A generator's own `__next__`: a method would cost more than what it fetches.
        self.fraction: Callable[[], float] = _fractions(rng).__next__
        """A number in [0, 1)."""

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.fraction() * (high - low + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self.fraction() * len(items))]

    def some(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different items, in random order."""
        left = list(items)
        return [left.pop(int(self.fraction() * len(left))) for _ in range(count)]


def _fractions(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(_BLOCK).tolist()
