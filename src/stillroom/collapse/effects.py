"""How much of the tail is left: the set's rate over the anchor's, with its error.

What is rare is said by one half of the anchor and counted in the other, and the other way round: by
the half that says it, what is rare by chance would seem to be lost.
"""

from math import log
from typing import NamedTuple

import numpy as np

from stillroom.collapse.exchange import (
    RARE_COUNT,
    RARE_SHARE,
    Mask,
    Pool,
    bands,
    frequencies,
    present,
)
from stillroom.collapse.incidence import Numbers

GROUPS = 20  # of the jackknife
LEAST = 30  # times that the anchor has a tail's types, below which nothing is told of it


class Estimate(NamedTuple):
    """A ratio's logarithm and its standard error."""

    log: float
    error: float


class Left(NamedTuple):
    """What is left of the tail: of its mass in all, of each band's mass that can be told, and of
    its types at equal n. `untold`: how often types of other bands are in a unit of the anchor;
    `short`: how many times more units would tell of the largest of these.
    """

    mass: Estimate
    bands: tuple[Estimate, ...]
    types: Estimate
    untold: float
    short: float


def ratios(pool: Pool, rng: np.random.Generator) -> Left:
    """The set's rates over the anchor's, as logarithms with standard errors.

    Errors by the jackknife over groups of units (Shao and Tu, The Jackknife and Bootstrap, 1995).
    """
    half = rng.permutation(pool.anchor) < pool.anchor // 2
    group = np.concatenate([rng.permutation(pool.anchor), rng.permutation(pool.set)]) % GROUPS
    sides = np.concatenate([half.astype(np.int64), np.full(pool.set, 2)])
    whole, told = _crossed(pool, sides, np.ones(len(sides), bool))
    without = np.array([_crossed(pool, sides, group != g)[0] for g in range(GROUPS)])
    spread = np.square(without - without.mean(axis=0)).sum(axis=0)
    errors = np.sqrt((GROUPS - 1) / GROUPS * spread)
    mass, types, *banded = (Estimate(*one) for one in zip(whole, errors.tolist(), strict=True))
    enough = tuple(one for one, n in zip(banded, told, strict=True) if n >= LEAST)
    few = [n for n in told if 0 < n < LEAST]
    return Left(
        mass, enough, types, 2 * sum(few) / pool.anchor, LEAST / max(few, default=float(LEAST))
    )


def _crossed(pool: Pool, sides: Numbers, used: Mask) -> tuple[list[float], list[float]]:
    """Log ratios of the tail's mass, of its types, and of each band's mass, the mean of both ways
    round; and in how many units of the anchor types of the band were counted.
    """
    counts = [frequencies(pool, used & (sides == side)) for side in range(3)]
    sizes = [int((used & (sides == side)).sum()) for side in range(3)]
    equal = min(sizes)
    ways, told = [], []
    for says, counted in ((0, 1), (1, 0)):
        a, b, c = counts[says], counts[counted], counts[2]
        band = bands(a, pool.anchor // 2)
        rare = band >= 0
        levels = int(np.log2(max(1, RARE_SHARE * (pool.anchor // 2)))) + 1
        known = (a >= 1) & (a <= RARE_COUNT)
        seen = [
            float(present(counts[side][known], sizes[side], equal).sum()) + 0.5
            for side in (counted, 2)
        ]
        ways.append(
            [log_rate(c, rare) - log_rate(b, rare), log(seen[1] / seen[0])]
            + [log_rate(c, band == n) - log_rate(b, band == n) for n in range(levels)]
        )
        told.append([float(b[band == n].sum()) for n in range(levels)])
    return np.mean(ways, axis=0).tolist(), np.mean(told, axis=0).tolist()


def log_rate(counts: Numbers, rare: Mask) -> float:
    return log((float(counts[rare].sum()) + 0.5) / max(1.0, float(counts.sum())))
