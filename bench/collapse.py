"""Figures of the collapse laboratory: who forgets what, what brings it back, predictions kept.

    python bench/collapse.py [--quick]

Settings were chosen on seed 0 and are fixed; these are seeds 1 to 5, each used once. Every run
writes its predictions before it trains. `lab` makes a run and gives its curves as JSON; the page
and the guard read the same.
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from figures import Figure, apart, command_line

import stillroom
from stillroom.collapse.lab import Collapse
from stillroom.collapse.lab.findings import VERDICT, over
from stillroom.collapse.lab.reading import curves, open_lab, tail_records

SETTINGS = ("power.sample=0",)
WITHIN = 0.1
LAST = 6  # the generation at which fresh data is compared with none beside the anchor

Curves = dict[str, Any]


def lab(fields: dict[str, Any]) -> Curves:
    """A run's curves, and its CPU-seconds, workers included."""
    with tempfile.TemporaryDirectory() as folder:
        stillroom.run(Collapse(**fields), out=folder, workers=2, settings=SETTINGS)
        spent = time.process_time() + sum(_children())
        return {**curves(folder), "cpu_seconds": spent}


def _children() -> tuple[float, float]:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime, used.ru_stime


def verifier(fields: dict[str, Any]) -> dict[str, float]:
    """What a biased verifier passes at first, of all and of the rare, and the tail it leaves."""
    with tempfile.TemporaryDirectory() as folder:
        stillroom.run(Collapse(**fields), out=folder, workers=2, settings=SETTINGS)
        world, found = open_lab(Path(folder))
        tail = world.source.shares.cumsum() > 1 - world.shunned
        passed, tried = (
            np.sum([found["biased", seed, 0][name] for seed in world.seeds], 0)
            for name in ("sampled", "tried")
        )
        left: dict[str, float] = {}
        for arm in world.arms:
            seen = [list(tail_records(folder, arm, seed)) for seed in world.seeds]
            left[arm] = float(np.mean([one[-1].in_tail.mean() / one[-1].human for one in seen]))
    return {
        "passed": 100 * float(passed.sum() / tried.sum()),
        "passed_rare": 100 * float(passed[tail].sum() / tried[tail].sum()),
        "human": 100 * float(world.source.shares[tail].sum()),
        **left,
    }


PARTS: dict[str, Callable[..., dict[str, Any]]] = {"lab": lab, "verifier": verifier}


def measure(quick: bool) -> list[Figure]:
    found = {name: apart(__file__, "lab", fields) for name, fields in _runs(quick).items()}
    seeds = [1] if quick else [1, 2, 3, 4, 5]
    arms = ["replace", "biased"]
    asked = {"student": "table" if quick else "neural", "arms": arms, "seeds": seeds[:3]}
    biased = apart(__file__, "verifier", asked)
    neural = found["rules"]
    return [
        *_collapse("rules", neural),
        *_fresh(neural),
        *_ability(neural),
        *_kept(found),
        *_collapse("second world", found["rules-2"], aimed=False),
        *_collapse("rule table", found["table"], aimed=False),
        *_collapse("cell table", found["cells"], aimed=False),
        *_words(found["text"]),
        *_verifier(biased, 3 if not quick else 1),
        Figure("rules: a run of all its arms", neural["cpu_seconds"], "CPU-s", "", 1),
    ]


def _runs(quick: bool) -> dict[str, dict[str, Any]]:
    """The settings of every run, by the name that figures have."""
    seeds = [1] if quick else [1, 2, 3, 4, 5]
    three = seeds[:3]
    cures = ["replace", "fresh", "anchor-fresh"]
    words = ["replace", "same", "fresh", "accumulate", "anchor-fresh", "human"]
    turns = VERDICT + 1
    whole = {"arms": ["replace", "fresh", "anchor", "anchor-fresh"], "generations": LAST + 1}
    short = {"arms": ["replace", "anchor-fresh"], "generations": 2}
    table = {"student": "table"} if quick else {}
    last = 3 if quick else LAST + 1
    return {
        "rules": {"seeds": seeds, **(short if quick else whole)},
        "decoding": {"seeds": three, "arms": ["top-p", "cool"], "generations": turns, **table},
        "rules-2": {
            "data": "rules-2", "seeds": three, "arms": cures, "generations": turns, **table,
        },
        "text": {
            "data": "text", "student": "ngram", "seeds": seeds, "arms": words,
            "generations": last,
        },
        "table": {"student": "table", "seeds": seeds, "arms": cures, "generations": last},
        "cells": {"student": "cells", "seeds": seeds, "arms": cures, "generations": last},
    }  # fmt: skip


def _lost(found: Curves, arm: str, of: str, at: int) -> list[float]:
    points = found["arms"][arm]["points"]
    first, last = (points[g]["accuracy"][of]["seeds"] for g in (0, at))
    return [100 * (a - b) for a, b in zip(first, last, strict=True)]


