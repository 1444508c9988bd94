"""What a record of the laboratory must stand up to, from the rule book and from itself alone."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stillroom.collapse.lab import measuring, policies, predictions
from stillroom.collapse.lab.policies import ARMS
from stillroom.collapse.lab.rules import Rules
from stillroom.world import Check, Data, Task, Verdict

if TYPE_CHECKING:
    from stillroom.collapse.lab.world import Collapse

Array = NDArray[Any]

CLOSE = 2e-6  # of numbers that were rounded to six places


def check(world: "Collapse", task: Task, data: Data) -> Verdict:
    """Each question's answer; a detail says what was found instead."""
    same = {name: data[name] == task[name] for name in ("arm", "seed", "generation")}
    if not all(same.values()) or data["arm"] not in world.arms:
        return Verdict((Check("task", False, f"it is another: {same}"),), 0.0)
    checks = [Check("task", True)]
    for name, question in _QUESTIONS.items():
        try:
            fault = question(world, data)
        except (ValueError, TypeError, LookupError) as wrong:
            fault = str(wrong)
        checks.append(Check(name, not fault, fault))
    return Verdict(tuple(checks), float(all(one.ok for one in checks)))


def _human(world: "Collapse", data: Data) -> str:
    """Whether the human items are those that this arm has in this generation."""
    given = [(one["first"], one["stop"]) for one in data["human"]]
    due = policies.human_of(ARMS[data["arm"]], data["generation"], world.size, world.share)
    return "" if given == due else f"stretches {given}, not {due}"


def _learnt(world: "Collapse", data: Data) -> str:
    """Whether the corpus can hold its human items, and is as large as the arm's is."""
    source, seed, n = world.source, data["seed"], world.size
    policy, generation = ARMS[data["arm"]], data["generation"]
    human = [
        item for one in data["human"] for item in source.human(seed, one["first"], one["stop"])
    ]
    least = measuring.sampled(world, seed, human)
    learnt = np.array(data["learnt"])
    if len(learnt) != len(least):
        return f"{len(learnt)} types, not {len(least)}"
    if (learnt < least).any():
        return f"type {int((learnt < least).argmax())}: fewer than its human items"
    only_human = generation == 0 or not policy.synthetic
    if only_human and (learnt != least).any():
        return f"type {int((learnt != least).argmax())}: more than its human items"
    size = policies.size(policy, generation, n, world.share)
    if isinstance(source, Rules) and int(learnt.sum()) != size:
        return f"{int(learnt.sum())} items, not {size}"
    return ""


def _items(world: "Collapse", data: Data) -> str:
    """Whether items are well formed, none is held out, and so many as the arm samples."""
    source, policy = world.source, ARMS[data["arm"]]
    items = source.unpack(data["items"])
    wanted = policies.samples(policy, world.size, world.share)
    if len(items) != wanted:
        return f"{len(items)} items, not {wanted}"
    if isinstance(source, Rules) and items and source.leaked(items).any():
        return f"a held-out question: {items[int(source.leaked(items).argmax())]}"
    if "" in items:
        return "an item without words"
    return ""


def _samples(world: "Collapse", data: Data) -> str:
    """Whether the counts are those of the items, and what was left out adds up."""
    items = world.source.unpack(data["items"])
    policy, seed = ARMS[data["arm"]], data["seed"]
    for name, found in (
        ("sampled", measuring.sampled(world, seed, items)),
        ("right", measuring.right(world, items)),
    ):
        if data[name] != found.tolist():
            return f"{name} are not the items'"
    left = {name: data[name] for name in ("malformed", "held_out", "refused", "again")}
    if min(left.values()) < 0:
        return f"below nought: {left}"
    if data["drawn"] != len(items) + sum(left.values()) - left["again"]:
        return f"{data['drawn']} drawn, but {len(items)} kept and left out {left}"
    if not isinstance(world.source, Rules):
        return "" if not data["tried"] else "no verifier looks at documents"
    tried, kept = np.array(data["tried"]), np.array(data["sampled"])
    if len(tried) != len(kept) or (tried < kept).any():
        return "more passed than were tried"
    if tried.sum() - kept.sum() != left["refused"] + left["again"]:
        return f"{tried.sum() - kept.sum()} did not pass, told are {left}"
    verified = policy.exact or policy.biased
    if not verified and (tried != kept).any():
        return "this arm refuses nothing"
    if left["again"] and not policy.again:
        return "this arm asks nothing again"
    if policy.exact and data["right"] != data["sampled"]:
        return "an exact verifier let a wrong item pass"
    return ""


def _answers(world: "Collapse", data: Data) -> str:
    """Whether the accuracies are those of the answers that stand there."""
    source = world.source
    said = source.unpack_answers(data["answers"]) if isinstance(source, Rules) else data["answers"]
    return _alike(data["accuracy"], measuring.accuracies(world, data["seed"], said))


def _perplexity(world: "Collapse", data: Data) -> str:
    nats = data["nats"]
    weight, _, _ = world.source.units(data["seed"], world.size, world.rare_below)
    if len(nats) != len(weight):
        return f"{len(nats)} units, not {len(weight)}"
    if not all(math.isfinite(one) and one >= 0 for one in nats):
        return "a probability above 1"
    return _alike(data["perplexity"], measuring.perplexities(world, data["seed"], nats))


def _cells(world: "Collapse", data: Data) -> str:
    """Whether presence is that of the counts, and the predictions those of the law."""
    arm, seed, generation = data["arm"], data["seed"], data["generation"]
    told = predictions.tell(world, arm, seed, generation)
    if data["law"] != told.law:
        return f"law {data['law']!r:.40}, not {told.law!r}"
    due = measuring.cells(world, seed, data["learnt"], told.presence)
    if len(due) != len(data["cells"]):
        return f"{len(data['cells'])} bins, not {len(due)}"
    for one, other in zip(data["cells"], due, strict=True):
        if _alike(one, other):
            return f"bin {other['bin']}: {_alike(one, other)}"
    return _alike(data["foretold"], told.accuracy)


def _alike(given: dict[str, Any], due: dict[str, Any]) -> str:
    """Nothing, or the first value that is another one."""
    for name, value in due.items():
        one = given[name]
        if isinstance(value, float) and isinstance(one, float):
            if not abs(one - value) <= CLOSE * max(1.0, abs(value)):
                return f"{name} is {one}, not {value}"
        elif one != value:
            return f"{name} is {one!r:.40}, not {value!r}"
    return ""


_QUESTIONS: dict[str, Callable[["Collapse", Data], str]] = {
    "human": _human,
    "learnt": _learnt,
    "items": _items,
    "samples": _samples,
    "answers": _answers,
    "perplexity": _perplexity,
    "cells": _cells,
}
