"""The guard: does a set lose the tail of its anchor? One verdict over text, tags and features.

RUN/guard/report.json   of a run: what was compared, and the gravest verdict
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from stillroom import files, store
from stillroom.collapse.diagnosis import Lost
from stillroom.collapse.incidence import cases, words_of
from stillroom.collapse.settings import Guard
from stillroom.collapse.tests import ALPHA, Result, Verdict, compare
from stillroom.errors import UserError
from stillroom.fold import Watch
from stillroom.record import canonical, digest
from stillroom.stages import mixing
from stillroom.stages.foresight import foretold
from stillroom.stages.items import Document, DocumentSet
from stillroom.stages.sample import Sample, comparable, counted, incidences, read

VERSION = 2  # of what the guard does
GRAVITY: tuple[Verdict, ...] = ("ALARM", "UNDERPOWERED", "PASS")
WORST = 10  # slices that are named
EXAMPLES = 2  # documents of the anchor that are shown for each
AROUND = 60  # characters on each side of a word that is shown


@dataclass(frozen=True)
class Report:
    """The guard's verdict: the gravest of its channels.

    channels  what each of text, tags and features says
    notes     what a reader should know: copies that were counted once, documents left out
    lost      the surest losses, with examples from the anchor
    forecast  by channel, what a loop would leave of the anchor: without fresh human data, and with
              what the run's mix has of it
    """

    verdict: Verdict
    why: str
    channels: dict[str, Result]
    notes: tuple[str, ...]
    lost: tuple[dict[str, Any], ...]
    set: str
    anchor: str
    alpha: float
    forecast: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.verdict == "PASS"

    def json(self) -> dict[str, Any]:
        told = {**vars(self), "ok": self.ok, "lost": list(self.lost), "notes": list(self.notes)}
        return told | {"channels": {name: one.json() for name, one in self.channels.items()}}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Report":
        channels = {name: Result.from_json(one) for name, one in told["channels"].items()}
        rest = {key: value for key, value in told.items() if key != "ok"}
        lists = {"notes": tuple(told["notes"]), "lost": tuple(told["lost"])}
        return cls(**rest | lists | {"channels": channels})


def guard(
    set_: str | Path,
    against: str | Path,
    *,
    on: Sequence[str] = (),
    text: str = "",
    unit: str = "",
    alpha: float = ALPHA,
    seed: int = 0,
    trust_code: bool = False,
    watch: Watch | None = None,
) -> Report:
    """Test whether a set of documents lost the tail of its anchor: PASS, ALARM or UNDERPOWERED.

    set_, against  a run, JSON lines, Parquet, CSV, or a folder of text files
    on             of "text", "tags", "features"; all that both sets have by default
    text           the column with the text, where it isn't found by its name
    unit           a column or tag whose values say which documents were sampled together
    alpha          probability of a false alarm, for all channels together

    A run keeps the report in RUN/guard/report.json. Raises UserError where the two can't be
    compared: other worlds or languages, a set that holds its anchor, an anchor that was trained on.
    """
    watch = watch or Watch()
    if not 0 < alpha < 0.5:
        raise UserError(f"alpha must lie between 0 and 0.5, not {alpha}", do="0.01 is usual")
    watch.say(f"guard: reading {against} and {set_}")
    a = read(DocumentSet(Path(against), text, unit, trust_code=trust_code))
    b = read(DocumentSet(Path(set_), text, unit, trust_code=trust_code))
    fresh = _fresh(mixing.mixes(Path(set_)))
    report = judge(a, b, on=on, alpha=alpha, seed=seed, fresh=fresh, watch=watch)
    if store.is_run(Path(set_)):
        _keep(Path(set_), [report], "")
    return report


def guard_run(run: Path, how: Guard | None, watch: Watch) -> list[Report]:
    """The guard at a run's end: of its mixes, and of itself where its recipe names an anchor.

    Of a mix the human part is tested against what was held back: neither a filter nor the removal
    of copies may have eaten the tail. Done already: nothing is done. Empty where no anchor is.
    """
    about = files.read_json(run / "make" / "manifest.json", "root") or {}
    homes = [home for home in mixing.mixes(run) if any((home / "guard").glob("*.parquet"))]
    roots = [(mixing.read_manifest(home) or {})["root"] for home in homes]
    if not homes and how is None:
        return []
    told = None if how is None else how.model_dump(mode="json", exclude={"against"})
    anchor = files.sha256(Path(how.against)) if how and Path(how.against).is_file() else ""
    key = digest(canonical([VERSION, about.get("root"), roots, told, anchor])).hex()
    old = files.read_json(run / "guard" / "report.json")
    if old is not None and old.get("key") == key and files.sealed(old):
        return [Report.from_json(one) for one in old["comparisons"]]
    reports = []
    for home in homes:
        watch.say(f"guard: the human part of {home.name} against what was held back")
        reports.append(_mixed(home, watch))
    if how is not None:
        watch.say(f"guard: reading {how.against}")
        a = read(DocumentSet(Path(how.against), how.text, how.unit))
        b = read(DocumentSet(run, how.text, how.unit, trust_code=True))
        fresh = _fresh(mixing.mixes(run))
        reports.append(judge(a, b, on=how.on, alpha=how.alpha, seed=0, fresh=fresh, watch=watch))
    _keep(run, reports, key)
    return reports


def _mixed(home: Path, watch: Watch) -> Report:
    """A mix's human part against what was held back of the same corpora."""
    held, human = read(DocumentSet(home / "guard")), read(DocumentSet(home, kind="human"))
    fresh = _fresh([home])
    found = judge(held, human, on=("text",), alpha=ALPHA, seed=0, fresh=fresh, watch=watch)
    return replace(found, set=f"human part of {home.name}", anchor="held-out part")


