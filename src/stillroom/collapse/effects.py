"""How much of the tail is left: the set's rate over the anchor's, with its error.

What is rare is said by one half of the anchor and counted in the other, and the other way round: by
the half that says it, what is rare by chance would seem to be lost.
"""

from math import log
from typing import NamedTuple

import numpy as np

from stillroom.collapse.exchange import RARE_COUNT, Mask, Pool, frequencies
from stillroom.collapse.incidence import Numbers

RARE_MASS = 0.1
"""The tail, in estimates of mass: the rarest types, up to a tenth of all occurrences."""
GROUPS = 20  # of the jackknife


class Estimate(NamedTuple):
    """A ratio's logarithm and its standard error."""

    log: float
    error: float


def ratios(
    pool: Pool, rng: np.random.Generator, declared: Mask | None
) -> tuple[Estimate, Estimate]:
    """The set's rate over the anchor's, of mass and of types, as logarithms with standard errors.

    Errors by the jackknife over groups of units (Shao and Tu, The Jackknife and Bootstrap, 1995).
    """
    half = rng.permutation(pool.anchor) < pool.anchor // 2
    group = np.concatenate([rng.permutation(pool.anchor), rng.permutation(pool.set)]) % GROUPS
    rank = np.concatenate([rng.permutation(pool.anchor), rng.permutation(pool.set)])
    sides = np.concatenate([half.astype(np.int64), np.full(pool.set, 2)])
    whole = _crossed(pool, sides, rank, np.ones(len(sides), bool), declared)
    without = np.array([_crossed(pool, sides, rank, group != g, declared) for g in range(GROUPS)])
    spread = np.square(without - without.mean(axis=0)).sum(axis=0)
    errors = np.sqrt((GROUPS - 1) / GROUPS * spread)
    first, second = zip(whole, errors.tolist(), strict=True)
    return Estimate(*first), Estimate(*second)


def _crossed(
    pool: Pool,
    sides: Numbers,
    rank: Numbers,
    used: Mask,
    declared: Mask | None,
) -> tuple[float, float]:
    """(log ratio of mass, log ratio of types), the mean of both ways round."""
    equal = min(pool.anchor // 2, pool.set)
    counts = [frequencies(pool, used & (sides == side)) for side in range(3)]
    # At equal n: the units of lowest rank of each side, as many as the smallest has.
    small = []
    for side in range(3):
        mine = np.flatnonzero(used & (sides == side))
        chosen = np.zeros(len(sides), bool)
        chosen[mine[np.argsort(rank[mine], kind="stable")[: int(equal * used.mean())]]] = True
        small.append(frequencies(pool, chosen))
    mass, types = 0.0, 0.0
    for says, counted in ((0, 1), (1, 0)):
        a, b, c = counts[says], counts[counted], counts[2]
        rare = tail(a, a > 0) if declared is None else declared
        mass += log_rate(c, rare) - log_rate(b, rare)
        known = (a >= 1) & (a <= RARE_COUNT)
        found = [float((small[side][known] > 0).sum()) + 0.5 for side in (counted, 2)]
        types += log(found[1] / found[0])
    return mass / 2, types / 2


def log_rate(counts: Numbers, rare: Mask) -> float:
    return log((float(counts[rare].sum()) + 0.5) / max(1.0, float(counts.sum())))


def tail(rank: Numbers, known: Mask) -> Mask:
    """The rarest of the known types, as far as they make up RARE_MASS of the occurrences.

    Types of one rank stay together; where those of the lowest rank are half of all, none is rare.
    """
    mass = np.bincount(rank[known]) * np.arange(rank[known].max(initial=0) + 1)
    upto = np.cumsum(mass)
    rarest = upto <= RARE_MASS * mass.sum()
    first = int(np.argmax(mass > 0)) if len(mass) else 0
    if len(mass) and not rarest[first]:
        rarest[: first + 1] = upto[first] <= mass.sum() / 2
    rare: Mask = known & rarest[np.where(known, rank, 0)]
    return rare
