"""The measures of a record that follow from what else is in it; made and checked with these."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stillroom.collapse.lab.predictions import bins, mean, rarity
from stillroom.collapse.lab.rules import Rules

if TYPE_CHECKING:
    from stillroom.collapse.lab.world import Collapse

Array = NDArray[Any]


def accuracies(world: "Collapse", seed: int, said: Sequence[str]) -> dict[str, float | None]:
    """Accuracy on rare slices, each counted alike, and on all, each by its human share."""
    data = world.source
    if not isinstance(data, Rules):
        return {"rare": None, "mean": None}
    rare, shares = rarity(world, seed)
    each = data.accuracy(said)
    return {"rare": mean(each[rare]), "mean": round(float(each @ shares), 6)}


def perplexities(world: "Collapse", seed: int, nats: Sequence[float]) -> dict[str, float | None]:
    """Per token, on all units and on the rare ones."""
    weight, tokens, rare = world.source.units(seed, world.size, world.rare_below)
    each = np.asarray(nats)
    out: dict[str, float | None] = {}
    for name, mine in (("all", np.ones(len(rare), bool)), ("rare", rare)):
        total = float((weight * tokens)[mine].sum())
        value = np.exp((weight * each)[mine].sum() / total) if total else np.nan
        out[name] = round(float(value), 6) if np.isfinite(value) else None
    return out


def cells(
    world: "Collapse", seed: int, learnt: Sequence[int], predicted: Sequence[float | None]
) -> list[dict[str, Any]]:
    """By bin of expected count: types, those in the corpus, their count in it and what it was."""
    counts, expected = np.asarray(learnt), world.source.expected(seed, world.size)
    return [
        {
            "bin": name,
            "types": int(mine.sum()),
            "present": int((counts[mine] > 0).sum()),
            "predicted": one,
            "count": int(counts[mine].sum()),
            "expected": round(float(expected[mine].sum()), 6),
        }
        for (name, mine), one in zip(bins(world, seed), predicted, strict=True)
    ]


def sampled(world: "Collapse", seed: int, items: Sequence[str]) -> Array:
    """How many of the sampled items are of each type (of documents: its words)."""
    data = world.source
    if isinstance(data, Rules) and not items:
        return np.zeros(data.slices, np.int64)
    return data.counts(seed, world.size, items)


def right(world: "Collapse", items: Sequence[str]) -> Array:
    """How many of the items are right, by slice; empty where there is no right or wrong."""
    data = world.source
    if not isinstance(data, Rules):
        return np.zeros(0, np.int64)
    if not items:
        return np.zeros(data.slices, np.int64)
    slices = data.parsed(items)[:, 0]
    return np.bincount(slices, data.right(items), data.slices).astype(np.int64)
