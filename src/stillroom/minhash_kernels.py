"""MinHash and the search among candidates, compiled by Numba: a pass over the bytes, no more.

minhash_arrays.py has the same four functions with the same answers, to the bit. Imported only where
many texts are compared: the import takes a second, and the first call ever on a machine some more,
for compiling; the result is kept beside this file or in the user's cache.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, TypeVar, cast

import numba
import numpy as np

from stillroom.minhash_arrays import (
    FACTORS,
    NEIGHBOURS,
    PERMUTATIONS,
    TRIES,
    Hashes,
    Numbers,
)
from stillroom.shingling import (
    BASE,
    CONTINUES,
    JOINS,
    KINDS,
    LOWER,
    PARTS,
    WORDS,
    Bytes,
    Flags,
    Ints,
    Shingles,
)

__all__ = ["mark", "nearest", "sets", "signatures", "sketch"]

Function = TypeVar("Function", bound=Callable[..., Any])

MOST = np.uint32(0xFFFFFFFF)
STEP, FIRST, SECOND = (
    np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
POWER = np.uint64(BASE)

# Constants are compiled in, and what was compiled is kept until this very file changes: whoever
# changes one elsewhere writes the new digest here.
COMPILED_IN = "9fc8efaaf5626527"


def _digest() -> str:
    numbers = (PERMUTATIONS, NEIGHBOURS, TRIES, WORDS, BASE, PARTS, JOINS, CONTINUES)
    raw = b"".join((KINDS.tobytes(), LOWER.tobytes(), FACTORS.tobytes(), repr(numbers).encode()))
    return blake2b(raw, digest_size=8).hexdigest()


if _digest() != COMPILED_IN:
    raise AssertionError(f"a constant has changed: COMPILED_IN must be {_digest()!r}")


def _compiled(function: Function) -> Function:
    try:
        return cast(Function, numba.njit(cache=True)(function))
    except RuntimeError:  # no folder that the compiled code may be kept in
        return cast(Function, numba.njit(function))


@_compiled
def _mix(value: np.uint64) -> np.uint64:
    value = value + STEP
    value = (value ^ (value >> np.uint64(30))) * FIRST
    value = (value ^ (value >> np.uint64(27))) * SECOND
    return value ^ (value >> np.uint64(31))


@_compiled
def _words(text: Bytes, start: int, end: int, codes: Shingles) -> int:
    """Puts the hashes of a text's words into `codes`; the byte at `end` is a line feed."""
    count, inside, value, power = 0, False, np.uint64(0), np.uint64(1)
    kind = np.uint8(PARTS)
    for place in range(start, end):
        byte = text[place]
        own = KINDS[byte]
        if own != CONTINUES:
            if byte == 0xE1 and text[place + 1] >= 0xB8:
                own = np.uint8(JOINS)
            elif (byte == 0xE2 or byte == 0xE3) and text[place + 1] == 0x80:
                own = np.uint8(PARTS)
            if inside and (own != JOINS or kind != JOINS):
                codes[count] = _mix(value)
                count += 1
                inside = False
            kind = own
        if kind != PARTS:
            if not inside:
                inside, value, power = True, np.uint64(0), np.uint64(1)
            value += LOWER[byte] * power
            power *= POWER
    if inside:
        codes[count] = _mix(value)
        count += 1
    return count


@_compiled
def _gram(codes: Shingles, place: int) -> np.uint64:
    mixed = np.uint64(0)
    for word in range(WORDS):
        mixed = _mix(mixed + codes[place + word])
    return mixed


@_compiled
def _lower(least: Hashes, one: np.uint32) -> None:
    for row in range(PERMUTATIONS):
        least[row] = min(least[row], np.uint32(one * FACTORS[row]))


@_compiled
def sketch(text: Bytes, starts: Ints) -> tuple[Shingles, Ints, Hashes]:
    """Of `joined` texts: a hash of the bag of shingles, their number, the signature [n, P]."""
    texts = len(starts) - 1
    sums, counts = np.zeros(texts, np.uint64), np.zeros(texts, np.int64)
    least = np.full((texts, PERMUTATIONS), MOST, np.uint32)
    codes = np.empty(np.diff(starts).max() if texts else 0, np.uint64)
    for n in range(texts):
        count = max(_words(text, starts[n], starts[n + 1] - 1, codes) - WORDS + 1, 0)
        mine = least[n]
        for place in range(count):
            hashed = _gram(codes, place)
            sums[n] += hashed
            _lower(mine, np.uint32(hashed >> np.uint64(32)))
        counts[n] = count
    return sums, counts, least


@_compiled
def signatures(hashes: Hashes, bounds: Ints) -> Hashes:
    """The least hash under each permutation; text n has hashes[bounds[n] : bounds[n + 1]]."""
    least = np.full((len(bounds) - 1, PERMUTATIONS), MOST, np.uint32)
    for n in range(len(least)):
        for place in range(bounds[n], bounds[n + 1]):
            _lower(least[n], hashes[place])
    return least


