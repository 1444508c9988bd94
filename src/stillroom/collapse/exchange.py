"""Exchanging units between anchor and set: is what was seen more than chance?

Were the set drawn like the anchor, exchanging units between the two would change nothing: so units
are exchanged at random, everything is computed anew, *which types are rare in the anchor included*,
and what was seen is compared with that: a permutation test, exact for any sizes and any statistic
(Lehmann and Romano, Testing Statistical Hypotheses, chapter 15.2). Two statistics: the tail's share
of all occurrences (mass), and how many of the anchor's rare types are there at all, at equal n
(types). Mass alone is blind to drift: types die while it stays.
"""

from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stillroom.collapse.incidence import Codes, Incidence, Numbers

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

RARE_SHARE = 0.05
"""A type is rare where at most one unit in twenty has it."""
RARE_COUNT = 5
"""In the test of types it is where at most so many units of the anchor have it."""
PERMUTATIONS = 999  # or as many more as a p-value below alpha takes
ENOUGH = 12  # permutations as extreme as what was seen, after which p can't become small


class Pool(NamedTuple):
    """Both sets together, sorted by type: `start` is where a type's units begin."""

    anchor: int
    set: int
    unit: Numbers
    start: Numbers
    total: Numbers
    types: Codes
    band: Numbers
    """Of each type, by its units in both sets; 0 also where it is not rare."""

    def due(self, f: float) -> Floats:
        """Of each type that the anchor has, what is the set's due where f is the anchor's share."""
        t = np.arange(1, int(self.total.max(initial=1)) + 1)
        due: Floats = (t * (1 - f / (1 - (1 - f) ** t)))[self.total - 1]
        return due


def pool_of(anchor: Incidence, set_: Incidence) -> Pool:
    types = np.concatenate([anchor.type, set_.type])
    unit = np.concatenate([anchor.unit, set_.unit + anchor.units])
    order = np.argsort(types, kind="stable")
    found, start, total = np.unique(types[order], return_index=True, return_counts=True)
    band = np.maximum(bands(total, anchor.units + set_.units), 0)
    return Pool(anchor.units, set_.units, unit[order], start, total, found, band)


def frequencies(pool: Pool, chosen: Mask) -> Numbers:
    """In how many of the chosen units each type is."""
    if not len(pool.start):
        return np.empty(0, np.int64)
    return np.add.reduceat(chosen[pool.unit], pool.start, dtype=np.int64)


def first(pool: Pool) -> Mask:
    return np.arange(pool.anchor + pool.set) < pool.anchor


def spread(pool: Pool, types: Mask) -> Mask:
    """A mask over types as one over pairs."""
    return np.repeat(types, pool.total)


def bands(frequency: Numbers, units: int) -> Numbers:
    """How rare types are: 0 where in one unit of so many, 1 in two or three, 2 in four to seven,
    and so on; -1 where a type is in none, or is not rare.
    """
    rare = (frequency >= 1) & (frequency <= max(1, RARE_SHARE * units))
    found: Numbers = np.where(rare, np.log2(np.maximum(frequency, 1)).astype(np.int64), -1)
    return found


def _share(pool: Pool, a: Numbers) -> float:
    """How much more of the tail the set has than is its due: the least of several tails.

    A tail is a band of rare types, or all bands up to one. How rare a type is says its frequency in
    both sets together, which no exchange of units changes; but the anchor must have it, for what
    the set alone has may be rubbish. Of a type with t units the set's due is then
    t - t f / (1 - (1 - f)**t), where f is the anchor's share of everything. In standard errors.
    """
    b = pool.total - a
    f = float(a.sum()) / max(1, int(pool.total.sum()))
    band = np.where(a > 0, pool.band, 0)
    t = pool.total.astype(np.float64)
    # What is in one unit only is in the anchor's: it can't tell, and band 0 is left out.
    excess = np.bincount(band, weights=b - pool.due(f))[1:]
    spread = np.bincount(band, weights=t)[1:] * f * (1 - f)
    excess = np.append(excess, np.cumsum(excess))
    spread = np.append(spread, np.cumsum(spread))
    return float((excess / np.sqrt(spread + 1)).min(initial=0.0))


def present(frequency: Numbers, units: int, drawn: int) -> Floats:
    """The probability that each type is in a random part of `drawn` of the units.

    What is expected at equal n, without drawing (rarefaction; Hurlbert, Ecology 1971).
    """
    if drawn >= units:
        return (frequency > 0).astype(np.float64)
    most = int(frequency.max(initial=0))
    steps = np.arange(most)
    absent = np.cumprod(np.append(1.0, np.maximum(units - drawn - steps, 0) / (units - steps)))
    found: Floats = 1 - absent[frequency]
    return found


def _types(pool: Pool, a: Numbers) -> float:
    """The share of the anchor's rare types that as many units of the set are expected to have."""
    rare = (a >= 1) & (a <= RARE_COUNT)
    there = present(pool.total[rare] - a[rare], pool.set, min(pool.anchor, pool.set))
    return float(there.sum()) / max(1, len(there))


def permuted(pool: Pool, rng: np.random.Generator, alpha: float) -> tuple[float, float]:
    """p-values of both statistics, for tests at level alpha; what can't be significant ends early.

    With ENOUGH permutations as extreme after k of them p is ENOUGH / k (Besag and Clifford,
    Biometrika 1991).
    """
    chosen = first(pool)
    seen = _statistics(pool, chosen)
    most = max(PERMUTATIONS, ceil(3 / alpha))
    extreme, p = [0, 0], [0.0, 0.0]
    for number in range(1, most + 1):
        now = _statistics(pool, rng.permutation(chosen))
        for which in (0, 1):
            extreme[which] += now[which] <= seen[which]
            if extreme[which] == ENOUGH and not p[which]:
                p[which] = ENOUGH / number
        if all(p):
            break
    last = [(e + 1) / (most + 1) for e in extreme]
    return p[0] or last[0], p[1] or last[1]


def _statistics(pool: Pool, chosen: Mask) -> tuple[float, float]:
    """(share, types) where the chosen units are the anchor."""
    a = frequencies(pool, chosen)
    return _share(pool, a), _types(pool, a)
