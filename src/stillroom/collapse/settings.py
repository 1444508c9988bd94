"""The recipe's tables [mix] (which human data, how much *fresh*, how much synthetic on top) and
[guard] (against which anchor the finished set is tested)."""

import difflib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator

LADDER = {
    "warc": "A",
    "snapshot": "A",
    "timestamp": "A",
    "release": "A",
    "repository": "B",
    "publisher": "B",
    "git-author": "C",
    "last-modified": "C",
    "sitemap": "C",
    "mtime": "C",
    "text": "D",
    "markup": "D",
    "url": "D",
    "footer": "D",
    "detector": "E",
    "style": "E",
}
"""The best tier that each kind of evidence of a date can reach; see stages/evidence.py."""

TRUSTED = ("A", "B")
FIRST_PARTY = "first-party"
CUTOFF = "2022-01-01"


def span(text: str) -> tuple[str, str]:
    """The first and the last day (ISO, UTC) that a date can mean: "2021" is all of that year.

    Years, months, days, ISO times and the 14 digits of web archives; ValueError for all else.
    """
    digits = text if text.isascii() and text.isdigit() else ""
    try:
        if len(text) == 4 and digits:
            first = date(int(text), 1, 1)
            return first.isoformat(), date(int(text), 12, 31).isoformat()
        if len(text) == 7 and text[4] == "-":
            first = date.fromisoformat(f"{text}-01")
            following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
            return first.isoformat(), (following - timedelta(days=1)).isoformat()
        when = (
            datetime.strptime(text, "%Y%m%d%H%M%S")
            if len(digits) == 14
            else datetime.fromisoformat(text)
        )
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r:.40} is no date (YYYY, YYYY-MM, YYYY-MM-DD or ISO)") from None
    day = (when.astimezone(UTC) if when.tzinfo else when).date().isoformat()
    return day, day


