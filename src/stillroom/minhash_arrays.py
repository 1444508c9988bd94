"""MinHash and the search among candidates in NumPy: what runs where Numba is missing.

minhash_kernels.py has the same four functions with the same answers, to the bit.
"""

import numpy as np
import numpy.typing as npt

from stillroom.shingling import Bytes, Flags, Ints, Shingles, mix, text_grams

Hashes = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.int32]

PERMUTATIONS = 128
FACTORS: Hashes = (mix(np.arange(PERMUTATIONS, dtype=np.uint64)) >> np.uint64(32) | 1).astype("u4")
NEIGHBOURS = 64
"""So many of a bucket's first texts and of its last are candidates: a bound for boilerplate."""
TRIES = 32
"""So many candidates of a text are compared exactly, those with the best estimate first."""
PAIRS = 4096


def sketch(text: Bytes, starts: Ints) -> tuple[Shingles, Ints, Hashes]:
    """Of `joined` texts: a hash of the bag of shingles, their number, the signature [n, P]."""
    hashed, counts = text_grams(text, starts)
    bounds = np.append(0, np.cumsum(counts))
    sums = np.append(np.uint64(0), np.cumsum(hashed))
    upper = (hashed >> np.uint64(32)).astype(np.uint32)
    return sums[bounds[1:]] - sums[bounds[:-1]], counts, signatures(upper, bounds)


def signatures(hashes: Hashes, bounds: Ints) -> Hashes:
    """The least hash under each permutation; text n has hashes[bounds[n] : bounds[n + 1]]."""
    least = np.full((len(bounds) - 1, PERMUTATIONS), np.iinfo(np.uint32).max, np.uint32)
    for mine, start, end in zip(least, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        for begin in range(start, end, 512):  # a slice that stays in the cache
            part = hashes[begin : min(end, begin + 512), None] * FACTORS
            np.minimum(mine, part.min(axis=0), out=mine)
    return least


def sets(text: Bytes, starts: Ints) -> tuple[Hashes, Ints]:
    """The upper halves of `joined` texts' shingles as sorted sets, and the size of each set."""
    hashed, counts = text_grams(text, starts)
    owner = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
    both = np.unique(owner << np.uint64(32) | hashed >> np.uint64(32))
    sizes = np.bincount((both >> np.uint64(32)).astype(np.int64), minlength=len(counts))
    return both.astype(np.uint32), sizes.astype(np.int64)


def mark(members: Ints, bounds: Ints, marks: Bytes, least: int, marked: Flags) -> None:
    """Sets `marked` of texts that have a neighbour in their bucket with `least` equal marks.

    Bucket b is members[bounds[b] : bounds[b + 1]]; marks: [texts, P], a byte of each minimum.
    """
    first = np.repeat(bounds[:-1], np.diff(bounds))
    place = np.arange(len(members))
    for step in range(1, NEIGHBOURS + 1):
        later = np.flatnonzero(place - step >= first)
        if not len(later):
            return
        _mark_pairs(members[later], members[later - step], marks, least, marked)
    for step in range(NEIGHBOURS):
        later = np.flatnonzero(place - NEIGHBOURS > first + step)
        _mark_pairs(members[later], members[first[later] + step], marks, least, marked)


def _mark_pairs(mine: Ints, other: Ints, marks: Bytes, least: int, marked: Flags) -> None:
    new = ~(marked[mine] & marked[other])
    mine, other = mine[new], other[new]
    for start in range(0, len(mine), PAIRS):
        one, two = mine[start : start + PAIRS], other[start : start + PAIRS]
        alike = np.count_nonzero(marks[one] == marks[two], axis=1) >= least
        marked[one[alike]] = marked[two[alike]] = True


def nearest(
    hashes: Hashes,
    spans: Ints,
    marks: Bytes,
    owned: Ints,
    buckets: Numbers,
    rooms: Ints,
    least: int,
    threshold: float,
    kept_only: bool,
) -> Ints:
    """For each text, in order, an earlier one with Jaccard similarity >= threshold, or -1.

    hashes, spans    sets of shingles: text n has hashes[begin:end] of spans[n]
    owned, buckets   text n is in the buckets buckets[owned[n] : owned[n + 1]]
    rooms            where each bucket's members are put; the last number is the room of all
    kept_only        whether texts for which one was found are no candidates of later ones
    """
    found = np.full(len(marks), -1, np.int64)
    members, filled = np.empty(rooms[-1], np.int32), rooms[:-1].copy()
    for me in range(len(marks)):
        mine = buckets[owned[me] : owned[me + 1]]
        there = [
            part
            for low, high in zip(rooms[mine].tolist(), filled[mine].tolist(), strict=True)
            if high > low
            for part in _ends(members[low:high])
        ]
        if there:
            others = np.unique(np.concatenate(there))
            alike = np.count_nonzero(marks[others] == marks[me], axis=1)
            best = np.argsort(-alike, kind="stable")[:TRIES]
            own = hashes[spans[me, 0] : spans[me, 1]]
            for other in others[best[alike[best] >= least]].tolist():
                if jaccard(own, hashes[spans[other, 0] : spans[other, 1]]) >= threshold:
                    found[me] = other
                    break
        if found[me] < 0 or not kept_only:
            members[filled[mine]] = me
            filled[mine] += 1
    return found


def _ends(members: Numbers) -> tuple[Numbers, ...]:
    if len(members) <= 2 * NEIGHBOURS:
        return (members,)
    return members[:NEIGHBOURS], members[-NEIGHBOURS:]


def jaccard(left: Hashes, right: Hashes) -> float:
    """Shared shingles over all shingles of two sorted sets, in [0, 1]."""
    if len(left) > len(right):
        left, right = right, left
    if not len(left):
        return 0.0
    places = np.minimum(np.searchsorted(right, left), len(right) - 1)
    shared = int(np.count_nonzero(right[places] == left))
    return shared / (len(left) + len(right) - shared)
