"""A finished laboratory as numbers for a page, and as a stream for a guard."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillroom import dataset, files, worlds
from stillroom.collapse.lab.findings import Over, Table, names, over, pooled, recovered, table
from stillroom.collapse.lab.policies import ARMS
from stillroom.collapse.lab.predictions import mean, predict, rarity
from stillroom.collapse.lab.rules import Rules
from stillroom.collapse.lab.world import Collapse
from stillroom.errors import UserError

Array = NDArray[Any]


def open_lab(run: Path) -> tuple[Collapse, Table]:
    """The world of a run and its records, by arm, seed and generation."""
    about = files.read_json(run / "run.json")
    if about is None:
        raise UserError("no run is there", run)
    world = worlds.build(worlds.recorded(about, run), about["parts"]["config"])
    if not isinstance(world, Collapse):
        raise UserError("it is no run of the collapse laboratory", run)
    return world, table(dataset.open(run))


def curves(run: str | Path) -> dict[str, Any]:
    """What a page draws of a run, as JSON.

    {"data", "student", "n", "seeds", "arms": {ARM: {"law", "recovered", "points": [...]}},
    "cells": [...]}. A point is a generation: "accuracy" and "foretold" {"rare", "mean"},
    "perplexity" {"all", "rare"}, "alive" {"rare", "all"} (shares of types in what was learnt from)
    with "predicted" beside it, and "rare_mass" (of what it is among people). Each is
    {"mean", "low", "high", "seeds"} with a 95 % interval over seeds, or null where it is nothing
    that can be measured; predicted are plain numbers. "recovered" is by generation. A cell is
    {"arm", "generation", "bin", "law", "types", "seen", "predicted", "open"}, seeds pooled.
    """
    world, found = open_lab(Path(run))
    arms, seeds, generations = names(found)
    told: dict[str, Any] = {}
    for arm in arms:
        compared = world.source.accurate and "replace" in arms and arm != "replace"
        told[arm] = {
            "law": found[arm, seeds[0], 0]["law"],
            "recovered": [recovered(found, arm, g) if compared else None for g in generations],
            "points": [_point(world, found, arm, seeds, g) for g in generations],
        }
    return {
        "data": world.data,
        "student": world.student,
        "n": world.size,
        "seeds": seeds,
        "rare_below": world.rare_below,
        "arms": told,
        "cells": [{**cell._asdict(), "open": cell.open} for cell in pooled(found)],
    }


def _point(
    world: Collapse, found: Table, arm: str, seeds: list[int], generation: int
) -> dict[str, Any]:
    mine = [found[arm, seed, generation] for seed in seeds]
    types = [_types(world, one) for one in mine]
    foretold = {name: _mean([one["foretold"][name] for one in mine]) for name in ("rare", "mean")}
    return {
        "generation": generation,
        **{
            what: {name: _over([one[what][name] for one in mine]) for name in parts}
            for what, parts in (("accuracy", ("rare", "mean")), ("perplexity", ("all", "rare")))
        },
        "foretold": foretold,
        "alive": {name: _over([one[name] for one in types]) for name in ("rare", "all")},
        "predicted": {
            name: _mean([one[f"predicted_{name}"] for one in types]) for name in ("rare", "all")
        },
        "rare_mass": _over([one["mass"] for one in types]),
    }


def _types(world: Collapse, data: dict[str, Any]) -> dict[str, float | None]:
    """Living types of a record, rare and all, as predicted too, and the rare ones' mass."""
    rare, shares = rarity(world, data["seed"])
    counts = np.array(data["learnt"])
    presence = predict(world, data["arm"], data["seed"], data["generation"]).presence
    out = {
        f"{what}{name}": mean(values[mine])
        for name, mine in (("rare", rare), ("all", np.ones(len(rare), bool)))
        for what, values in (("", counts > 0), ("predicted_", presence))
    }
    mass = float(shares[rare].sum())
    out["mass"] = float(counts[rare].sum() / counts.sum()) / mass if mass else None
    return out


def _over(values: list[float | None]) -> dict[str, Any] | None:
    known = [one for one in values if one is not None]
    found: Over | None = over(known) if known and len(known) == len(values) else None
    return None if found is None else found._asdict()


def _mean(values: list[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


class Tail(NamedTuple):
    """Records of a generation as a guard sees them: whether each is of the tail, in random order.

    `human` is the share of the tail among people.
    """

    generation: int
    in_tail: NDArray[np.bool_]
    human: float


def tail_records(run: str | Path, arm: str, seed: int, mass: float | None = None) -> Iterator[Tail]:
    """What a guard is shown, generation by generation: everything that one arm samples.

    The tail are the slices that hold `mass` of the human items, rarest first; by default those
    that a biased verifier shuns. UserError for documents, which have no slices.
    """
    world, found = open_lab(Path(run))
    data = world.source
    if not isinstance(data, Rules):
        raise UserError("documents have no slices", run, "give a run of rules")
    if arm not in ARMS or (arm, seed, 0) not in found:
        raise UserError(f"the run has no arm {arm!r} of seed {seed}", run)
    tail = data.shares.cumsum() > 1 - (world.shunned if mass is None else mass)
    for generation in names(found)[2]:
        counts = np.array(found[arm, seed, generation]["sampled"])
        slices = np.repeat(np.arange(len(counts)), counts)
        shuffled = np.random.default_rng(generation).permutation(tail[slices])
        yield Tail(generation, shuffled, float(data.shares[tail].sum()))