def known_kind(kind: str) -> str:
    """The kind as it is; ValueError, with the nearest one, where the ladder has no such rung."""
    if kind not in LADDER:
        near = difflib.get_close_matches(kind, LADDER, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no kind of evidence {kind!r}{hint} (there are {', '.join(LADDER)})")
    return kind


class Evidence(BaseModel, frozen=True, extra="forbid"):
    """What says when a text was there: a rung of the ladder, a date, and what ties it to bytes."""

    kind: str
    date: str
    digest: str = ""
    """Of the record's own bytes (UTF-8): "sha1:BASE32" as in WARC, "sha256:HEX" or "git:HEX";
    always recomputed."""
    sha256: str = ""
    """That was published for the archive from which the text was cut."""
    file: str = ""
    """sha256 of the corpus file itself; always recomputed."""
    blob: str = ""
    """Hash by which the host or publisher knows the file from which the text was cut."""
    url: str = ""

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        return known_kind(kind)

    @field_validator("date", mode="before")
    @classmethod
    def _dated(cls, given: object) -> object:
        text = given.isoformat() if isinstance(given, date) else given  # TOML has dates of its own
        if isinstance(text, str):
            span(text)
        return text


class Source(BaseModel, frozen=True, extra="forbid"):
    """One human corpus: a file, a folder of texts, or a packaged corpus by its name."""

    path: str = Field(min_length=1)
    source: str = ""
    """What its records name as their source where a row names none; the file's name by default."""
    licence: str = ""
    text: str = "text"
    """The field that holds the text."""
    tags: tuple[str, ...] = ()
    """Fields that become tags, for slices and targets."""
    evidence: tuple[Evidence, ...] = ()
    """Evidence for all rows, beside what a row's own `evidence` says."""
    dated_by: str = "text"
    """What a row's `date` is: a kind of evidence; with the row's `digest`, where it has one."""
    collection: str = ""
    """A signed collection file: records that were collected with consent (first-party)."""
    key: str = Field(default="", pattern=r"^([0-9a-fA-F]{64})?$")
    """The Ed25519 key, in hex, that must have signed the collection."""

    @field_validator("dated_by")
    @classmethod
    def _known(cls, kind: str) -> str:
        return known_kind(kind)

    @model_validator(mode="after")
    def _signed(self) -> "Source":
        if bool(self.collection) != bool(self.key):
            raise ValueError("a first-party source needs both `collection` (a file) and `key`")
        return self


class Mix(BaseModel, frozen=True, extra="forbid"):
    """What `stillroom mix` does with a run."""

    human: tuple[Source, ...] = ()
    """The anchor: kept whole in every mix, but for what the guard holds."""
    fresh: tuple[Source, ...] = ()
    """Pools of which each mix draws records that none before it had."""
    fresh_share: float = Field(default=0.0, ge=0, lt=1)
    share: float = Field(default=0.5, ge=0, lt=1)
    """The largest share of the mix that is synthetic."""
    depth: int = Field(default=2, ge=1)
    """The most generations away from human data that a record may be."""
    unknown_depth: bool = False
    """Whether synthetic records of unknown depth (a teacher's, say) are taken all the same."""
    guard: float = Field(default=0.2, ge=0, lt=1)
    """The share of the anchor that is held out, for the guard alone."""
    cutoff: str = CUTOFF
    """Human data are trusted when all that dates them lies before this day."""
    threshold: float = Field(default=0.8, gt=0, le=1)
    """Texts of this similarity (Jaccard, of five-word shingles) or more are near-duplicates."""
    anchor: bool = True
    """False: a mix without any trusted human record is made, and stamped."""
    runs: tuple[str, ...] = ()
    """Further finished runs whose records are offered after the run's own: filled quotas, say."""
    generation: int | None = Field(default=None, ge=0)
    """Only this generation of the run is mixed, into RUN/mix/gNNN; None: all, into RUN/mix."""
    after: tuple[str, ...] = ()
    """Folders of earlier mixes: the fresh records they used are not used again."""
    targets: Mapping[str, Mapping[str, float]] = {}
    """{tag: {value: share}}; a crossing is "a*b" with values "x*y". Shares are of records that
    have the tag."""
    max_weight: float = Field(default=5.0, ge=1, allow_inf_nan=False)

    @field_validator("cutoff", mode="before")
    @classmethod
    def _past(cls, given: object) -> object:
        text = given.isoformat() if isinstance(given, date) else given
        if isinstance(text, str):
            text = span(text)[0]
            if text > datetime.now(UTC).date().isoformat():
                raise ValueError(f"a cutoff in the future ({text}) would trust whatever is written")
        return text

    @field_validator("targets")
    @classmethod
    def _shares(
        cls, targets: Mapping[str, Mapping[str, float]]
    ) -> Mapping[str, Mapping[str, float]]:
        for tag, shares in targets.items():
            total = sum(shares.values())
            if not shares or any(not 0 < share <= 1 for share in shares.values()):
                raise ValueError(f"targets of {tag!r} are shares above 0, at most 1")
            if not total <= 1 + 1e-9:
                raise ValueError(f"targets of {tag!r} add up to {total:.4g}, which is above 1")
            width = tag.count("*")
            if any(value.count("*") != width for value in shares) and width:
                raise ValueError(f"values of the crossing {tag!r} are written with as many *")
        return targets

    @model_validator(mode="after")
    def _adds_up(self) -> "Mix":
        if self.share + self.fresh_share >= 1:
            raise ValueError("share and fresh_share leave nothing for the anchor: below 1 together")
        if self.fresh_share and not self.fresh:
            raise ValueError("fresh_share asks for fresh records: name a pool in [[mix.fresh]]")
        names = [one.path for one in (*self.human, *self.fresh)]
        if len(set(names)) < len(names):
            raise ValueError("the same path is named twice: a fresh pool is not the anchor again")
        return self


class Guard(BaseModel, frozen=True, extra="forbid"):
    """[guard]: the test at a run's end. A mix that holds human records back needs no table."""

    against: str = Field(min_length=1)
    """The anchor: a file, a folder, a run, or a packaged corpus by its name."""
    on: tuple[Literal["text", "tags", "features"], ...] = ()
    """What is compared; all that both sets have by default."""
    text: str = ""
    unit: str = ""
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
