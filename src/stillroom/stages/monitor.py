"""The guard of a stream: bets that may be looked at after every record, and go on after a restart.

The state is one JSON file: the wealth of each channel's bets, and how much of the stream they saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import exp
from pathlib import Path
from typing import Any

import numpy as np

from stillroom import files
from stillroom.collapse.betting import Wealth
from stillroom.collapse.incidence import Numbers
from stillroom.collapse.tests import ALPHA
from stillroom.collapse.watching import Floats, Watcher, watcher
from stillroom.errors import UserError
from stillroom.stages.items import DocumentSet
from stillroom.stages.sample import Sample, comparable, incidences, read
from stillroom.world import stream

POINTS = 200  # of the path that is kept for a picture


@dataclass(frozen=True)
class Watched:
    """What the bets say so far. `wealth` by channel; an alarm once it has reached 1 / alpha.

    path     by channel: (documents seen, logarithm of the wealth) along the stream
    crossed  by channel: after how many documents the alarm was due, None where it isn't
    """

    alarm: bool
    documents: int
    new: int
    alpha: float
    wealth: dict[str, float]
    crossed: dict[str, int | None]
    path: dict[str, list[tuple[int, float]]]

    def json(self) -> dict[str, Any]:
        return dict(vars(self))


def monitor(
    set_: str | Path,
    against: str | Path,
    state: str | Path,
    *,
    on: Sequence[str] = (),
    text: str = "",
    alpha: float = ALPHA,
    seed: int = 0,
    trust_code: bool = False,
) -> Watched:
    """Look at what is new in a growing set, and bet that it has less of the anchor's tail.

    state  the file that the bets are kept in; made where there is none

    However often this is called, the probability that a set like the anchor is ever alarmed of is
    alpha at most. UserError where the stream's beginning, the anchor or the settings are others
    than before.
    """
    a = read(DocumentSet(Path(against), text, trust_code=trust_code))
    b = read(DocumentSet(Path(set_), text, trust_code=trust_code))
    channels = comparable(a, b, on)
    home = Path(state)
    about = {"anchor": _digest(a.marks), "alpha": alpha, "seed": seed, "channels": channels}
    old = files.read_json(home, "about", "documents", "seen", "wealth", "path")
    seen = 0
    if old is not None:
        _same(old, about, b.marks, home)
        seen = old["documents"]
    wealth: dict[str, Wealth] = {}
    path: dict[str, list[tuple[int, float]]] = {}
    for channel in channels:
        bets = watching(channel, a, b, alpha / len(channels), seed)
        if bets is None:
            raise UserError(
                f"the anchor has too little of a tail in its {channel} to bet on",
                a.source.path,
                "give a larger anchor, or another channel with --on",
            )
        found, scores = bets
        start = Wealth.from_json(old["wealth"][channel]) if old else found.start
        wealth[channel], logs = start.path(scores[seen:])
        path[channel] = (old["path"][channel] if old else [(0, 0.0)]) + _points(seen, logs)
    told = {
        "about": about,
        "documents": len(b.marks),
        "seen": _digest(b.marks),
        "wealth": {name: one.json() for name, one in wealth.items()},
        "path": path,
    }
    files.write_json(home, files.seal(told))
    return Watched(
        alarm=any(one.alarm for one in wealth.values()),
        documents=len(b.marks),
        new=len(b.marks) - seen,
        alpha=alpha,
        wealth={name: exp(one.log) for name, one in wealth.items()},
        crossed={name: one.crossed for name, one in wealth.items()},
        path=path,
    )


def watching(
    channel: str, a: Sample, b: Sample, alpha: float, seed: int
) -> tuple[Watcher, Floats] | None:
    """The bets against a channel's tail and the scores of the set's documents, in order."""
    anchor, made = incidences(channel, a, b)
    found = watcher(anchor, alpha, stream(f"watch {seed} {channel}"))
    return None if found is None else (found, found.scores(made))


def _points(seen: int, logs: Floats) -> list[tuple[int, float]]:
    step = max(1, len(logs) // POINTS)
    places = range(step - 1, len(logs), step)
    return [(seen + n + 1, round(float(logs[n]), 4)) for n in places]


def _digest(marks: Numbers) -> str:
    return blake2b(np.ascontiguousarray(marks).tobytes(), digest_size=16).hexdigest()


def _same(old: dict[str, Any], about: dict[str, Any], marks: Numbers, home: Path) -> None:
    if not files.sealed(old):
        raise UserError("the state was edited: its seal does not fit", home, "begin a new one")
    if old["about"] != about:
        raise UserError(
            "the state is of another anchor, or of other settings", home, "begin a new one"
        )
    if len(marks) < old["documents"] or _digest(marks[: old["documents"]]) != old["seen"]:
        raise UserError(
            f"the first {old['documents']:,} documents are not those that were seen before",
            home,
            "a stream only grows; for another one begin a new state",
        )