def _collapse(name: str, found: Curves, aimed: bool = True) -> list[Figure]:
    """The fall of `replace`, and what the anchor with fresh data wins back."""
    at, n = min(VERDICT, len(found["arms"]["replace"]["points"]) - 1), len(found["seeds"])
    rare, mean = (over(_lost(found, "replace", of, at)) for of in ("rare", "mean"))
    won = 100 * found["arms"]["anchor-fresh"]["recovered"][at]
    of = f"{name}, replace, generation {at}"
    figures = [
        Figure(f"{of}: accuracy lost, rare", rare.mean, "points", ">= 15" if aimed else "", n),
        Figure(f"{of}: accuracy lost, mean", mean.mean, "points", "<= 5" if aimed else "", n),
        Figure(f"{name}, anchor and fresh: won back", won, "%", ">= 80" if aimed else "", n),
    ]
    if aimed:
        figures += [
            Figure(f"{of}: lost, rare, the least of the seeds", min(rare.seeds), "points", "", n),
            Figure(f"{of}: lost, mean, the most of the seeds", max(mean.seeds), "points", "", n),
            *_interval(f"{of}: lost, rare", rare.low, rare.high, n),
        ]
    if "fresh" in found["arms"]:
        won = 100 * found["arms"]["fresh"]["recovered"][at]
        figures.append(Figure(f"{name}, fresh 20 %: won back", won, "%", "", n))
    return figures


def _interval(name: str, low: float | None, high: float | None, n: int) -> Iterable[Figure]:
    return (Figure(f"{name}, 95 %, {side}", v, "points", "", n) for side, v in
            (("low", low), ("high", high)))  # fmt: skip


def _fresh(found: Curves) -> list[Figure]:
    """What fresh data adds to the anchor alone in the last generation, seed by seed."""
    points = {arm: found["arms"][arm]["points"] for arm in found["arms"]}
    if "anchor" not in points:
        return []
    at, n = len(points["anchor"]) - 1, len(found["seeds"])
    with_it, without = (
        points[arm][at]["accuracy"]["rare"]["seeds"] for arm in ("anchor-fresh", "anchor")
    )
    gain = over([100 * (a - b) for a, b in zip(with_it, without, strict=True)])
    name = f"rules, generation {at}: what fresh adds to the anchor, rare"
    return [
        Figure(name, gain.mean, "points", "", n),
        *_interval(name, gain.low, gain.high, n),
    ]


def _ability(found: Curves) -> list[Figure]:
    """Accuracy on rare slices beside what was foretold, at the verdict and at the end."""
    points = found["arms"]["replace"]["points"]
    figures = []
    for at in sorted({min(VERDICT, len(points) - 1), len(points) - 1}):
        seen, told = points[at]["accuracy"]["rare"]["mean"], points[at]["foretold"]["rare"]
        name = f"rules, replace, generation {at}: accuracy foretold too high by, rare"
        figures.append(Figure(name, 100 * (told - seen), "points", "", len(found["seeds"])))
    mass = points[-1]["rare_mass"]["mean"]
    alive = points[-1]["alive"]["rare"]["mean"]
    name = f"rules, replace, generation {len(points) - 1}"
    n = len(found["seeds"])
    figures.append(Figure(f"{name}: rare types alive", 100 * alive, "%", "", n))
    figures.append(Figure(f"{name}: rare mass, of the human", 100 * mass, "%", "", n))
    return figures


def _kept(found: dict[str, Curves]) -> list[Figure]:
    """Cells within 10 points of what was predicted, by data set; open ones could have missed."""
    figures = []
    sets = {"rules": ("rules", "decoding"), "rules-2": ("rules-2",), "text": ("text",)}
    for name, runs in sets.items():
        cells = [cell for run in runs for cell in found[run]["cells"] if cell["arm"] != "human"]
        for what, some in (("all", cells), ("open", [one for one in cells if one["open"]])):
            near = [abs(one["seen"] - one["predicted"]) <= WITHIN for one in some]
            share = 100 * sum(near) / len(near)
            title = f"{name}: cells within 10 points of the prediction, {what}"
            figures.append(Figure(title, share, "%", ">= 80", len(near)))
    return figures


def _words(found: Curves) -> list[Figure]:
    """Rare words that live, and how surprising they become, beside people against people."""
    figures, n = [], len(found["seeds"])
    for arm in ("replace", "fresh", "accumulate", "anchor-fresh"):
        points, human = (found["arms"][one]["points"] for one in (arm, "human"))
        at = min(VERDICT, len(points) - 1)
        alive, others = (one[at]["alive"]["rare"]["mean"] for one in (points, human))
        name = f"text, {arm}, generation {at}"
        figures.append(Figure(f"{name}: rare words kept", 100 * alive, "%", "", n, 100 * others))
        for of in ("rare", "all"):
            grown, usual = (
                one[at]["perplexity"][of]["mean"] / one[0]["perplexity"][of]["mean"]
                for one in (points, human)
            )
            what = "words that were rare" if of == "rare" else "all words"
            figures.append(Figure(f"{name}: perplexity of {what}", grown, "times", "", n, usual))
    return figures


def _verifier(told: dict[str, float], n: int) -> list[Figure]:
    name = "biased verifier"
    return [
        Figure(f"{name}: passes at first", told["passed"], "%", "", n),
        Figure(f"{name}: passes of the tail at first", told["passed_rare"], "%", "", n),
        Figure(f"{name}: the tail's human share", told["human"], "%", "", n),
        Figure(
            f"{name}: tail left after 6 generations, of the human",
            100 * told["biased"], "%", "", n, 100 * told["replace"],
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    command_line("collapse", __doc__, PARTS, measure)
