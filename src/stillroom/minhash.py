"""Near-duplicates: which texts have an earlier text that is nearly the same.

MinHash signatures and bands find candidates (Broder, "On the resemblance and containment of
documents", 1997; Indyk and Motwani, STOC 1998), the Jaccard similarity of the sets of shingles
itself decides. Numba compiles the loops where it is installed and the texts are many; NumPy gives
the same answers without it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from hashlib import blake2b
from math import ceil, sqrt
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stillroom import minhash_arrays
from stillroom.minhash_arrays import PERMUTATIONS, Hashes, Numbers
from stillroom.shingling import Bytes, Flags, Ints, Shingles, joined, mix, shingles

COMPILED = 10_000
"""Texts from which on the second that Numba takes to be imported is worth it."""
CHUNK = 1 << 16
"""Characters of texts looked at in one go."""
MISSED = 0.002
"""The chance that the bands miss a pair right at the threshold; they find more similar ones."""


def near_duplicates(
    token_lists: Iterable[Sequence[str]], shingle: int = 5, threshold: float = 0.8
) -> float:
    """The share of texts that have an earlier text with Jaccard similarity >= `threshold`.

    Similarity is that of the sets of `shingle` successive tokens. Texts without tokens count as no
    one's duplicate. About a fifth of a CPU-millisecond and 10 kB a text of 500 tokens; 0.0 for no
    texts.
    """
    table: dict[str, int] = {}
    sets = [shingles(tokens, shingle, table) for tokens in token_lists]
    if not sets:
        return 0.0
    return sum(one >= 0 for one in earlier(sets, threshold)) / len(sets)


def earlier(sets: Sequence[Shingles], threshold: float = 0.8) -> list[int]:
    """For every text the number of an earlier near-duplicate of it, or -1 where there is none.

    A pair at the threshold is missed with a probability below 0.003, a more similar one with less
    (more, where hundreds of texts look alike: that set is in trouble anyway). The upper halves of
    the hashes are compared.
    """
    _check(threshold)
    whole = np.array([n for n, one in enumerate(sets) if len(one)], np.int64)
    answer = np.full(len(sets), -1, np.int64)
    if len(whole):
        hashes = np.concatenate([(sets[n] >> np.uint64(32)).astype(np.uint32) for n in whole])
        bounds = np.append(0, np.cumsum([len(sets[n]) for n in whole]))
        engine, rows = _engine(len(whole)), _rows(threshold)
        signatures: Hashes = engine.signatures(hashes, bounds)
        near = _nearest(
            hashes,
            np.stack([bounds[:-1], bounds[1:]], axis=1),
            signatures.astype(np.uint8),
            map(_buckets, _band_keys(signatures, rows)),
            threshold,
            kept_only=False,
        )
        answer[whole] = np.where(near < 0, -1, whole[near])
    return answer.tolist()


def first_copies(
    read: Callable[[], Iterable[Sequence[str]]],
    rank: Ints | None = None,
    threshold: float = 0.8,
) -> Ints:
    """Which texts to drop so that no two that stay are nearly the same: each one's kept text.

    `read()`, called twice at most, yields the same texts each time; they are not kept in memory.
    The answer has, in reading order, the number of the kept text whose near-duplicate a text is,
    and -1 where it is kept itself. Texts are looked at by rising `rank`, then in reading order;
    one is dropped where a text kept before it has Jaccard similarity >= `threshold`.

    Similarity is that of the sets of five successive words as stillroom.shingling defines them. A
    text of fewer words is a near-duplicate of none, a copy only of one with the same characters;
    that goes for empty texts too. What is dropped was compared in full, by 32-bit hashes of the
    shingles, or has all shingles in common by a 64-bit one. A pair at the threshold is missed with
    a probability below 0.003, a more similar one with less; of texts that share a template, so many
    that over 128 of them are kept in one bucket, more.

    A million texts of 1 kB in families of a template take 0.5 GB and 12 CPU-seconds with Numba
    (bench/near_duplicates.py): 0.4 kB a text, and 4 bytes a shingle of those that look alike. The
    second reading is left out where none do. ValueError where `read` yields other texts the second
    time, `rank` has another length, or the threshold isn't in (0, 1].
    """
    _check(threshold)
    rows = _rows(threshold)
    told = _sketches(read, rows)
    texts = np.arange(len(told.prints))
    if rank is not None and np.shape(rank) != texts.shape:
        raise ValueError(f"{np.shape(rank)} ranks for {len(texts)} texts")
    order = texts if rank is None else np.argsort(rank, kind="stable")
    leader = _leaders(told.prints, order)
    found = np.where(leader == texts, -1, leader)
    unlike = order[(found[order] < 0) & (told.counts[order] > 0)]
    close = unlike[_marked(told, unlike, threshold)[unlike]]
    hashes, spans = _sets(read, told.counts, close)
    keys = (_buckets(band[close]) for band in told.keys)
    near = _nearest(hashes, spans, told.marks[close], keys, threshold, kept_only=True)
    found[close] = np.where(near < 0, -1, close[near])
    followed = found[leader]  # a copy goes where the first of its kind goes
    return np.where((leader != texts) & (followed >= 0), followed, found)


class _Sketches(NamedTuple):
    """Of each text: a hash by which copies are equal, its number of shingles, marks, band keys.

    marks   [texts, P], a byte of each minimum;  keys   [bands, texts]
    """

    prints: Shingles
    counts: Numbers
    marks: Bytes
    keys: Hashes


def _sketches(read: Callable[[], Iterable[Sequence[str]]], rows: int) -> _Sketches:
    parts = [_sketch([], 0, rows)]
    seen = 0
    for texts in _chunks(read()):
        parts.append(_sketch(texts, seen, rows))
        seen += len(texts)
    prints, counts, marks, keys = map(list, zip(*parts, strict=True))
    parts.clear()  # so that each column is held twice only while it is joined
    return _Sketches(_joined(prints), _joined(counts), _joined(marks), _joined(keys, axis=1))


def _joined(arrays: list[Any], axis: int = 0) -> npt.NDArray[Any]:
    whole = np.concatenate(arrays, axis)
    arrays.clear()
    return whole


def _sketch(texts: list[str], seen: int, rows: int) -> _Sketches:
    prints, counts, signatures = _engine(seen).sketch(*joined(texts))
    for n in np.flatnonzero(counts == 0).tolist():
        raw = texts[n].encode(errors="surrogatepass")
        prints[n] = int.from_bytes(blake2b(raw, digest_size=8).digest(), "little")
    return _Sketches(
        prints, counts.astype(np.int32), signatures.astype(np.uint8), _band_keys(signatures, rows)
    )


def _chunks(batches: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """Texts, some CHUNK characters of them at once."""
    chunk: list[str] = []
    size = 0
    for batch in batches:
        for text in batch:
            chunk.append(text)
            size += len(text)
            if size >= CHUNK:
                yield chunk
                chunk, size = [], 0
    if chunk:
        yield chunk


def _leaders(prints: Shingles, order: Ints) -> Ints:
    """Of each text the first in `order` with the same print."""
    _, first, which = np.unique(prints[order], return_index=True, return_inverse=True)
    leaders = np.empty(len(order), np.int64)
    leaders[order] = order[first[which]]
    return leaders


def _marked(told: _Sketches, unlike: Ints, threshold: float) -> Flags:
    """Which texts look like another by their marks, so that their sets are needed."""
    marked = np.zeros(len(told.marks), bool)
    engine, least = _engine(len(unlike)), _least(threshold)
    for band in told.keys:
        members, bounds = _buckets(band[unlike])
        engine.mark(unlike[members], bounds, told.marks, least, marked)
    return marked


def _sets(
    read: Callable[[], Iterable[Sequence[str]]], counts: Numbers, wanted: Ints
) -> tuple[Hashes, Ints]:
    """The sets of shingles of the texts `wanted`: all hashes, and each one's [begin, end)."""
    hashes = np.empty(counts[wanted].sum(dtype=np.int64), np.uint32)
    asked, sizes = np.zeros(len(counts), bool), np.zeros(len(counts), np.int64)
    asked[wanted] = True
    seen = filled = 0
    for texts in _chunks(read()) if len(wanted) else ():
        here = np.flatnonzero(asked[seen : seen + len(texts)])
        seen += len(texts)
        if not len(here):
            continue
        part, size = _engine(len(wanted)).sets(*joined([texts[n] for n in here]))
        sizes[here + seen - len(texts)] = size
        if filled + len(part) <= len(hashes):
            hashes[filled : filled + len(part)] = part
        filled += len(part)
    if filled > len(hashes) or (len(wanted) and seen != len(counts)):
        raise ValueError(f"read() gave other texts the second time: {seen}, before {len(counts)}")
    ends = np.cumsum(sizes)
    return hashes, np.stack([ends - sizes, ends], axis=1)[wanted]