def _fresh(homes: Sequence[Path]) -> tuple[float, ...]:
    """Fresh shares to forecast with: none, and that of the last mix."""
    told = mixing.read_manifest(homes[-1]) if homes else None
    share = round(float(told["shares"]["fresh"]), 3) if told else 0.0
    return (0.0, share) if share else (0.0,)


def gravest(reports: Sequence[Report]) -> Verdict:
    return min((one.verdict for one in reports), key=GRAVITY.index)


def _keep(run: Path, reports: Sequence[Report], key: str) -> None:
    (run / "guard").mkdir(exist_ok=True)
    told = {
        "verdict": gravest(reports),
        "key": key,
        "comparisons": [one.json() for one in reports],
    }
    files.write_json(run / "guard" / "report.json", files.seal(told))


def judge(
    anchor: Sample,
    made: Sample,
    *,
    on: Sequence[str],
    alpha: float,
    seed: int,
    watch: Watch,
    fresh: Sequence[float] = (0.0,),
) -> Report:
    """The same for sets that were read already; `fresh`: shares to forecast with."""
    channels = comparable(anchor, made, on)
    notes: list[str] = []
    a, b = counted(anchor, made, notes)
    found, ahead = {}, {}
    for channel in channels:
        watch.say(f"guard: testing {channel}")
        pair = incidences(channel, a, b)
        found[channel] = compare(*pair, alpha=alpha / len(channels), seed=seed)
        told = [foretold(pair[0], fresh=share) for share in fresh]
        ahead[channel] = [one for one in told if one]
    # A channel without a tail says nothing, where another one has a tail.
    said = {name: one for name, one in found.items() if one.rare} or found
    verdict = min((one.verdict for one in said.values()), key=GRAVITY.index)
    whys = [f"{name}: {one.why}" for name, one in said.items() if one.verdict == verdict]
    return Report(
        verdict=verdict,
        why="; ".join(whys),
        channels=found,
        notes=tuple(notes),
        lost=tuple(_lost(found, a)),
        set=made.source.path.name,
        anchor=anchor.source.path.name,
        alpha=alpha,
        forecast=ahead,
    )


def _lost(found: dict[str, Result], anchor: Sample) -> Iterator[dict[str, Any]]:
    """The surest losses of all channels, each with documents of the anchor that have it."""
    worst = [(channel, one) for channel, result in found.items() for one in result.lost]
    worst = sorted(worst, key=lambda item: (item[1].corrected, item[1].p))[:WORST]
    names = {one.type: one.name for _, one in worst}
    wanted: dict[int, list[int]] = {}
    for channel, one in worst:
        for place in _having(channel, one, anchor):
            wanted.setdefault(place, []).append(one.type)
    shown: dict[int, list[str]] = {one.type: [] for _, one in worst}
    number = 0
    for batch in anchor.source.batches() if wanted else ():
        for document in batch:
            for code in wanted.get(number, ()):
                name = _types(document).get(code, names[code])
                names[code] = name
                shown[code].append(_around(document.text, name))
            number += 1
        if number > max(wanted):
            break
    for channel, one in worst:
        told = {key: getattr(one, key) for key in ("anchor", "set", "p", "corrected")}
        yield {
            "channel": channel,
            "slice": names[one.type],
            **told,
            "examples": shown[one.type],
        }


def _having(channel: str, one: Lost, anchor: Sample) -> list[int]:
    """The first documents of the anchor that have this type."""
    if channel == "text":
        found = anchor.words.unit[anchor.words.type == one.type]
    elif channel == "tags":
        parts = set(one.name.split(" · "))
        named = (set(cases(tags).values()) for tags in anchor.tags)
        found = np.array([n for n, has in enumerate(named) if parts <= has][:EXAMPLES])
    else:
        return []
    kept = np.sort(found[anchor.unit[found.astype(np.int64)] >= 0])[:EXAMPLES]
    return [int(n) for n in kept]


def _types(document: Document) -> dict[int, str]:
    return words_of(document.text) | cases(document.tags)


def _around(text: str, words: str) -> str:
    """A piece of the text with the words in it, or its beginning; "…" where it was cut."""
    at = max(0, text.lower().find(words.partition(" ")[0]))
    first, last = max(0, at - AROUND), at + AROUND + len(words)
    piece = " ".join(text[first:last].split())
    return f"{'…' * (first > 0)}{piece}{'…' * (last < len(text))}"
