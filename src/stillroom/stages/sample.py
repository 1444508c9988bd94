"""A set and its anchor, read once, and whether a test of one against the other means anything."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from stillroom.collapse.incidence import (
    Incidence,
    Items,
    Numbers,
    case_tags,
    levels_of,
    of_features,
    of_tags,
    of_texts,
)
from stillroom.errors import UserError
from stillroom.stages import mixing
from stillroom.stages.items import Document, DocumentSet, mark

CHANNELS = ("text", "tags", "features")
COPIES = 0.005
"""More of the anchor's documents than this in the set, word for word, and it is no fresh sample."""
HEAD = 50  # of the anchor's commonest words ...
SHARED = 0.4  # ... this share must be known to the set, or they are in different languages
LOOKED_AT = 2000  # documents, for that
_WORD = re.compile(r"[^\W\d_]+")
BATCH = 4096


@dataclass(frozen=True)
class Sample:
    """A set that was read. `unit` is the number of each document's unit; -1 leaves it out."""

    source: DocumentSet
    words: Incidence
    marks: Numbers
    unit: Numbers
    ids: tuple[str, ...]
    tags: Sequence[Mapping[str, str]]
    features: Sequence[Mapping[str, float]]
    worlds: frozenset[str]
    head: dict[str, int] = field(repr=False)
    texts: int = 0

    @property
    def units(self) -> int:
        return int(self.unit.max(initial=-1)) + 1

    def items(self) -> Iterator[Items]:
        """Tags and features in batches, without the documents that were left out."""
        kept = np.flatnonzero(self.unit >= 0)
        for start in range(0, len(kept), BATCH):
            some = kept[start : start + BATCH].tolist()
            yield Items(
                units=self.unit[some].tolist(),
                tags=[self.tags[n] for n in some],
                features=[self.features[n] for n in some],
            )


@dataclass
class _Reading:
    """What is noted of each document while its words are counted."""

    marks: list[int] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    tags: list[dict[str, str]] = field(default_factory=list)
    features: list[dict[str, float]] = field(default_factory=list)
    worlds: set[str] = field(default_factory=set)
    head: dict[str, int] = field(default_factory=dict)
    texts: int = 0
    same: dict[tuple[tuple[str, str], ...], dict[str, str]] = field(default_factory=dict)

    def batches(self, source: DocumentSet) -> Iterator[Items]:
        for batch in source.batches():
            first = len(self.marks)
            for document in batch:
                self._note(document)
            yield Items(range(first, len(self.marks)), [one.text for one in batch])

    def _note(self, one: Document) -> None:
        if one.text and self.texts < LOOKED_AT:
            for word in set(_WORD.findall(one.text.lower())):
                self.head[word] = self.head.get(word, 0) + 1
        self.texts += bool(one.text)
        self.marks.append(one.mark)
        if one.unit:
            self.units.append(one.unit)
        if one.id:
            self.ids.append(one.id)
        if one.world:
            self.worlds.add(one.world)
        # Few combinations of tags are distinct: one object stands for all that are equal.
        self.tags.append(self.same.setdefault(tuple(sorted(one.tags.items())), one.tags))
        self.features.append(one.features)


def read(source: DocumentSet) -> Sample:
    """Read a set once. UserError for what can't be read, or holds nothing."""
    noted = _Reading()
    words = of_texts(noted.batches(source))
    unit = np.arange(len(noted.marks))
    if source.unit:
        unit = np.unique(np.array(noted.units), return_inverse=True)[1].astype(np.int64)
    return Sample(
        source=source,
        words=words,
        marks=np.array(noted.marks, np.uint64).view(np.int64),
        unit=unit,
        ids=tuple(noted.ids),
        tags=noted.tags,
        features=noted.features,
        worlds=frozenset(noted.worlds),
        head=noted.head,
        texts=noted.texts,
    )


def comparable(anchor: Sample, made: Sample, on: Sequence[str]) -> list[str]:
    """The channels that both have. UserError where a comparison would mean nothing."""
    _not_trained_on(anchor, made)
    there = channels_of(on, anchor, made)
    if anchor.worlds and made.worlds and not anchor.worlds & made.worlds and "text" not in on:
        raise UserError(
            f"the anchor is of world {', '.join(sorted(anchor.worlds))}, the set of "
            f"{', '.join(sorted(made.worlds))}: their records are of different kinds",
            made.source.path,
            "give an anchor of the same world, or compare the words alone: --on text",
        )
    if "text" in there:
        _one_language(anchor, made)
    return there


