"""Which types occur in which units: what the tests for a lost tail look at.

A type is whatever can be rare: a word or a pair of words, a tag's value or a pair of values, a
level of a feature or a pair of levels. A unit is what was sampled: a document, or all documents of
one source. Only whether a type occurs in a unit counts, never how often: tokens are no sample.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stillroom.errors import UserError
from stillroom.shingling import grams, joined, token_codes, words

Codes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

BUDGET = 700_000
"""About so many incidences of a set are kept. Where there are more, types are drawn by their hash;
documents are never left out, so rare types keep every document that they are in."""
CASES = 200  # a tag with more values is a label, not a class of records
QUANTILES = (0.002, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.998)  # between a feature's levels
_WORD = re.compile(r"\w+|.", re.DOTALL)
_ALL = 2**64 - 1


class Items(NamedTuple):
    """Some documents of a set: the unit of each, and what is known of it."""

    units: Sequence[int]
    texts: Sequence[str] = ()
    tags: Sequence[Mapping[str, str]] = ()
    features: Sequence[Mapping[str, float]] = ()


@dataclass(frozen=True)
class Incidence:
    """Pairs (unit, type) of a set, none twice; types are 64-bit hashes, those up to `bound` kept.

    `names` says what types of tags and features are called; those of texts have none.
    """

    units: int
    unit: Numbers
    type: Codes
    bound: int = _ALL
    names: dict[int, str] = field(default_factory=dict, repr=False)

    def drawn(self, bound: int) -> "Incidence":
        """The same with only the types whose hash is up to the bound."""
        if bound >= self.bound:
            return self
        kept = self.type <= np.uint64(bound)
        return Incidence(self.units, self.unit[kept], self.type[kept], bound, self.names)

    def grouped(self, group: Numbers) -> "Incidence":
        """The same with units put together: `group` is the new number of each, -1 leaves it out."""
        unit = group[self.unit]
        kept = unit >= 0
        unit, code = _distinct(unit[kept], self.type[kept])
        return Incidence(int(group.max(initial=-1)) + 1, unit, code, self.bound, self.names)


def _distinct(unit: Numbers, code: Codes) -> tuple[Numbers, Codes]:
    """Each pair once, in no order that means anything.

    A hash of the pair is sorted, not the pair: one fast sort instead of two slow ones.
    """
    key = code * np.uint64(0x9E3779B97F4A7C15) + unit.astype(np.uint64) * np.uint64(
        0xD6E8FEB86659FD93
    )
    order = np.argsort(key)
    key = key[order]
    new = np.ones(len(key), bool)
    new[1:] = key[1:] != key[:-1]
    first = order[new]
    return unit[first], code[first]


class _Gathering:
    """Pairs as they come, fewer types as soon as there are too many."""

    def __init__(self) -> None:
        self.units, self.bound, self.size = 0, _ALL, 0
        self.parts: list[tuple[Numbers, Codes]] = []

    def add(self, units: Sequence[int], unit: Numbers, code: Codes) -> None:
        self.units = max(self.units, max(units, default=-1) + 1)
        kept = code <= np.uint64(self.bound)
        self.parts.append(_distinct(unit[kept], code[kept]))
        self.size += len(self.parts[-1][0])
        while self.size > 2 * BUDGET and self.bound > 2**40:
            self.bound //= 2
            keep = [(u, c, c <= np.uint64(self.bound)) for u, c in self.parts]
            self.parts = [(u[k], c[k]) for u, c, k in keep]
            self.size = sum(len(u) for u, _ in self.parts)

    def done(self, names: dict[int, str] | None = None) -> Incidence:
        unit = np.concatenate([np.empty(0, np.int64), *(u for u, _ in self.parts)])
        code = np.concatenate([np.empty(0, np.uint64), *(c for _, c in self.parts)])
        # A unit of several documents may have come in several batches.
        return Incidence(self.units, *_distinct(unit, code), self.bound, names or {})


def of_texts(batches: Iterable[Items]) -> Incidence:
    """Words and pairs of neighbouring words (what a word is: shingling.py)."""
    found = _Gathering()
    for batch in batches:
        place, codes = _words(batch.texts)
        found.add(batch.units, np.asarray(batch.units, np.int64)[place], codes)
    return found.done()


def _words(texts: Sequence[str]) -> tuple[Numbers, Codes]:
    """(number of the text, hash) of every word and every pair of neighbours in these texts."""
    text, starts = joined(texts)
    codes, places = words(text)
    number = np.searchsorted(starts, places, side="right") - 1
    inside = number[1:] == number[:-1]
    pairs = grams(codes, 2)[inside]
    return np.concatenate([number, number[:-1][inside]]), np.concatenate([codes, pairs])


def words_of(text: str) -> dict[int, str]:
    """The words and pairs of neighbouring words of a text by their hash: what a type was."""
    raw, _ = joined([text])
    codes, places = words(raw)
    whole = raw.tobytes()
    pieces = [
        whole[begin:end].decode(errors="replace")
        for begin, end in pairwise([*places.tolist(), len(whole)])
    ]
    names = [_WORD.match(piece).group().lower() for piece in pieces]  # type: ignore[union-attr]
    named = dict(zip(codes.tolist(), names, strict=True))
    pairs = (f"{a} {b}" for a, b in pairwise(names))
    return named | dict(zip(grams(codes, 2).tolist(), pairs, strict=True))


def case_tags(tags: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """The tags that sort records into cases: labels of very many values and splits do not."""
    seen: dict[str, set[str]] = {}
    for one in tags:
        for key, value in one.items():
            values = seen.setdefault(key, set())
            if len(values) <= CASES:
                values.add(value)
    return tuple(sorted(k for k, v in seen.items() if len(v) <= CASES and k != "split"))


def of_tags(batches: Iterable[Items], keys: Sequence[str]) -> Incidence:
    """The values of these tags, and all pairs of values of two of them."""
    wanted = frozenset(keys)
    return _of_cases(
        batches,
        lambda batch: batch.tags,
        lambda tags: tuple(f"{k} {tags[k]}" for k in sorted(wanted.intersection(tags))),
    )


def cases(tags: Mapping[str, str]) -> dict[int, str]:
    """The types of one document's tags by their hash."""
    names = [f"{key} {tags[key]}" for key in sorted(tags)]
    names += [" · ".join(pair) for pair in combinations(names, 2)]
    return dict(zip(token_codes(names, {}).tolist(), names, strict=True))


