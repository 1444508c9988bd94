"""A test that may be looked at after every record: betting against "the tail is not smaller".

Whoever bets against a true hypothesis can't expect to win: the wealth is a supermartingale that
starts at 1, so it ever reaches 1 / alpha with probability alpha at most (Ville 1939; Waudby-Smith
and Ramdas, JRSS B 2024). No number of looks, and no restart with the saved wealth, changes that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BETS = (0.02, 0.05, 0.1, 0.2, 0.5, 0.9)
"""Shares of the wealth that are staked; the wealth is the mean over them. A loss of a fifth needs
small ones, a loss of half is seen sooner by large ones."""
_UP = (0.002, 0.005, 0.01, 0.02, 0.05, 0.2)  # stakes on "larger" are smaller: they pay 1 / rate


@dataclass(frozen=True)
class Wealth:
    """Bets that the mean of values in [0, 1] is below `rate`, and what they have won so far.

    `logs` are the logarithms of the wealth by bet, `seen` how many values there were, `most` the
    highest log of the mean wealth ever, `crossed` after how many values it first reached 1/alpha.
    """

    rate: float
    alpha: float
    logs: tuple[float, ...] = (0.0,) * len(BETS)
    seen: int = 0
    most: float = 0.0
    crossed: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate must be between 0 and 1, not {self.rate}")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, not {self.alpha}")

    @property
    def alarm(self) -> bool:
        return self.crossed is not None

    @property
    def log(self) -> float:
        """The logarithm of the wealth now."""
        return float(_mean(np.array([self.logs]).T)[0])

    def after(self, values: npt.ArrayLike) -> "Wealth":
        """The wealth after these values, each looked at; ValueError outside [0, 1]."""
        return self.path(values)[0]

    def path(self, values: npt.ArrayLike) -> "tuple[Wealth, Floats]":
        """The wealth after these values, and its logarithm after each of them."""
        x = np.asarray(values, np.float64).ravel()
        if not len(x):
            return self, np.empty(0)
        if not ((x >= 0) & (x <= 1)).all():
            raise ValueError("values must be numbers in [0, 1]")
        bets = np.array(BETS)[:, None]
        # A stake of b on "smaller" pays b (rate - x) / (1 - rate): never less than -b.
        gains = np.log1p(bets * (self.rate - x) / (1 - self.rate))
        logs = np.array(self.logs)[:, None] + np.cumsum(gains, axis=1)
        path = _mean(logs)
        crossed = self.crossed
        if crossed is None:
            over = np.flatnonzero(path >= -log(self.alpha))
            crossed = self.seen + int(over[0]) + 1 if len(over) else None
        most = max(self.most, float(path.max()))
        last = tuple(logs[:, -1].tolist())
        return replace(self, logs=last, seen=self.seen + len(x), most=most, crossed=crossed), path

    def json(self) -> dict[str, Any]:
        return {**vars(self), "logs": list(self.logs)}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Wealth":
        return cls(**{**told, "logs": tuple(told["logs"])})


def _mean(logs: Floats) -> Floats:
    """The logarithm of the mean wealth over the bets, column by column."""
    mean: Floats = np.logaddexp.reduce(logs, axis=0) - log(len(BETS))
    return mean


def lower_bound(values: Sequence[float] | Floats, alpha: float) -> float:
    """A lower bound of the mean of values in [0, 1] that fails with probability alpha at most.

    The smallest rate against which bets on "larger" have not won 1 / alpha (the same paper). Zero
    where nothing above zero can be ruled out.
    """
    x = np.asarray(values, np.float64)
    if not len(x) or not x.any():
        return 0.0
    distinct, counts = np.unique(x, return_counts=True)

    def ruled_out(rate: float) -> bool:
        logs = [float(counts @ np.log1p(b * (distinct - rate) / rate)) for b in _UP]
        return float(np.logaddexp.reduce(logs)) - log(len(_UP)) >= -log(alpha)

    low, high = 0.0, float(x.mean())
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if ruled_out(middle) else (low, middle)
    return low