def channels_of(on: Sequence[str], *samples: Sample) -> list[str]:
    """The channels that all of these have, of those that are wanted. UserError for one they lack,
    and where none is left."""
    there = [one for one in CHANNELS if all(_has(sample, one) for sample in samples)]
    where, both = ", ".join(str(sample.source.path) for sample in samples), len(samples) > 1
    for one in on:
        if one not in CHANNELS:
            raise UserError(f"there is no channel {one!r}", do=f"take of {', '.join(CHANNELS)}")
        if one not in there:
            raise UserError(
                f"the anchor and the set don't both have {one}" if both else f"there are no {one}",
                where,
                f"{'both have' if both else 'it has'} {', '.join(there) or 'nothing'}",
            )
    if not there:
        raise UserError(
            f"{'anchor and set share' if both else 'it has'} no text, no tag and no feature",
            where,
            "say which column holds the text: --text NAME",
        )
    return [one for one in there if not on or one in on]


def incidences(channel: str, a: Sample, b: Sample) -> tuple[Incidence, Incidence]:
    """Which types of a channel occur in which units, of the anchor and of the set."""
    if channel == "text":
        return a.words.grouped(a.unit), b.words.grouped(b.unit)
    if channel == "tags":
        mine = case_tags(b.tags)
        keys = [key for key in case_tags(a.tags) if key in mine]
        return of_tags(a.items(), keys), of_tags(b.items(), keys)
    levels = levels_of(a.features, b.features)
    return of_features(a.items(), levels), of_features(b.items(), levels)


def _has(sample: Sample, channel: str) -> bool:
    if channel == "text":
        return sample.texts > 0
    if channel == "tags":
        return bool(case_tags(sample.tags))
    return any(sample.features)


def _one_language(anchor: Sample, made: Sample) -> None:
    common = sorted(anchor.head, key=lambda word: (-anchor.head[word], word))[:HEAD]
    known = sum(word in made.head for word in common)
    if common and known < SHARED * len(common):
        raise UserError(
            f"of the anchor's {len(common)} commonest words the set knows {known}: they are in "
            "different languages, or of different kinds",
            made.source.path,
            "give an anchor of the kind that the set should be like",
        )


def _not_trained_on(anchor: Sample, made: Sample) -> None:
    """An anchor that was used to train can't guard: the mixes' manifests say what was used."""
    used: set[int] = set()
    for home in mixing.mixes(made.source.path):
        table = mixing.roles_of(home, "anchor", "fresh")
        used.update(map(mark, table["digest"].to_pylist()))
    known = np.isin(anchor.marks.view(np.uint64), np.array(sorted(used), np.uint64))
    if known.any():
        raise UserError(
            f"{int(known.sum()):,} of the anchor's {len(known):,} documents were mixed into the "
            "training data of this run",
            anchor.source.path,
            "guard with human records that were held out: the mix's own (RUN/mix/guard), or a new "
            "corpus",
        )


def counted(anchor: Sample, made: Sample, notes: list[str]) -> tuple[Sample, Sample]:
    """Both with copies left out that would fake n; what was done is noted.

    Where the anchor itself holds as many copies, short documents are alike by chance: then copies
    are part of what is compared, and stay.
    """
    in_anchor, in_made = _copies(anchor.marks), _copies(made.marks)
    if in_anchor.mean() > COPIES and in_made.mean() <= 2 * in_anchor.mean() + COPIES:
        return anchor, made
    taken = np.isin(made.marks, anchor.marks)
    seen = float(np.isin(anchor.marks, made.marks).mean())
    if seen > COPIES and in_anchor.mean() <= COPIES:
        raise UserError(
            f"the set holds {100 * seen:.1f} % of its anchor word for word: what is copied is not "
            "what was learnt, and would hide any loss",
            made.source.path,
            "give the set without its human part, or an anchor that was held out",
        )
    for name, one in (("anchor", in_anchor), ("set", in_made)):
        if one.any():
            notes.append(
                f"{int(one.sum()):,} of the {name}'s {len(one):,} documents are copies of "
                "another one; each counts once"
            )
    if taken.any():
        # Of both: were they left out of one alone, the two could not be exchanged any more.
        notes.append(f"{int(taken.sum()):,} documents stand in both sets: left out of both")
    both = np.isin(anchor.marks, made.marks)
    return _without(anchor, in_anchor | both), _without(made, in_made | taken)


def _copies(marks: Numbers) -> Any:
    """Which documents have an earlier one that is the same."""
    later = np.ones(len(marks), bool)
    later[np.unique(marks, return_index=True)[1]] = False
    return later


def _without(sample: Sample, out: Any) -> Sample:
    unit = np.where(out, -1, sample.unit)
    kept = np.unique(unit[unit >= 0])
    return replace(sample, unit=np.where(unit >= 0, np.searchsorted(kept, unit), -1))