def of_features(
    batches: Iterable[Items], levels: Mapping[str, npt.NDArray[np.float64]]
) -> Incidence:
    """Levels of features and all pairs of levels of two of them; `levels`: see `levels_of`."""

    def names(features: Mapping[str, float]) -> tuple[str, ...]:
        shared = sorted(levels.keys() & features.keys())
        return tuple(_level(key, levels[key], features[key]) for key in shared)

    return _of_cases(batches, lambda batch: batch.features, names)


def _of_cases(
    batches: Iterable[Items],
    column: Callable[[Items], Sequence[Any]],
    names: Callable[[Any], tuple[str, ...]],
) -> Incidence:
    table: dict[str, int] = {}
    known: dict[tuple[str, ...], Codes] = {}
    found = _Gathering()
    for batch in batches:
        rows = [names(one) for one in column(batch)]
        for row in set(rows).difference(known):
            pairs = [" · ".join(pair) for pair in combinations(row, 2)]
            known[row] = token_codes([*row, *pairs], table)
        codes = [known[row] for row in rows]
        lengths = np.fromiter(map(len, codes), np.int64, len(codes))
        unit = np.repeat(np.asarray(batch.units, np.int64), lengths)
        found.add(batch.units, unit, np.concatenate([np.empty(0, np.uint64), *codes]))
    return found.done({code: name for name, code in table.items()})


def levels_of(
    anchor: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]]
) -> dict[str, npt.NDArray[np.float64]]:
    """Where levels of a feature begin: quantiles of both sets together.

    Of both, so that a test which exchanges documents between the sets stays exact. UserError for a
    feature that is not a finite number in some document.
    """
    edges = {}
    for key in sorted(set().union(*anchor[:1000]) & set().union(*other[:1000])):
        values = np.array([one[key] for one in (*anchor, *other) if key in one], np.float64)
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise UserError(
                f"feature {key!r} is not a finite number in {bad} of {len(values)} documents",
                do="mend the set: a test over numbers that are missing says nothing",
            )
        edges[key] = np.unique(np.quantile(values, QUANTILES))
    return edges


def _level(key: str, edges: npt.NDArray[np.float64], value: float) -> str:
    place = int(np.searchsorted(edges, value, side="right"))
    low = f"{edges[place - 1]:.4g}" if place else "…"
    high = f"{edges[place]:.4g}" if place < len(edges) else "…"
    return f"{key} {low} to {high}"
