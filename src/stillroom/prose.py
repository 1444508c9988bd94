"""How varied a set of texts is, for any world that writes text: measures, and an audit of them.

Digits, pooled names and formulas are masked, so that chance in them doesn't pass for variety.
Figures depend on the number of tokens; they are read against texts that people wrote, at an equal
number: the docstrings of Python's standard library.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from heapq import heappush, heappushpop
from math import nan, prod
from typing import NamedTuple

from stillroom.docstrings import human_reference
from stillroom.minhash import earlier, near_duplicates
from stillroom.sentences import (
    frames,
    grade,
    largest_frame,
    most_frequent,
    readability,
    sentences,
    words,
)
from stillroom.shingling import Shingles, shingles
from stillroom.world import Finding

__all__ = [
    "audit",
    "compression",
    "distinct",
    "frames",
    "human_reference",
    "largest_frame",
    "near_duplicates",
    "readability",
    "words",
]

Tokens = Sequence[str]

LOOKED_AT = 10_000
"""Texts an audit compares for near-duplicates: the first ones, 2,000 tokens of each."""
GROUPS = 1_000
"""Groups an audit keeps texts of; texts of further groups are one group together."""
MOST = 150_000
"""Tokens a group is measured at, at most: people's texts repeat themselves too, later."""
TOKENS, SENTENCES, ANSWERS = 1_000, 200, 20
"""Groups with less are too small to be judged."""


def distinct(tokens_of_texts: Iterable[Tokens], n: int = 4, limit: int | None = None) -> float:
    """The share of n-grams that are distinct, in (0, 1]; nan where there is none.

    Distinct-n of Li, Galley, Brockett, Gao and Dolan (NAACL 2016), over a set of texts; n-grams
    don't cross from text to text. It falls as texts are added: compare sets at an equal number of
    tokens, `limit`, after which the rest is cut off.
    """
    seen: set[tuple[str, ...]] = set()
    total = 0
    for tokens in _first(tokens_of_texts, limit):
        seen.update(zip(*(tokens[start:] for start in range(n)), strict=False))
        total += max(0, len(tokens) - n + 1)
    return len(seen) / total if total else nan


def compression(tokens_of_texts: Iterable[Tokens], limit: int | None = None) -> float:
    """How many times smaller zlib (level 9) makes the masked texts; nan where there is no token.

    The compression ratio of Shaib et al., "Standardizing the Measurement of Text Diversity"
    (2024): the higher, the more repetitive. zlib looks back 32 kB, some ten lessons.
    """
    joined = (" ".join(tokens) for tokens in _first(tokens_of_texts, limit))
    raw = "\n".join(joined).encode(errors="surrogatepass")
    return len(raw) / len(zlib.compress(raw, 9)) if raw else nan


def _first(tokens_of_texts: Iterable[Tokens], limit: int | None) -> Iterator[Tokens]:
    left = limit
    for tokens in tokens_of_texts:
        if left is not None:
            tokens = tokens[:left]
            left -= len(tokens)
        yield tokens
        if left == 0:
            return


Row = tuple[Mapping[str, str], str]


def audit(
    rows: Iterable[Row],
    names: frozenset[str] = frozenset(),
    groups: str = "concept",
    audiences: str = "audience",
    sample: int = 150,
    looked_at: int = LOOKED_AT,
    cells: Sequence[str] = ("concept", "level", "audience", "style"),
) -> list[Finding]:
    """How varied a set of texts is, judged by its worst group; `rows` are (tags, text), read once.

    Groups are the values of the tag `groups` (all texts, where it is missing); of each, `sample`
    texts drawn evenly are measured. `cells` are the tags whose crossing should be filled. A set
    without a measure gets no such finding, one too small to judge gets ok=None. Memory holds the
    samples, the shingles of the first `looked_at` texts and a count a cell: for 10,000 lessons in
    60 groups 230 MB, in about 45 CPU-seconds.
    """
    drawn: dict[str, list[_Drawn]] = {}
    counts = Counter[_Cell]()
    classes: dict[str, Counter[str]] = {}
    looked: list[tuple[str, Shingles]] = []
    table: dict[str, int] = {}
    for number, (tags, text) in enumerate(rows):
        group = tags.get(groups, "all texts")
        if group not in drawn and len(drawn) >= GROUPS:
            group = "other groups"
        _draw(drawn.setdefault(group, []), sample, (number, tags.get(audiences, ""), text))
        counts[tuple(tags.get(tag) for tag in cells)] += 1
        if "answer_class" in tags:
            classes.setdefault(group, Counter())[tags["answer_class"]] += 1
        if len(looked) < looked_at:
            looked.append((group, shingles(words(text, names)[:2000], 5, table)))
    if not drawn:
        return []
    chosen = {name: sorted(one[1:] for one in drawn[name]) for name in sorted(drawn)}
    return [
        *_variety({name: [one[2] for one in texts] for name, texts in chosen.items()}, names),
        *_doubles(looked),
        *_sentences(chosen, names),
        *_coverage(counts, cells),
        *_classes(classes),
    ]


_Drawn = tuple[int, int, str, str]
_Cell = tuple[str | None, ...]


def _draw(kept: list[_Drawn], sample: int, row: tuple[int, str, str]) -> None:
    """Keep the `sample` rows of the least hashes of their numbers: an even draw without chance."""
    raw = blake2b(row[0].to_bytes(8, "little"), digest_size=8).digest()
    one = (-int.from_bytes(raw, "little"), *row)
    if len(kept) < sample:
        heappush(kept, one)
    elif kept:
        heappushpop(kept, one)


