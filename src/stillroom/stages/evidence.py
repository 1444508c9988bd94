"""The evidence ladder: what dates a text, how far that is to be trusted, and what speaks against.

    A  a capture whose digest is of these bytes (warc, snapshot, timestamp), recomputed here; a
       release of an archive whose hash was published
    B  a host's event or a publisher's date, with the hash of the file (repository, publisher)
    C  git-author, last-modified, sitemap, mtime: corroboration only
    D  a date in the text, the markup, the url or a footer
    E  a detector's or a style's opinion: never

Trusted is tier A or B when every date that is given, of whatever tier, lies before the cutoff. One
later date sends a record to review. What is trusted is "pre-cutoff, presumed human": a date dates
the bytes, not their author.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from stillroom.collapse.settings import FIRST_PARTY, LADDER, TRUSTED, Evidence, span
from stillroom.errors import UserError
from stillroom.record import ORIGIN
from stillroom.stages.collection import Collection
from stillroom.stages.corpus import Corpus

CAPTURES = ("warc", "snapshot", "timestamp")
UNIT, ITEM = "\x1f", "\x1e"  # separate fields and pieces of evidence in a row's key
OF_ROW = ("kind", "maker", "parents", "depth")
DIGESTS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "md5": hashlib.md5}


class Standing(NamedTuple):
    """What a row's evidence comes to. `reason`: why it is not trusted; empty when it is."""

    kind: str
    tier: str | None
    earliest: str | None
    latest: str | None
    evidence: tuple[str, ...]
    reason: str
    derived: bool = False


@dataclass(frozen=True)
class Judged:
    """A batch's standings: row n has `standings[codes[n]]`."""

    standings: list[Standing]
    codes: npt.NDArray[np.int32]

    def each(self, of: Callable[[Standing], Any], kind: Any) -> npt.NDArray[Any]:
        """A number of every row's standing, as an array."""
        return np.array([of(one) for one in self.standings], kind)[self.codes]

    def origins(self, batch: pa.RecordBatch, source: str, licence: str) -> pa.StructArray:
        """The rows' origins; `depth` is 0 for human rows and null (unknown) for all others."""
        rows = [one._asdict() | {"depth": 0 if one.kind == "human" else None, "maker": ""}
                for one in self.standings]  # fmt: skip
        told = pa.array(rows, ORIGIN).take(pa.array(self.codes))
        columns = dict(zip(ORIGIN.names, told.flatten(), strict=True))
        columns["source"] = pc.fill_null(batch["source"], source)
        if licence or batch["licence"].null_count < len(batch):
            columns["licence"] = pc.fill_null(batch["licence"], licence or None)
        columns["maker"] = pc.fill_null(batch["maker"], "")
        empty = pa.scalar([], ORIGIN.field("parents").type)
        columns["parents"] = pc.if_else(pc.is_valid(batch["parents"]), batch["parents"], empty)
        return pa.StructArray.from_arrays([columns[f.name] for f in ORIGIN], fields=list(ORIGIN))


