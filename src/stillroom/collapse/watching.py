"""Watching a stream of units: bets that it has less of the anchor's tail than the anchor."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillroom.collapse.betting import Wealth, lower_bound
from stillroom.collapse.exchange import bands
from stillroom.collapse.incidence import Codes, Incidence

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Watcher:
    """Scores units for bets: the share of a unit's types that are rare in the anchor.

    `rare` are their hashes; `start` holds the rate that the set must not fall below.
    """

    rare: Codes
    start: Wealth
    bound: int

    def scores(self, units: Incidence) -> Floats:
        """Of every unit, in order; a unit without any type scores 0."""
        units = units.drawn(self.bound)
        size = np.bincount(units.unit, minlength=units.units)
        hits = np.bincount(units.unit[np.isin(units.type, self.rare)], minlength=units.units)
        return hits / np.maximum(size, 1)


def watcher(anchor: Incidence, alpha: float, rng: np.random.Generator) -> Watcher | None:
    """Half of the anchor says what is rare, the other half bounds its rate from below.

    A third of alpha is for the bound, the rest for the bets. None where the anchor has too little
    tail to bet on.
    """
    half = rng.permutation(anchor.units) < anchor.units // 2
    mine = half[anchor.unit]
    types, counts = np.unique(anchor.type[mine], return_counts=True)
    rare = types[bands(counts, anchor.units // 2) >= 0]
    new = Watcher(rare, Wealth(0.5, alpha), anchor.bound)
    rate = lower_bound(new.scores(anchor)[~half], alpha / 3)
    if not 0 < rate < 1:
        return None
    return Watcher(rare, Wealth(rate, alpha * 2 / 3), anchor.bound)
