"""What the page's section about a collapse laboratory holds, ready to be set."""

from pathlib import Path
from typing import Any

from stillroom.stages.card import percent

WORLD = "collapse"
LEARNS = {
    "replace": "the last student's samples alone",
    "same": "samples, and the same human items again and again",
    "fresh": "samples, and human items that no generation had",
    "anchor": "samples beside the first human items, all kept",
    "anchor-fresh": "samples, the first human items, and fresh ones",
    "accumulate": "all samples ever, and the first human items",
    "exact": "samples that a checker found right",
    "exact-again": "right samples, wrong ones asked anew",
    "biased": "samples, some rare ones refused",
    "exact-biased": "right samples, some rare ones refused",
    "cool": "samples drawn at a low temperature",
    "top-p": "samples of the likeliest alone",
    "human": "new human items each time",
}

Told = dict[str, Any]


def read_curves(run: Path, world: str) -> Told | None:
    """The curves of a laboratory's run; None for a run of another world."""
    if world != WORLD:
        return None
    from stillroom.collapse.lab.reading import curves

    return curves(run)


def measure(told: Told) -> str:
    """What stands for ability: accuracy, or of documents perplexity."""
    first = next(iter(told["arms"].values()))["points"][0]
    return "accuracy" if first["accuracy"]["rare"] else "perplexity"


def whole(told: Told) -> str:
    """What the measure is called of all that was asked."""
    return "mean" if measure(told) == "accuracy" else "all"


def headline(told: Told) -> str:
    """What collapsed and what didn't in one sentence, for the top of a page."""
    arms = told["arms"]
    fallen = min(arms, key=lambda arm: _kept(told, arm))
    best = max(arms, key=lambda arm: _kept(told, arm))
    last = arms[fallen]["points"][-1]["generation"]
    said = f"In generation {last} the students of the arm {fallen} {_did(told, fallen)}"
    return f"{said}; those of {best} {_did(told, best)}." if best != fallen else f"{said}."


def section(told: Told) -> Told:
    """All that the section's template needs but the charts."""
    points = next(iter(told["arms"].values()))["points"]
    return {
        "data": told["data"],
        "student": told["student"],
        "n": told["n"],
        "seeds": len(told["seeds"]),
        "rare_below": told["rare_below"],
        "last": points[-1]["generation"],
        "measure": measure(told),
        "rows": [_row(told, arm) for arm in told["arms"]],
        "near": _near(told["cells"]),
    }


def _row(told: Told, arm: str) -> Told:
    """The arm in the last generation, and how far it fell."""
    one = told["arms"][arm]
    first, last, name = one["points"][0], one["points"][-1], measure(told)
    rare, mean = last[name]["rare"], last[name][whole(told)]
    return {
        "name": arm,
        "learns": LEARNS.get(arm, ""),
        "rare": rare,
        "mean": mean,
        "fell": _change(first[name]["rare"], rare),
        "fell_mean": _change(first[name][whole(told)], mean),
        "alive": last["alive"]["rare"],
        "predicted": last["predicted"]["rare"],
        "law": one["law"],
        "recovered": one["recovered"][-1],
    }


def _change(first: Told | None, last: Told | None) -> float | None:
    return first["mean"] - last["mean"] if first and last else None


def _kept(told: Told, arm: str) -> float:
    """Of what was rare, how much the last students can: the larger, the better."""
    last = told["arms"][arm]["points"][-1]
    if measure(told) == "accuracy":
        return float(last["accuracy"]["rare"]["mean"])
    rare = last["perplexity"]["rare"]
    return -float(rare["mean"]) if rare else float("-inf")


def _did(told: Told, arm: str) -> str:
    one = told["arms"][arm]["points"][-1]
    if measure(told) == "accuracy":
        rare, mean = (one["accuracy"][name]["mean"] for name in ("rare", "mean"))
        return f"are right on {percent(rare)} of what is rare and on {percent(mean)} of all"
    rare, every = (one["perplexity"][name] for name in ("rare", "all"))
    if rare is None or every is None:
        return "can't be measured"
    return f"have a perplexity of {rare['mean']:,.0f} on rare words and {every['mean']:,.0f} on all"


def _near(cells: list[Told], within: float = 0.1) -> Told | None:
    """How many predictions that could have failed came true within ten points."""
    some = [cell for cell in cells if cell["open"]]
    near = sum(abs(cell["seen"] - cell["predicted"]) <= within for cell in some)
    return {"cells": len(some), "near": near} if some else None
