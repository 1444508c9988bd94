"""What the page's section about the guard holds, ready to be set; from RUN/guard/report.json.

A comparison is a table of tests by channel, the worst slices, and meters that gate nothing; the
gravest comparison comes first. Charts of it are in guard_charts.py.
"""

from pathlib import Path
from typing import Any

from stillroom import files
from stillroom.collapse.tests import FLOOR
from stillroom.stages.guard import GRAVITY
from stillroom.view import guarded

OPEN = 3  # comparisons with charts and slices; of the others the verdict is told
TEXT = 240  # characters of a slice or an example that are shown
SCALE = 1.5  # what is left is drawn from 0 to this: 1 is no loss
TESTS = {
    "share": "Their share of all that occurs",
    "types": "How many of them are there",
    "bets": "Bets, unit by unit",
    "slices": "Each type alone",
}
MARKS = {"PASS": ("yes", "PASS"), "ALARM": ("no", "ALARM"),
         "UNDERPOWERED": ("", "too small to tell")}  # fmt: skip

Told = dict[str, Any]


def read_report(run: Path) -> Told | None:
    """RUN/guard/report.json; None where nothing was guarded."""
    return files.read_json(run / "guard" / "report.json", "verdict", "comparisons")


def ordered(told: Told) -> list[Told]:
    """The comparisons, gravest first."""
    found = [{"forecast": {}} | one for one in told["comparisons"]]
    return sorted(found, key=lambda one: GRAVITY.index(one["verdict"]))


def section(told: Told) -> Told:
    """All that the section's template needs but the charts."""
    found = ordered(told)
    return {
        "headline": guarded.headline(found) if len(found) > 1 else "",
        "comparisons": [_comparison(one) for one in found[:OPEN]],
        "others": [_named(one) for one in found[OPEN:]],
        "floor": FLOOR,
        "place": {"floor": FLOOR / SCALE, "whole": 1 / SCALE},
        "edited": not files.sealed(told),
    }


def _named(one: Told) -> Told:
    return {
        "set": _cut(one["set"]),
        "anchor": _cut(one["anchor"]),
        "mark": MARKS[one["verdict"]],
        "why": one["why"],
    }


def _comparison(one: Told) -> Told:
    channels = one["channels"].items()
    return _named(one) | {
        "words": guarded.VERDICTS[one["verdict"]],
        "alpha": one["alpha"],
        "channels": [_channel(name, found) for name, found in channels],
        "lost": [_slice(lost, one) for lost in one["lost"]],
        "sure": sum(lost["corrected"] <= one["alpha"] for lost in one["lost"]),
        "foretold": [
            (name, told["words"]) for name, some in one["forecast"].items() for told in some
        ],
        "notes": [*one["notes"]],
        "meters": [(name, _meters(found["meters"])) for name, found in channels],
        "pictured": any(found["path"] for _, found in channels) or any(one["forecast"].values()),
    }


def _channel(name: str, found: Told) -> Told:
    return {
        "name": name,
        "mark": MARKS[found["verdict"]],
        "why": found["why"],
        "units": found["units"],
        "rare": found["rare"],
        "tests": [_test(part) for part in found["parts"]],
    }


def _test(part: Told) -> Told:
    """A test's row; `bar` are places of the interval's ends and of what is left, from 0 to 1."""
    ends = [] if part["effect"] is None else [part["interval"][0], part["effect"],
                                              part["interval"][1]]  # fmt: skip
    return part | {
        "title": TESTS[part["name"]],
        "alarm": part["p"] <= part["alpha"],
        "bar": [round(min(1.0, max(0.0, end / SCALE)), 4) for end in ends],
    }


def _slice(lost: Told, one: Told) -> Told:
    """A slice's row: how many units have it, and what the set's share is of the anchor's."""
    anchor, made = one["channels"][lost["channel"]]["units"]
    due = lost["anchor"] / anchor * made
    return lost | {
        "slice": _cut(lost["slice"]) or "(without a name)",
        "of": (anchor, made),
        "due": due,
        "left": lost["set"] / due if due else None,
        "sure": lost["corrected"] <= one["alpha"],
        "examples": [_cut(example) for example in lost["examples"]],
    }


def _meters(found: dict[str, float]) -> list[tuple[str, float, float]]:
    """Meter by meter: its name, the anchor's value, the set's."""
    names = dict.fromkeys(name.rpartition(", ")[0] for name in found)
    return [(name, found[f"{name}, anchor"], found[f"{name}, set"]) for name in names]


def _cut(text: str) -> str:
    return text[:TEXT] + " …" if len(text) > TEXT else text
