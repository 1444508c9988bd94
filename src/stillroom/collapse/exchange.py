"""Exchanging units between anchor and set: is what was seen more than chance?

Were the set drawn like the anchor, exchanging units between the two would change nothing: so units
are exchanged at random, everything is computed anew, *which types are rare in the anchor included*,
and what was seen is compared with that: a permutation test, exact for any sizes and any statistic
(Lehmann and Romano, Testing Statistical Hypotheses, chapter 15.2). Two statistics: the tail's share
of all occurrences (mass), and how many of the anchor's rare types are there at all, at equal n
(types). Mass alone is blind to drift: types die while it stays.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stillroom.collapse.incidence import Codes, Incidence, Numbers

Mask = npt.NDArray[np.bool_]

RARE_MASSES = (0.02, 0.05, 0.1, 0.2)
"""The tail, in the test of mass: the rarest types, so much of all occurrences. Of four tails that
one counts where most is missing."""
RARE_COUNT = 5
"""The tail, in the test of types: those in at most so many units of the anchor."""
PERMUTATIONS = 1999
ENOUGH = 12  # permutations as extreme as what was seen, after which p can't become small


class Pool(NamedTuple):
    """Both sets together, sorted by type: `start` is where a type's units begin."""

    anchor: int
    set: int
    unit: Numbers
    start: Numbers
    total: Numbers
    types: Codes


def pool_of(anchor: Incidence, set_: Incidence) -> Pool:
    types = np.concatenate([anchor.type, set_.type])
    unit = np.concatenate([anchor.unit, set_.unit + anchor.units])
    order = np.argsort(types, kind="stable")
    found, start, total = np.unique(types[order], return_index=True, return_counts=True)
    return Pool(anchor.units, set_.units, unit[order], start, total, found)


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


def _share(pool: Pool, a: Numbers, declared: Mask | None) -> float:
    """log of: the tail's share of what the set has, over its share of what the anchor has.

    In standard errors, the least of several tails. How rare a type is says its count in both sets
    together, which no exchange of units changes; but the anchor must have it: what the set alone
    has may be rubbish.
    """
    b = pool.total - a
    whole_a, whole_b = max(1, int(a.sum())), max(1, int(b.sum()))
    if declared is not None:
        in_a, in_b = np.array([a[declared].sum()]), np.array([b[declared].sum()])
    else:
        known = a > 0
        rank = pool.total[known]
        in_a = np.cumsum(np.bincount(rank, weights=a[known]))
        in_b = np.cumsum(np.bincount(rank, weights=b[known]))
        bounds = np.array(RARE_MASSES) * (in_a[-1] + in_b[-1])
        # Types of one rank stay together; of the rarest some are always looked at.
        last = np.searchsorted(in_a + in_b, bounds, side="right") - 1
        last = np.unique(np.maximum(last, rank.min()))
        in_a, in_b = in_a[last], in_b[last]
    logs = np.log((in_b + 0.5) / whole_b) - np.log((in_a + 0.5) / whole_a)
    return float((logs / np.sqrt(1 / (in_a + 0.5) + 1 / (in_b + 0.5))).min())


def _types(a: Numbers, b: Numbers) -> float:
    """The share of the anchor's rare types (1 to RARE_COUNT units) that the set has at all."""
    rare = (a >= 1) & (a <= RARE_COUNT)
    return float((b[rare] > 0).sum()) / max(1, int(rare.sum()))


def permuted(pool: Pool, rng: np.random.Generator, declared: Mask | None) -> tuple[float, float]:
    """p-values of both statistics; a test that can't become significant any more ends early.

    With ENOUGH permutations as extreme after k of them p is ENOUGH / k (Besag and Clifford,
    Biometrika 1991).
    """
    n, most = pool.anchor + pool.set, min(pool.anchor, pool.set)
    seen_share, seen_types = 0.0, 0.0
    extreme, p = [0, 0], [0.0, 0.0]
    order = np.arange(n)
    for number in range(PERMUTATIONS + 1):
        # First as it is: but at equal n a random part of the larger set, as always.
        if number:
            order = rng.permutation(n)
        else:
            order = np.concatenate(
                [rng.permutation(pool.anchor), pool.anchor + rng.permutation(pool.set)]
            )
        share, types = _statistics(pool, order, most, declared)
        if not number:
            seen_share, seen_types = share, types
            continue
        for which, low in enumerate((share <= seen_share, types <= seen_types)):
            if p[which]:
                continue
            extreme[which] += low
            if extreme[which] == ENOUGH:
                p[which] = ENOUGH / number
        if all(p):
            break
    last = [(e + 1) / (PERMUTATIONS + 1) for e in extreme]
    return p[0] or last[0], p[1] or last[1]


def _statistics(
    pool: Pool, order: Numbers, equal: int, declared: Mask | None
) -> tuple[float, float]:
    """(share, types) where the first units of the order are the anchor."""
    first = np.zeros(len(order), bool)
    first[order[: pool.anchor]] = True
    a = frequencies(pool, first)
    share = _share(pool, a, declared)
    if pool.anchor == pool.set:
        return share, _types(a, pool.total - a)
    if pool.anchor > equal:
        first[order[equal : pool.anchor]] = False
        return share, _types(frequencies(pool, first), pool.total - a)
    second = np.zeros(len(order), bool)
    second[order[pool.anchor : pool.anchor + equal]] = True
    return share, _types(a, frequencies(pool, second))
