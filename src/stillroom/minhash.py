"""Near-duplicates: which texts have an earlier text that is nearly the same.

MinHash signatures and bands find candidates, the Jaccard similarity itself decides. Hashes are
BLAKE2 and SplitMix64, never Python's `hash`, so the same texts give the same answer everywhere.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

Shingles = npt.NDArray[np.uint64]
"""A text as the sorted set of its shingles' 64-bit hashes."""

PERMUTATIONS = 125
NEIGHBOURS = 200
"""So many of the texts last put into a bucket are candidates: a bound for sets of one template."""
TRIES = 64
"""So many candidates of a text are compared exactly, those with the best estimate first."""


def near_duplicates(
    token_lists: Iterable[Sequence[str]], shingle: int = 5, threshold: float = 0.8
) -> float:
    """The share of texts that have an earlier text with Jaccard similarity >= `threshold`.

    Similarity is that of the sets of `shingle` successive tokens (Broder, "On the resemblance and
    containment of documents", 1997). Texts without tokens count as no one's duplicate. About half a
    CPU-millisecond and 10 kB a text of 500 tokens; 0.0 for no texts.
    """
    table: dict[str, int] = {}
    sets = [shingles(tokens, shingle, table) for tokens in token_lists]
    if not sets:
        return 0.0
    return sum(one >= 0 for one in earlier(sets, threshold)) / len(sets)


def shingles(tokens: Sequence[str], size: int, table: dict[str, int]) -> Shingles:
    """The set of a text's shingles, hashed; `table` keeps the hashes of tokens between calls.

    A text shorter than a shingle is one shingle.
    """
    codes = token_codes(tokens, table)
    return np.unique(grams(codes, min(size, len(codes)))) if len(codes) else codes


def token_codes(tokens: Sequence[str], table: dict[str, int]) -> Shingles:
    """The hash of each token, in order; `table` keeps them between calls."""
    for token in set(tokens).difference(table):
        raw = blake2b(token.encode(errors="surrogatepass"), digest_size=8).digest()
        table[token] = int.from_bytes(raw, "little")
    return np.fromiter(map(table.__getitem__, tokens), np.uint64, len(tokens))


def grams(codes: Shingles, size: int) -> Shingles:
    """The hash of every `size` successive tokens, in order; none where there are fewer."""
    mixed = np.zeros(max(0, len(codes) - size + 1), np.uint64)
    for place in range(size):  # a polynomial in an odd number, mixed at every step
        mixed = _mix(mixed + codes[place : place + len(mixed)])
    return mixed


def earlier(sets: Sequence[Shingles], threshold: float = 0.8) -> list[int]:
    """For every text the number of an earlier near-duplicate of it, or -1 where there is none.

    A pair exactly at the threshold is missed with a probability below 0.001, a more similar one
    with less (more, where over NEIGHBOURS texts look alike: that set is in trouble anyway).
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be in (0, 1], not {threshold}")
    answer = [-1] * len(sets)
    whole = [n for n, one in enumerate(sets) if len(one)]
    if len(whole) < 2:
        return answer
    signatures = np.stack([_signature(sets[n]) for n in whole])
    floor = threshold - 4 * (threshold * (1 - threshold) / PERMUTATIONS) ** 0.5
    before: list[list[npt.NDArray[Any]]] = [[] for _ in whole]
    for bucket in _buckets(signatures, _rows(threshold)):
        for place in range(1, len(bucket)):
            before[bucket[place]].append(bucket[max(0, place - NEIGHBOURS) : place])
    for me, found in enumerate(before):
        if not found:
            continue
        others = np.unique(np.concatenate(found))
        guess = (signatures[others] == signatures[me]).mean(axis=1)
        best = np.argsort(-guess, kind="stable")[:TRIES]
        for other in others[best[guess[best] >= floor]]:
            if jaccard(sets[whole[me]], sets[whole[other]]) >= threshold:
                answer[whole[me]] = whole[other]
                break
    return answer


def jaccard(left: Shingles, right: Shingles) -> float:
    """Shared shingles over all shingles of two texts, in [0, 1]."""
    if len(left) > len(right):
        left, right = right, left
    if not len(left):
        return 0.0
    places = np.minimum(np.searchsorted(right, left), len(right) - 1)
    shared = int(np.count_nonzero(right[places] == left))
    return shared / (len(left) + len(right) - shared)


def _mix(value: Shingles) -> Shingles:
    """SplitMix64's finalizer (Steele, Lea and Flood, OOPSLA 2014); wraps at 2**64."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


_FACTORS = _mix(np.arange(PERMUTATIONS, dtype=np.uint64)) | np.uint64(1)


def _signature(one: Shingles) -> npt.NDArray[np.uint32]:
    """The least hash of a set under every one of the permutations, its upper 32 bits."""
    least = np.full(PERMUTATIONS, np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(one), 1024):  # a slice that stays in the cache
        part = one[start : start + 1024, None] * _FACTORS
        np.minimum(least, part.min(axis=0), out=least)
    return (least >> np.uint64(32)).astype(np.uint32)


def _rows(threshold: float) -> int:
    """Rows a band: as many as still find a pair at the threshold with probability 0.999."""
    for rows in range(12, 1, -1):
        if (1 - threshold**rows) ** (PERMUTATIONS // rows) < 0.001:
            return rows
    return 1


def _buckets(signatures: npt.NDArray[np.uint32], rows: int) -> Iterable[npt.NDArray[np.intp]]:
    """Numbers of texts that agree on all rows of a band, rising, for every band."""
    for band in range(PERMUTATIONS // rows):
        keys = np.zeros(len(signatures), np.uint64)
        for row in range(band * rows, band * rows + rows):
            keys = _mix(keys + signatures[:, row])
        order = np.argsort(keys, kind="stable")
        ends = np.flatnonzero(np.diff(keys[order], append=~keys[order[-1:]])) + 1
        sizes = np.diff(ends, prepend=0)
        for end, size in zip(ends[sizes > 1], sizes[sizes > 1], strict=True):
            yield order[end - size : end]
