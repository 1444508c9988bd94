"""Which types are rarer in the set: the diagnosis behind a verdict, and meters that give none."""

from dataclasses import dataclass

import numpy as np

from stillroom.collapse.exact import fewer, holm
from stillroom.collapse.exchange import Pool, first, frequencies


@dataclass(frozen=True)
class Lost:
    """A type that is rarer in the set: units that have it there and in the anchor."""

    type: int
    name: str
    anchor: int
    set: int
    p: float
    corrected: float
    """p after Holm's correction for all types that were looked at."""


def lost_types(pool: Pool, names: dict[int, str], most: int = 10) -> tuple[Lost, ...]:
    """The types that are rarer in the set, surest first; Holm's correction is for all types that
    could have been significant at all (Tarone, Biometrics 1990)."""
    a = frequencies(pool, first(pool))
    b = pool.total - a
    testable = (pool.total >= 8) & (a < pool.anchor)
    rate = pool.total / (pool.anchor + pool.set)
    gap = a / pool.anchor - b / max(1, pool.set)
    sure = gap / np.sqrt(rate * (1 - rate) * (1 / pool.anchor + 1 / max(1, pool.set)) + 1e-12)
    places = np.flatnonzero(testable & (gap > 0))
    places = places[np.argsort(-sure[places], kind="stable")[: 4 * most]]
    p = [fewer(int(b[n]), int(a[n]), pool.set, pool.anchor) for n in places]
    padded = np.append(np.array(p), np.ones(max(0, int(testable.sum()) - len(p))))
    corrected = holm(padded)[: len(p)]
    found = [
        Lost(code := int(pool.types[n]), names.get(code, ""), int(a[n]), int(b[n]), one, float(c))
        for n, one, c in zip(places, p, corrected, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: one.p)[:most])


def meters(pool: Pool) -> dict[str, float]:
    """Numbers that are often taken for a guard and are none; printed, never a reason."""
    a = frequencies(pool, first(pool))
    found = {}
    for name, counts in (("anchor", a), ("set", pool.total - a)):
        whole = max(1, int(counts.sum()))
        p = counts[counts > 0] / whole
        found[f"types, {name}"] = float((counts > 0).sum())
        found[f"coverage by Good and Turing, {name}"] = 1 - float((counts == 1).sum()) / whole
        found[f"entropy in bits, {name}"] = float(-(p * np.log2(p)).sum())
    return found
