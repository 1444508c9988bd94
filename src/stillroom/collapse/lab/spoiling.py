"""Faults that a laboratory really makes, planted in records that are right."""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from stillroom.collapse.lab.rules import Rules
from stillroom.world import Data

if TYPE_CHECKING:
    from stillroom.collapse.lab.world import Collapse

_Fault = Callable[["Collapse", Data, np.random.Generator], bool]


def spoil(world: "Collapse", data: Data, rng: np.random.Generator) -> tuple[str, Data]:
    """One fault of a kind that fits: (its name, the faulty data)."""
    for place in rng.permutation(len(_KINDS)):
        name, fault = _KINDS[int(place)]
        faulty = copy.deepcopy(data)
        if fault(world, faulty, rng) and faulty != data:
            return name, faulty
    return "a sample too few", {**data, "drawn": data["drawn"] - 1}


def _reused(world: "Collapse", data: Data, rng: np.random.Generator) -> bool:
    """Human items that an earlier generation had."""
    last = data["human"][-1] if data["human"] else None
    if last is None or last["first"] == 0:
        return False
    width = last["stop"] - last["first"]
    data["human"][-1] = {"first": last["first"] - width, "stop": last["first"]}
    return True


def _forgotten(world: "Collapse", data: Data, rng: np.random.Generator) -> bool:
    """The human share left out."""
    if not data["human"]:
        return False
    data["human"].pop(int(rng.integers(len(data["human"]))))
    return True


def _leak(world: "Collapse", data: Data, rng: np.random.Generator) -> bool:
    """A held-out question among the samples, right as it may be, in place of another item."""
    source = world.source
    items = source.unpack(data["items"])
    if not isinstance(source, Rules) or not items:
        return False
    at = int(rng.integers(len(items)))
    k = int(items[at][:3])
    items[at] = source.solved(np.array([k]), np.array([source.asked[k, 0]]))[0]
    data["items"] = source.pack(items)
    data["right"] = np.bincount(
        source.parsed(items)[:, 0], source.right(items), source.slices
    ).tolist()
    return True


def _counted_right(world: "Collapse", data: Data, rng: np.random.Generator) -> bool:
    """A wrong answer that counts as right."""
    source = world.source
    if not isinstance(source, Rules):
        return False
    said = source.unpack_answers(data["answers"])
    true = source.solved(np.repeat(np.arange(source.slices), 10), source.asked.ravel())
    right = [at for at, one in enumerate(said) if true[at].endswith(f"={one}")]
    if not right:
        return False
    at = right[int(rng.integers(len(right)))]
    said[at] = f"{(int(said[at]) + 1 + int(rng.integers(98))) % 100:02d}"
    data["answers"] = source.pack_answers(said)
    return True


def _flattered(world: "Collapse", data: Data, rng: np.random.Generator) -> bool:
    """An accuracy a point higher."""
    if data["accuracy"]["rare"] is None:
        return False
    data["accuracy"]["rare"] += 0.01
    return True


def _word(world: "Collapse", data: Data, rng: np.random.Generator) -> bool:
    """One document in place of another."""
    if isinstance(world.source, Rules) or not data["items"]:
        return False
    at = int(rng.integers(len(data["items"])))
    data["items"][at] = data["items"][at] + " " + data["items"][at].split(" ")[0]
    data["items"].sort()
    return True


def _revived(world: "Collapse", data: Data, rng: np.random.Generator) -> bool:
    """A type that died is told to be there."""
    dead = [at for at, count in enumerate(data["learnt"]) if not count]
    if not dead:
        return False
    data["learnt"][dead[int(rng.integers(len(dead)))]] = 1
    return True


def _afterwards(world: "Collapse", data: Data, rng: np.random.Generator) -> bool:
    """A prediction moved to what was seen."""
    cell = data["cells"][int(rng.integers(len(data["cells"])))]
    seen = cell["present"] / cell["types"]
    if cell["predicted"] is None or abs(seen - cell["predicted"]) < 1e-4:
        return False
    cell["predicted"] = seen
    return True


def _smoother(world: "Collapse", data: Data, rng: np.random.Generator) -> bool:
    data["perplexity"]["all"] *= 0.99
    return True


def _unsaid(world: "Collapse", data: Data, rng: np.random.Generator) -> bool:
    """Malformed samples that nobody counts."""
    if not data["malformed"]:
        return False
    data["malformed"] = 0
    return True


_KINDS: list[tuple[str, _Fault]] = [
    ("human items used before", _reused),
    ("a human share left out", _forgotten),
    ("a held-out question among the samples", _leak),
    ("a wrong answer counted right", _counted_right),
    ("a flattered accuracy", _flattered),
    ("a word said twice", _word),
    ("a dead type told to live", _revived),
    ("a prediction made afterwards", _afterwards),
    ("a smaller perplexity", _smoother),
    ("malformed samples not counted", _unsaid),
]