def _nearest(
    hashes: Hashes,
    spans: Ints,
    marks: Bytes,
    bands: Iterable[tuple[Numbers, Ints]],
    threshold: float,
    kept_only: bool,
) -> Ints:
    """For each text an earlier one that is near enough, or -1, from the buckets of each band."""
    parts, rooms = [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
    total = 0
    for members, bounds in bands:
        parts.append(members)
        rooms.append(bounds[1:] + total)
        total += len(members)
    members, room = np.concatenate(parts), np.concatenate(rooms)
    bucket_of = np.repeat(np.arange(len(room) - 1, dtype=np.int32), np.diff(room))
    buckets = bucket_of[np.argsort(members, kind="stable")]
    owned = np.append(0, np.cumsum(np.bincount(members, minlength=len(marks))))
    engine = _engine(len(marks))
    near: Ints = engine.nearest(
        hashes, spans, marks, owned, buckets, room, _least(threshold), threshold, kept_only
    )
    return near


def _band_keys(signatures: Hashes, rows: int) -> Hashes:
    """A hash of each band of `rows` minima: [bands, texts]."""
    bands = PERMUTATIONS // rows
    parts = signatures[:, : bands * rows].reshape(-1, bands, rows)
    keys: Shingles = np.zeros(parts.shape[:2], np.uint64)
    for row in range(rows):
        keys = mix(keys + parts[:, :, row])
    return np.ascontiguousarray((keys >> np.uint64(32)).astype(np.uint32).T)


def _buckets(keys: Hashes) -> tuple[Numbers, Ints]:
    """Numbers of texts that share a key with others, bucket by bucket, rising; their bounds."""
    both = np.sort(keys.astype(np.uint64) << np.uint64(32) | np.arange(len(keys), dtype=np.uint64))
    upper = both >> np.uint64(32)
    first = np.append(True, upper[1:] != upper[:-1])  # one flag more than keys where there are none
    shared = ~(first & np.append(first[1:], True))[: len(keys)]
    members = both[shared].astype(np.uint32).astype(np.int32)
    return members, np.append(np.flatnonzero(first[: len(keys)][shared]), len(members))


def _rows(threshold: float) -> int:
    """Rows a band: as many as find a pair at the threshold but for a chance of MISSED."""
    for rows in range(12, 1, -1):
        if (1 - threshold**rows) ** (PERMUTATIONS // rows) < MISSED:
            return rows
    return 1


def _least(threshold: float) -> int:
    """Marks that agree in pairs worth comparing: 3.5 standard deviations below the threshold."""
    spread = sqrt(threshold * (1 - threshold) / PERMUTATIONS)
    return max(1, ceil(PERMUTATIONS * (threshold - 3.5 * spread)))


def _check(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be in (0, 1], not {threshold}")


def _engine(texts: int) -> ModuleType:
    """What has the loops for so many texts."""
    return (texts >= COMPILED and _kernels()) or minhash_arrays


@cache
def _kernels() -> ModuleType | None:
    try:
        from stillroom import minhash_kernels
    except ImportError:
        return None
    return minhash_kernels