class _Figures(NamedTuple):
    """Distinct-4 and compression of a group and of people's texts, each at `limit` tokens."""

    group: str
    limit: int
    distinct: float
    compression: float
    human_distinct: float
    human_compression: float


def _variety(samples: dict[str, list[str]], names: frozenset[str]) -> Iterator[Finding]:
    """Distinct-4 and compression of the groups that are worst beside people's texts."""
    for formulas, what in ((True, "distinct 4-grams"), (False, "distinct 4-grams, formulas too")):
        found = list(_figures(samples, names, formulas))
        found = [one for one in found if one.limit >= TOKENS]
        if not found:
            continue
        worst = min(found, key=lambda one: one.distinct / one.human_distinct)
        ok = worst.distinct >= worst.human_distinct / 2 if formulas else None
        told = f"human docstrings {worst.human_distinct:.3f} at {worst.limit:,} tokens"
        yield Finding(what, worst.distinct, "of 4-grams", ok, f"{worst.group}: {told}")
        if formulas:
            worst = max(found, key=lambda one: one.compression / one.human_compression)
            told = f"human docstrings {worst.human_compression:.2f} at {worst.limit:,} tokens"
            yield Finding("compression", worst.compression, "x", None, f"{worst.group}: {told}")


def _figures(
    samples: dict[str, list[str]], names: frozenset[str], formulas: bool
) -> Iterator[_Figures]:
    tokens = {group: [words(t, names, formulas) for t in texts] for group, texts in samples.items()}
    largest = max((sum(map(len, ours)) for ours in tokens.values()), default=0)
    if largest < TOKENS:
        return  # too little for any judgement, and the reference takes a moment to find
    human = [words(text, formulas=formulas) for text in human_reference(min(MOST, largest))]
    most = sum(map(len, human))
    theirs: dict[int, tuple[float, float]] = {}
    for group, ours in tokens.items():
        size = min(most, sum(map(len, ours)))
        limit = size - size % 10 ** max(0, len(str(size)) - 2)  # so that few limits occur
        if limit not in theirs:
            theirs[limit] = distinct(human, limit=limit), compression(human, limit)
        own = distinct(ours, limit=limit), compression(ours, limit)
        yield _Figures(group, limit, *own, *theirs[limit])


def _doubles(looked: list[tuple[str, Shingles]]) -> Iterator[Finding]:
    if len(looked) < 2:
        return
    found = earlier([one for _, one in looked])
    doubles = Counter(looked[n][0] for n, other in enumerate(found) if other >= 0)
    sizes = Counter(name for name, _ in looked)
    worst = min(sizes, key=lambda name: (-doubles[name] / sizes[name], name))
    share = doubles.total() / len(looked)
    told = f"{worst}: {doubles[worst]:,} of {sizes[worst]:,}; {len(looked):,} texts looked at"
    yield Finding("near-duplicates", share, "of texts", share <= 0.02, told)


def _sentences(
    chosen: dict[str, list[tuple[int, str, str]]], names: frozenset[str]
) -> Iterator[Finding]:
    """The most frequent sentence frame of a group, and the reading grade of each audience."""
    grades: dict[str, list[float]] = {}
    shares: list[tuple[bool, float, str, str]] = []
    for name, texts in chosen.items():
        counted = Counter[str]()
        for _, audience, text in texts:
            split = sentences(text, names)
            counted.update(" ".join(one) for one in split)
            if split:
                grades.setdefault(audience, []).append(grade(split))
        share, frame = most_frequent(counted)
        shares.append((counted.total() >= SENTENCES, share, name, frame))
    if not grades:
        return
    judged, share, name, frame = max(shares)
    ok = share <= 0.05 if judged else None
    yield Finding("largest sentence frame", share, "of sentences", ok, f"{name}: {frame[:200]}")
    means = sorted((sum(known) / len(known), who) for who, known in grades.items())
    told = ", ".join(f"{who or 'no audience'} {mean:.1f}" for mean, who in means)
    of = {who: mean for mean, who in means}
    right = of["child"] < of["teen"] < of["adult"] if {"child", "teen", "adult"} <= {*of} else None
    spread = means[-1][0] - means[0][0]
    value, unit = (spread, "grades apart") if len(means) > 1 else (means[0][0], "school grade")
    yield Finding("readability", value, unit, right, told)


def _coverage(counts: "Counter[_Cell]", tags: Sequence[str]) -> Iterator[Finding]:
    values = [set(column) for column in zip(*counts, strict=True)]
    there = [place for place, known in enumerate(values) if known != {None}]
    if not there:
        return
    size = prod(len(values[place]) for place in there)
    told = " x ".join(f"{len(values[place])} {tags[place]}" for place in there)
    yield Finding("cells filled", len(counts), "cells", None, f"of {size:,}: {told}")
    least = min(counts, key=lambda cell: (counts[cell], str(cell)))
    mean = counts.total() / len(counts)
    named = ", ".join(f"{tags[place]} {least[place]}" for place in there)
    told = f"{named}: {counts[least]:,} texts, mean {mean:.1f}"
    yield Finding("smallest cell", counts[least] / mean, "of the mean", None, told)


def _classes(classes: "dict[str, Counter[str]]") -> Iterator[Finding]:
    judged = {name: c for name, c in classes.items() if c.total() >= ANSWERS} or classes
    found = [(*most_frequent(counts), name) for name, counts in sorted(judged.items())]
    for share, most, name in sorted(found, key=lambda one: -one[0])[:1]:
        yield Finding("largest answer class", share, "of answers", None, f"{name}: {most}")