@_compiled
def sets(text: Bytes, starts: Ints) -> tuple[Hashes, Ints]:
    """The upper halves of `joined` texts' shingles as sorted sets, and the size of each set."""
    texts = len(starts) - 1
    sizes = np.zeros(texts, np.int64)
    # A word has a byte at least, so a text has no more shingles than bytes.
    every = np.empty(len(text), np.uint32)
    codes = np.empty(np.diff(starts).max() if texts else 0, np.uint64)
    filled = 0
    for n in range(texts):
        count = max(_words(text, starts[n], starts[n + 1] - 1, codes) - WORDS + 1, 0)
        own = every[filled : filled + count]
        for place in range(count):
            own[place] = np.uint32(_gram(codes, place) >> np.uint64(32))
        own.sort()
        size = 0
        for place in range(count):
            if not size or own[place] != own[size - 1]:
                own[size] = own[place]
                size += 1
        sizes[n] = size
        filled += size
    return every[:filled].copy(), sizes


@_compiled
def _alike(marks: Bytes, left: int, right: int) -> np.int32:
    count = np.int32(0)
    one, two = marks[left], marks[right]
    for row in range(PERMUTATIONS):
        count += np.int32(one[row] == two[row])
    return count


@_compiled
def mark(members: Ints, bounds: Ints, marks: Bytes, least: int, marked: Flags) -> None:
    """Sets `marked` of texts that have a neighbour in their bucket with `least` equal marks.

    Bucket b is members[bounds[b] : bounds[b + 1]]; marks: [texts, P], a byte of each minimum.
    """
    for bucket in range(len(bounds) - 1):
        low, high = bounds[bucket], bounds[bucket + 1]
        for place in range(low + 1, high):
            mine = members[place]
            for before in range(max(low, place - NEIGHBOURS), place):
                _mark_pair(mine, members[before], marks, least, marked)
            for before in range(low, min(low + NEIGHBOURS, place - NEIGHBOURS)):
                _mark_pair(mine, members[before], marks, least, marked)


@_compiled
def _mark_pair(mine: int, other: int, marks: Bytes, least: int, marked: Flags) -> None:
    if not (marked[mine] and marked[other]) and _alike(marks, mine, other) >= least:
        marked[mine] = marked[other] = True


@_compiled
def _jaccard(left: Hashes, right: Hashes) -> float:
    """Shared shingles over all shingles of two sorted sets, in [0, 1]."""
    one, two, shared = 0, 0, 0
    while one < len(left) and two < len(right):
        a, b = left[one], right[two]
        shared += a == b
        one += a <= b
        two += b <= a
    every = len(left) + len(right) - shared
    return shared / every if every else 0.0


@_compiled
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

    The arguments are those of `minhash_arrays.nearest`.
    """
    texts = len(marks)
    found = np.full(texts, -1, np.int64)
    members, filled = np.empty(rooms[-1], np.int32), rooms[:-1].copy()
    asked = np.full(texts, -1, np.int32)
    widest = np.diff(owned).max() if texts else 0
    others = np.empty(widest * 2 * NEIGHBOURS, np.int64)
    scores = np.empty(widest * 2 * NEIGHBOURS, np.int64)
    for me in range(texts):
        count = 0
        for bucket in buckets[owned[me] : owned[me + 1]]:
            low, high = rooms[bucket], filled[bucket]
            for near in range(min(high - low, 2 * NEIGHBOURS)):
                other = members[low + near if near < NEIGHBOURS else high - 1 - near + NEIGHBOURS]
                if asked[other] == me:
                    continue
                asked[other] = me
                score = _alike(marks, me, other)
                if score >= least:
                    others[count], scores[count] = other, score
                    count += 1
        found[me] = _best(me, others[:count], scores[:count], hashes, spans, threshold)
        if found[me] < 0 or not kept_only:
            for bucket in buckets[owned[me] : owned[me + 1]]:
                members[filled[bucket]] = me
                filled[bucket] += 1
    return found


@_compiled
def _best(
    me: int, others: Ints, scores: Ints, hashes: Hashes, spans: Ints, threshold: float
) -> int:
    """The candidate of the best score, then of the lowest number, that is near enough, or -1."""
    own = hashes[spans[me, 0] : spans[me, 1]]
    for _ in range(min(TRIES, len(others))):
        best = 0
        for n in range(1, len(others)):
            if scores[n] > scores[best] or (scores[n] == scores[best] and others[n] < others[best]):
                best = n
        other = others[best]
        if _jaccard(own, hashes[spans[other, 0] : spans[other, 1]]) >= threshold:
            return int(other)
        scores[best] = -1
    return -1
