"""Chance in small pieces: a numpy Generator, drawn from in blocks, as a single call is slow."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
_BLOCK = 256


class Dice:
    """Uniform choices from blocks of a Generator's random numbers."""

    __slots__ = ("_block", "_place", "_rng")

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._place = rng, _BLOCK
        self._block: list[float] = []

    def fraction(self) -> float:
        """A number in [0, 1)."""
        if self._place == _BLOCK:
            self._block, self._place = self._rng.random(_BLOCK).tolist(), 0
        self._place += 1
        return self._block[self._place - 1]

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.fraction() * (high - low + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self.fraction() * len(items))]

    def some(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different items, in random order."""
        left = list(items)
        return [left.pop(int(self.fraction() * len(left))) for _ in range(count)]
