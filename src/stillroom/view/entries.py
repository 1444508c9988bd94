"""One pass over a run's records: counts of all, and entries of those that the page shows."""

import json
from dataclasses import replace
from typing import Any

from stillroom.dataset import as_row
from stillroom.record import Record
from stillroom.view.bodies import Entry, entry
from stillroom.view.histogram import Histogram
from stillroom.view.slices import OUTCOMES, Tally
from stillroom.world import View, World

KEPT, REST = 3000, 1000  # records in the browser at most: kept; refused and failed
FEATURED = 20_000  # records whose features are counted at most: `show` may take a millisecond
PICTURE = 400_000  # characters of a record's html at most
TEXT = 200_000  # characters of any of its texts at most
TITLE = 110


class Reader:
    """Takes a run's records one by one; `one` is the run's summary.

    Holds counts, histograms, and the packed bodies of at most KEPT + REST records.
    """

    def __init__(self, world: World | None, one: dict[str, Any]) -> None:
        self.tally, self.features = Tally(), dict[str, Histogram]()
        self.kept: list[Entry] = []
        self.rest: list[Entry] = []
        self._world = world
        self._total: dict[bool, int] = {True: one["records"], False: one["refused"] + one["failed"]}
        self._seen = {True: 0, False: 0}
        self._place = 0
        self._every = -(-one["tried"] // FEATURED) or 1

    @property
    def featured(self) -> str:
        """Of which records the features are; empty: of all."""
        return f"of one record in {self._every}" if self._every > 1 else ""

    def add(self, record: Record, chosen: bool) -> None:
        """Count a record; `chosen` says whether it is in the dataset (kept ones may be surplus)."""
        outcome = record.outcome
        self.tally.add(record.tags, outcome)
        shown = (chosen or outcome != "kept") and self._is_shown(chosen)
        counted = self._place % self._every == 0
        if shown or counted:
            view, trouble = self._view(record, shown)
            for name, value in view.features.items() if counted else ():
                histogram = self.features.setdefault(name, Histogram(len(OUTCOMES)))
                histogram.add(float(value), OUTCOMES.index(outcome))
            if shown:
                made = entry(self._place, record.tags, *_contents(record, view, trouble))
                (self.kept if chosen else self.rest).append(made)
        self._place += 1

    def _is_shown(self, chosen: bool) -> bool:
        """Evenly spaced: record n of N is one of M when a multiple of N/M falls on it."""
        n, total, most = self._seen[chosen], self._total[chosen], KEPT if chosen else REST
        self._seen[chosen] += 1
        return total <= most or n * most // total != (n - 1) * most // total

    def _view(self, record: Record, draw: bool) -> tuple[View, str]:
        """What the world shows of a record, with its picture if asked; else nothing, and why."""
        if self._world is None or record.data is None:
            return View(), ""
        try:
            view = self._world.show(record)
            if draw and not isinstance(view.html, str):
                view = replace(view, html=view.html())
        except Exception as wrong:  # a page of refused records must not fail with one of them
            # As in a record: what a private world's code raises may quote what may not leave.
            said = "" if type(self._world).private else f": {wrong}"
            return View(), f"the world can't show this record: {type(wrong).__name__}{said}"
        return view, ""


def _contents(record: Record, view: View, trouble: str) -> tuple[list[Any], dict[str, Any]]:
    """The record's line in the list, and its body."""
    html = str(view.html)
    if len(html) > PICTURE:
        html, trouble = "", f"the picture is left out: it takes {len(html)} characters"
    row = as_row(record)
    data = json.dumps(row["data"], indent=1, ensure_ascii=False, default=str)
    text = view.text or (data if record.data is not None else "")
    chat = [
        # A chat's target is often the text again: it need not be there twice.
        [turn["role"], None if turn["content"] == view.text else _cut(turn["content"])]
        for turn in view.messages
    ]
    body = {
        "text": _cut(text),
        "raw": not view.text,
        "html": html,
        "chat": chat,
        "checks": [[c.name, c.ok, _cut(c.detail)] for c in record.verdict.checks],
        "score": record.verdict.score,
        "task": record.task_json,
        "generation": record.generation,
        "origin": {name: value for name, value in row["origin"].items() if value not in (None, ())},
        "usage": row["usage"] if any(row["usage"].values()) else None,
        "features": view.features,
        "trouble": trouble,
    }
    verdict = record.verdict
    wrong = next((check.name for check in verdict.checks if not check.ok), "nothing was checked")
    reason = ["", ""] if verdict.ok else [wrong, _cut(verdict.reason, 400)]
    outcome = OUTCOMES.index(record.outcome)
    return [record.id, outcome, _title(text, record), record.tags, *reason], body


def _title(text: str, record: Record) -> str:
    """The first line of the text that says something, without the marks of a heading."""
    lines = (" ".join(line.split()).lstrip("#*>- ") for line in text[:4000].splitlines())
    line = next((one for one in lines if len(one) > 3), "") or record.task_json
    return _cut(line, TITLE)


def _cut(text: str, most: int = TEXT) -> str:
    return text if len(text) <= most else text[:most] + " …"
