"""What is predicted of every arm before any student is trained: which types live, and abilities.

Nothing here is fitted. `survival` is the law of a type's expected count; documents know their
types' counts, so the same branching process starts from those; what no law covers is simulated as
draws of types, with the arm's own decoding and verifier. An arm for which that can't hold either is
told to be so: "does not apply".
"""

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillroom.collapse.lab import policies
from stillroom.collapse.lab.documents import Documents
from stillroom.collapse.lab.policies import ARMS, Policy
from stillroom.collapse.lab.rules import Rules
from stillroom.collapse.predict import survival
from stillroom.collapse.simulate import simulate
from stillroom.world import stream

if TYPE_CHECKING:
    from stillroom.collapse.lab.world import Collapse

Array = NDArray[Any]

RUNS = 400  # of a simulation
ABLE = 0.97  # the accuracy on a type that is in the corpus
GUESS = 0.9  # the accuracy on one that is not, times the number of rules

NONE = "does not apply"


class Prediction(NamedTuple):
    """The law that was used, and the probability [G, T] that a type is in a corpus."""

    law: str
    presence: Array


def predict(world: "Collapse", arm: str, seed: int) -> Prediction:
    """Presence of every type in the corpora of generations 0 to G - 1 of an arm."""
    return _predict(world, arm, seed if world.data == "text" else 0)


@lru_cache(maxsize=256)
def _predict(world: "Collapse", arm: str, seed: int) -> Prediction:
    policy, data, n = ARMS[arm], world.source, world.size
    expected = data.expected(seed, n)
    if isinstance(data, Documents):
        return Prediction("survival of counts", _known(world, data, policy, seed))
    turns = np.arange(world.generations)[:, None]
    if policy.exact and world.student == "cells":
        # It is wrong on rare slices most of all, and what is refused is replaced by common items.
        return Prediction(NONE, np.full((world.generations, len(expected)), np.nan))
    if not policy.synthetic:
        return Prediction("survival", survival(expected[None], 0 * turns))
    if policy in (ARMS["replace"], ARMS["exact"], ARMS["exact-again"]):
        return Prediction("survival", survival(expected[None], turns))
    if policy == ARMS["fresh"]:
        share = policies.fraction(n, world.share) / n
        return Prediction("survival", survival(expected[None], turns, share))
    return Prediction("simulation", _simulate(world, data, policy, arm))


def _known(world: "Collapse", data: Documents, policy: Policy, seed: int) -> Array:
    """The branching process from the counts of the human documents of every generation.

    A type that came in c times t generations ago has died out with q_t^c, q_0 = 0 and
    q_{t+1} = exp(keep (q_t - 1)), where `keep` is the synthetic share of a corpus.
    """
    n, share = world.size, world.share
    keep = policies.samples(policy, n, share) / n
    absent: list[Array] = []
    extinct = [0.0]
    for _ in range(world.generations):
        extinct.append(float(np.exp(keep * (extinct[-1] - 1))) if keep else 1.0)
    coming: list[Array] = []
    for generation in range(world.generations):
        human = policies.human_of(policy, generation, n, share)
        items = [item for first, stop in human for item in data.human(seed, first, stop)]
        coming.append(data.counts(seed, n, items))
        gone = np.ones(len(coming[0]))
        for age, counts in enumerate(reversed(coming)):
            gone *= np.power(extinct[age], counts) if extinct[age] < 1 else 1.0
        absent.append(gone)
    return 1 - np.array(absent)


def _simulate(world: "Collapse", data: Rules, policy: Policy, arm: str) -> Array:
    """The share of RUNS in which draws of types, made like this arm's, still hold each type."""
    shy = data.shares.cumsum() > 1 - world.shunned
    kind: Literal["accumulate", "anchor", "same", "fresh", "replace"] = "replace"
    if policy.accumulate:
        kind = "accumulate"
    elif policy.anchor:
        kind = "anchor"
    elif policy.same or policy.fresh:
        kind = "same" if policy.same else "fresh"
    loop = simulate(
        data.shares,
        world.size,
        world.generations - 1,
        kind,
        share=world.share if policy.fresh or policy.same else 0.0,
        temperature=world.temperature if policy.cool else 1.0,
        top_p=world.top_p if policy.nucleus else 1.0,
        passes=np.where(shy, world.rare_pass, 1.0) if policy.biased else None,
        runs=RUNS,
        rng=stream(f"collapse simulation {arm}"),
    )
    found: Array = loop.present.mean(0)
    return found


def accuracy(world: "Collapse", arm: str, seed: int) -> Array | None:
    """The predicted accuracy on each type [G, T]; None for what can't or needn't be predicted.

    Presence is not ability: where wrong answers heap up, this is too high from generation 3 on.
    """
    data, found = world.source, predict(world, arm, seed)
    if isinstance(data, Documents) or world.student == "cells" or found.law == NONE:
        return None
    able: Array = ABLE * found.presence + GUESS / data.rules * (1 - found.presence)
    return able


def told(world: "Collapse") -> dict[str, Any]:
    """All predictions as JSON, by arm and seed: a mean for each bin and generation."""
    arms = {
        arm: {str(seed): _cells(world, arm, seed) for seed in world.seeds} for arm in world.arms
    }
    data = world.source
    edges = [edge for edge in data.edges if np.isfinite(edge)]
    return {"edges": edges, "rare_below": world.rare_below, "within": world.within, "arms": arms}


def _cells(world: "Collapse", arm: str, seed: int) -> dict[str, Any]:
    """What one arm and seed is predicted to do; numbers of a generation stand together."""
    found, able = predict(world, arm, seed), accuracy(world, arm, seed)
    presence = [[mean(one[mine]) for _, mine in bins(world, seed)] for one in found.presence]
    rare, shares = rarity(world, seed)
    abilities = (
        [[mean(one[rare]), round(float(one @ shares), 6)] for one in able]
        if able is not None
        else [[None, None]] * world.generations
    )
    return {"law": found.law, "presence": presence, "accuracy": abilities}


def mean(values: Array) -> float | None:
    """A mean as records hold it; None for no values, and for no numbers."""
    return round(float(values.mean()), 6) if len(values) and np.isfinite(values).all() else None


def rarity(world: "Collapse", seed: int) -> tuple[Array, Array]:
    """Which types are rare [T], and each one's share of the human mass [T]."""
    expected = world.source.expected(seed, world.size)
    return expected < world.rare_below, expected / expected.sum()


def bins(world: "Collapse", seed: int) -> list[tuple[str, Array]]:
    """The bins that hold any type: a name, and which types are in it [T]."""
    edges, expected = world.source.edges, world.source.expected(seed, world.size)
    found = []
    for low, high in pairwise(edges):
        mine = (expected >= low) & (expected < high)
        name = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} or more"
        if mine.any():
            found.append((name, mine))
    return found