@dataclass(frozen=True)
class Judge:
    """Judges the rows of one corpus."""

    corpus: Corpus
    cutoff: str
    collection: Collection | None = None

    def __call__(self, batch: pa.RecordBatch, first: int = 0) -> Judged:
        """Rows `first` and on of the corpus, judged; UserError names the row that makes no sense.

        Rows of which the same is said are judged once, unless a digest ties it to their own bytes.
        """
        known: dict[str, int] = {}
        standings: list[Standing] = []
        codes = np.zeros(len(batch), np.int32)
        given = _keys(batch)
        own = pc.fill_null(pc.not_equal(batch["digest"], ""), False).to_pylist()
        marks = self._digest_marks(batch, own)
        for number, key in enumerate(given):
            if marks[number]:
                key += f"{ITEM}{number}"
            code = known.get(key)
            if code is None:
                code = known[key] = len(standings)
                standings.append(self._standing(batch, number, first))
            codes[number] = code
        return Judged(standings, codes)

    def _digest_marks(self, batch: pa.RecordBatch, own: list[bool]) -> list[bool]:
        """Which rows carry a digest of their own bytes."""
        if any(one.digest for one in self.corpus.how.evidence):
            return [True] * len(batch)
        items = batch["evidence"].flatten()
        if len(items) and pc.any(pc.not_equal(items.field("digest"), "")).as_py():
            lists = batch["evidence"].to_pylist()
            return [mine or any(e["digest"] for e in one or ())
                    for mine, one in zip(own, lists, strict=True)]  # fmt: skip
        return own

    def _standing(self, batch: pa.RecordBatch, number: int, first: int) -> Standing:
        row = {name: batch[name][number].as_py() for name in batch.schema.names if name != "tags"}
        where = f"{self.corpus.path}, row {first + number + 1}"
        evidence, unread = list(self.corpus.how.evidence), False
        told = [{k: v for k, v in one.items() if v} for one in row["evidence"] or ()]
        if row["date"]:
            dated = {"kind": self.corpus.how.dated_by, "date": row["date"]}
            told.append(dated | ({"digest": row["digest"]} if row["digest"] else {}))
        for one in told:
            try:
                evidence.append(Evidence.model_validate(one))
            except ValidationError as wrong:
                fault = wrong.errors(include_url=False)[0]
                if fault["loc"] != ("date",):
                    what = str(fault["msg"]).removeprefix("Value error, ")
                    raise UserError(f"evidence: {what}", where) from None
                unread = True
        if row["kind"] not in (None, "", "human", "synthetic", "mixed", "unknown"):
            what = f"no kind {row['kind']!r:.40}: human, synthetic, mixed or unknown"
            raise UserError(what, where)
        return self._verdict(row, evidence, unread)

    def _verdict(self, row: dict[str, Any], evidence: list[Evidence], unread: bool) -> Standing:
        text = (row["text"] or "").encode(errors="surrogatepass")
        rungs = [self._rung(one, text) for one in evidence]
        spans = [span(one.date) for one in evidence]
        earliest = min((low for low, _ in spans), default=None)
        latest = max((high for _, high in spans), default=None)
        tier = min((rung for rung in rungs if rung), default=None)
        words = tuple(map(_words, evidence))
        kind = row["kind"] or "human"
        if row["maker"] or row["parents"] or kind in ("synthetic", "mixed"):
            made = "synthetic" if row["maker"] or kind == "synthetic" else "mixed"
            claim = row["kind"] in (None, "", "human")
            reason = f"claims human, but names {'a maker' if row['maker'] else 'parents'}"
            reason = reason if claim else f"says that it is {kind}"
            return Standing(made, tier, earliest, latest, words, reason, derived=True)
        reason = ""
        if kind == "unknown":
            reason = "says that its origin is unknown"
        elif None in rungs:
            reason = "review: a digest is of other bytes"
        elif unread:
            reason = "review: a date can't be read"
        elif self.collection is not None:
            return self._first_party(self.collection, words, latest)
        elif latest is None:
            reason = "undated: taken as after the cutoff"
        elif latest >= self.cutoff:
            late = evidence[max(range(len(spans)), key=lambda n: spans[n][1])].kind
            early = any(high < self.cutoff and rung in TRUSTED
                        for (_, high), rung in zip(spans, rungs, strict=True))  # fmt: skip
            reason = f"review: {late} gives a later date" if early else "after the cutoff"
        elif tier not in TRUSTED:
            reason = f"no trusted evidence: tier {tier} at best"
        kind = "unknown" if reason else "human"
        return Standing(kind, tier, earliest, latest, words, reason)

    def _first_party(
        self, collection: Collection, words: tuple[str, ...], latest: str | None
    ) -> Standing:
        words = (*words, collection.words)
        if latest is not None and latest > collection.until:
            reason = "review: a date after the collection's period"
            return Standing("unknown", FIRST_PARTY, None, latest, words, reason)
        return Standing("human", FIRST_PARTY, collection.since, collection.until, words, "")

    def _rung(self, one: Evidence, text: bytes) -> str | None:
        """The tier that a piece of evidence reaches here; None when it speaks of other bytes."""
        best = LADDER[one.kind]
        if one.digest and not digest_matches(one.digest, text):
            return None
        if one.file and one.file.lower() != self.corpus.sha256:
            return None
        tied = {
            "A": bool(one.digest) if one.kind in CAPTURES else bool(one.sha256 or one.file),
            "B": bool(one.blob or one.digest),
        }
        return best if tied.get(best, True) else "C"


def digest_matches(told: str, content: bytes) -> bool:
    """Whether a digest ("sha256:HEX", "sha1:BASE32" as in WARC, "git:HEX") is of these bytes."""
    name, _, value = told.partition(":")
    if name == "git":  # a blob: git hashes a header with its length before the content
        whole = b"blob %d\x00" % len(content) + content
        return value.lower() in (
            hashlib.sha1(whole).hexdigest(),
            hashlib.sha256(whole).hexdigest(),
        )
    if name not in DIGESTS:
        return False
    raw = DIGESTS[name](content).digest()
    return value.lower() == raw.hex() or value.upper() == base64.b32encode(raw).decode()


def _words(one: Evidence) -> str:
    tied = {name: getattr(one, name) for name in ("digest", "sha256", "file", "blob", "url")}
    return " ".join([one.kind, one.date, *(f"{k}={v}" for k, v in tied.items() if v)])


def _keys(batch: pa.RecordBatch) -> list[str]:
    """For each row one text of all that its standing rests on, but for its bytes."""
    lists = batch["evidence"]
    items = lists.flatten()
    parts = [pc.fill_null(one, "") for one in items.flatten()]
    joined = pc.binary_join_element_wise(*parts, UNIT)
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    evidence = pc.binary_join(pa.ListArray.from_arrays(offsets, joined), ITEM)
    count = pc.fill_null(pc.list_value_length(batch["parents"]), 0)
    others = [batch["date"], batch["kind"], batch["maker"], pc.cast(count, pa.string())]
    columns = [evidence, *(pc.fill_null(one, "") for one in others)]
    keys: list[str] = pc.binary_join_element_wise(*columns, ITEM).to_pylist()
    return keys
