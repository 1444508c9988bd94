"""What of all that is offered goes into a mix: numbers in, numbers out; nothing is read but texts.

The order of the rules: how deep a record is; exact and near-duplicates, where the anchor's copy
stays first, then the *fresh* pool's and, of the synthetic ones, the shallowest; what the guard
holds; then the shares. What is held is drawn from what is left after the removal of copies: so no
copy of a held record is in the mix, and what is held and what is mixed are samples of one thing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b
from math import ceil, floor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stillroom.collapse.settings import Mix
from stillroom.minhash import first_copies
from stillroom.shingling import mix
from stillroom.stages.candidates import ANCHOR, FRESH, Candidates
from stillroom.stages.lineage import UNKNOWN

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

HELD = "a record held for the guard"  # of which a dropped record is a copy
ROLES = ("dropped", "anchor", "fresh", "synthetic", "guard", "unused")
USED = "fresh: used by an earlier mix"
SURPLUS = "over the share"


@dataclass
class Selection:
    """For every candidate its role (a number in ROLES), why it is dropped, and whose copy it is.

    `of` is the number of another candidate, or -1; `copies` counts exact and near ones.
    """

    role: npt.NDArray[np.int8]
    reason: npt.NDArray[np.int32]
    of: Ints
    copies: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def are(self, *roles: str) -> Flags:
        """Which candidates have one of these roles."""
        return np.isin(self.role, [ROLES.index(one) for one in roles])


class Used(NamedTuple):
    """Fresh records that earlier mixes took: by id and by text, so that no other name hides one."""

    ids: frozenset[bytes] = frozenset()
    digests: frozenset[bytes] = frozenset()

    def among(self, told: Candidates, which: Flags) -> Flags:
        """Which of these candidates were used."""
        found = np.zeros(len(told), bool)
        if self.ids:
            for n in np.flatnonzero(which):
                one = told.ids[n].tobytes() in self.ids
                found[n] = one or told.digests[n].tobytes() in self.digests
        return found


def select(told: Candidates, how: Mix, seed: int, used: Used) -> Selection:
    """The records of a mix. Same candidates, settings, seed and history: the same records."""
    size = len(told)
    picked = Selection(np.zeros(size, np.int8), told.reason.copy(), np.full(size, -1, np.int64))
    _too_deep(told, how, picked)
    open_ = picked.reason == 0
    held = open_ & (told.pool == ANCHOR) & held_out(told.ids, how.guard)
    spent = used.among(told, open_ & (told.pool == FRESH))
    _copies(told, how.threshold, held, spent, picked)
    open_ = picked.reason == 0
    picked.reason[open_ & spent] = told.number(USED)
    open_ = picked.reason == 0
    picked.role[open_ & held] = ROLES.index("guard")
    anchor = open_ & (told.pool == ANCHOR) & ~held
    picked.role[anchor] = ROLES.index("anchor")
    _shares(told, how, seed, open_, int(anchor.sum()), picked)
    return picked


def held_out(ids: npt.NDArray[np.uint8], share: float) -> Flags:
    """Which records the guard holds: by a hash of the id, so in every mix the same."""
    last: npt.NDArray[np.uint64] = ids[:, 8:].copy().view(np.uint64).ravel()
    return mix(last) < np.uint64(min(floor(share * 2.0**64), 2**64 - 1))


def _too_deep(told: Candidates, how: Mix, picked: Selection) -> None:
    made = (picked.reason == 0) & (told.pool > FRESH)
    unknown, deep = made & (told.depth == UNKNOWN), made & (told.depth > how.depth)
    if not how.unknown_depth:
        picked.reason[unknown] = told.number("depth unknown")
    picked.reason[deep] = told.number(f"deeper than {how.depth}")


# Copies.


def _copies(
    told: Candidates, threshold: float, held: Flags, spent: Flags, picked: Selection
) -> None:
    """Drop exact and near copies, the human, earliest, shallowest kept."""
    rank = ranks(told, spent)
    here = np.flatnonzero(picked.reason == 0)
    halves = told.digests[here].copy().view(np.uint64)
    order = np.lexsort((rank[here], halves[:, 0], halves[:, 1]))
    same = np.zeros(len(here), bool)
    same[1:] = (halves[order[1:]] == halves[order[:-1]]).all(axis=1)
    firsts = np.maximum.accumulate(np.where(same, 0, np.arange(len(here))))
    exact, kept = here[order[same]], here[order[firsts[same]]]
    _drop(told, picked, exact, kept, "exact copy of", held)
    left = picked.reason == 0
    numbers = np.flatnonzero(left)
    wanted = left[told.spooled]
    near = first_copies(lambda: told.texts(wanted), rank[numbers], threshold)
    copies = np.flatnonzero(near >= 0)
    _drop(told, picked, numbers[copies], numbers[near[copies]], "near-duplicate of", held)
    picked.copies = {"exact": len(exact), "near": len(copies)}


def ranks(told: Candidates, spent: Flags) -> Ints:
    """Whose copy stays, lowest first: anchor, fresh (used ones before), made; within these the
    earliest, the shallowest, the best, the first."""
    kind = np.select([told.pool == ANCHOR, spent, told.pool == FRESH], [0, 1, 2], default=3)
    depth = np.where(told.depth == UNKNOWN, np.iinfo(np.int16).max, told.depth)
    latest = np.where(told.latest == 0, np.iinfo(np.int32).max, told.latest)
    order = np.lexsort((np.arange(len(told)), -told.score, depth, latest, kind))
    rank = np.empty(len(told), np.int64)
    rank[order] = np.arange(len(told))
    return rank


def _drop(
    told: Candidates, picked: Selection, copies: Ints, of: Ints, how: str, held: Flags
) -> None:
    for mask, what in ((held[of], HELD), (~held[of], "a kept record")):
        if mask.any():
            picked.reason[copies[mask]] = told.number(f"{how} {what}")
    picked.of[copies] = of


# Shares.


class Sizes(NamedTuple):
    fresh: int
    synthetic: int


def sizes(anchor: int, fresh: int, synthetic: int, fresh_share: float, share: float) -> Sizes:
    """How many fresh and synthetic records go on top of the anchor, of those there are.

    Fresh ones are `fresh_share` of the mix (rounded up) where the pool holds so many; synthetic
    ones `share` of it at most (rounded down). Without an anchor all that is not synthetic is fresh.
    """
    f, s = Fraction(str(fresh_share)), Fraction(str(share))
    if not anchor:
        some = min(fresh, ceil(synthetic * (1 - s) / s)) if s and f else 0
        return Sizes(some, min(synthetic, floor(s * some / (1 - s))))
    many = min(synthetic, floor(s * anchor / (1 - s - f)))
    some = min(fresh, ceil(f * (anchor + many) / (1 - f)))
    return Sizes(some, min(many, floor(s * (anchor + some) / (1 - s))))


def _shares(
    told: Candidates, how: Mix, seed: int, open_: Flags, anchor: int, picked: Selection
) -> None:
    pool = np.flatnonzero(open_ & (told.pool == FRESH))
    made = np.flatnonzero(open_ & (told.pool > FRESH))
    wanted = sizes(anchor, len(pool), len(made), how.fresh_share, how.share)
    if not anchor + wanted.fresh:  # nothing human: there is nothing that a share could be of
        wanted = Sizes(0, len(made))
        picked.notes.append("no human record: `share` bounds nothing, all synthetic ones are taken")
    picked.role[pool] = ROLES.index("unused")
    picked.role[_drawn(told, pool, seed)[: wanted.fresh]] = ROLES.index("fresh")
    best = made[np.argsort(-told.score[made], kind="stable")]
    picked.role[best[: wanted.synthetic]] = ROLES.index("synthetic")
    picked.reason[best[wanted.synthetic :]] = told.number(SURPLUS)
    asked = ceil(Fraction(str(how.fresh_share)) * (anchor + sum(wanted)))
    if wanted.fresh < asked:
        picked.notes.append(
            f"the fresh pool runs out: {wanted.fresh:,} records are left that no mix has used, "
            f"{asked:,} are {how.fresh_share:.0%} of this mix"
        )


def _drawn(told: Candidates, pool: Ints, seed: int) -> Ints:
    """The pool in an order drawn by the seed, whatever the order of its files."""
    key = seed.to_bytes(8, "little")
    lots = [blake2b(told.ids[n].tobytes(), digest_size=8, key=key).digest() for n in pool]
    order = sorted(range(len(pool)), key=lots.__getitem__)
    drawn: Ints = pool[np.array(order, np.int64)]
    return drawn


def counted(numbers: Iterable[Any], names: list[str]) -> dict[str, int]:
    """How often each number occurs, by its name, commonest first."""
    found, counts = np.unique(np.asarray(numbers), return_counts=True)
    pairs = sorted(zip(found.tolist(), counts.tolist(), strict=True), key=lambda one: -one[1])
    return {names[number]: count for number, count in pairs}
