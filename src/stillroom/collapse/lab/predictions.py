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
from stillroom.collapse.lab.policies import ARMS
from stillroom.collapse.lab.rules import Rules
from stillroom.collapse.predict import survival
from stillroom.collapse.simulate import simulate
from stillroom.world import stream

if TYPE_CHECKING:
    from stillroom.collapse.lab.world import Collapse

Array = NDArray[Any]

RUNS = 200  # of a simulation
AHEAD = 8  # generations that are worked out together
ABLE = 0.97  # the accuracy on a type that is in the corpus
GUESS = 0.9  # the accuracy on one that is not, times the number of rules

NONE = "does not apply"


class Prediction(NamedTuple):
    """The law that was used, and the probability of each type to be in a corpus [T]."""

    law: str
    presence: Array


def predict(world: "Collapse", arm: str, seed: int, generation: int) -> Prediction:
    """Presence of every type in what an arm's students of this generation learn from.

    It does not depend on how many generations a run has: a run may grow.
    """
    law = law_of(world, arm)
    if law == NONE:
        return Prediction(law, np.full(len(world.source.expected(seed, world.size)), np.nan))
    if world.data == "text":
        return Prediction(law, _known(world, arm, seed, generation))
    if law == "simulation":
        until = AHEAD * (generation // AHEAD + 1)
        return Prediction(law, _simulate(world, arm, until)[generation])
    turns, share = generation if ARMS[arm].synthetic else 0, 0.0
    if ARMS[arm].fresh:
        share = policies.fraction(world.size, world.share) / world.size
    return Prediction(law, survival(world.source.expected(seed, world.size), turns, share))


def law_of(world: "Collapse", arm: str) -> str:
    """By what an arm is predicted."""
    policy = ARMS[arm]
    if world.data == "text":
        return "survival of counts"
    if policy.exact and world.student == "cells":
        # It is wrong on rare slices most of all, and what is refused is replaced by common items.
        return NONE
    lawful = ("replace", "fresh", "exact", "exact-again", "human")
    return "survival" if policy in [ARMS[one] for one in lawful] else "simulation"


@lru_cache(maxsize=256)
def _known(world: "Collapse", arm: str, seed: int, generation: int) -> Array:
    """The branching process from the counts of the human documents of every generation so far.

    A type that came in c times t generations ago has died out with q_t^c, q_0 = 0 and
    q_{t+1} = exp(keep (q_t - 1)), where `keep` is the synthetic share of a corpus.
    """
    data, policy, n, share = world.source, ARMS[arm], world.size, world.share
    keep = policies.samples(policy, n, share) / n
    extinct = 0.0
    gone = np.ones(len(data.expected(seed, n)))
    for age in range(generation + 1):
        human = policies.human_of(policy, generation - age, n, share)
        items = [item for first, stop in human for item in data.human(seed, first, stop)]
        gone = gone * np.power(extinct, data.counts(seed, n, items))
        extinct = float(np.exp(keep * (extinct - 1)))
    return 1 - gone


@lru_cache(maxsize=64)
def _simulate(world: "Collapse", arm: str, generations: int) -> Array:
    """The share of RUNS in which draws of types, made like this arm's, hold each type [G, T]."""
    data, policy = world.source, ARMS[arm]
    assert isinstance(data, Rules)
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
        generations - 1,
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


def accuracy(world: "Collapse", found: Prediction) -> Array | None:
    """The predicted accuracy on each type [T]; None for what can't or needn't be predicted.

    Presence is not ability: this is what a student could do whose corpus held right answers alone.
    Wrong ones heap up, so neural students do 20 points worse from generation 3 on.
    """
    data = world.source
    if not isinstance(data, Rules) or world.student == "cells" or found.law == NONE:
        return None
    able: Array = ABLE * found.presence + GUESS / data.rules * (1 - found.presence)
    return able


class Told(NamedTuple):
    """A prediction as a record has it: by bin, and the accuracies of rare slices and of all."""

    law: str
    presence: list[float | None]
    accuracy: dict[str, float | None]


def tell(world: "Collapse", arm: str, seed: int, generation: int) -> Told:
    found = predict(world, arm, seed, generation)
    able, (rare, shares) = accuracy(world, found), rarity(world, seed)
    presence = [mean(found.presence[mine]) for _, mine in bins(world, seed)]
    if able is None:
        return Told(found.law, presence, {"rare": None, "mean": None})
    abilities = {"rare": mean(able[rare]), "mean": round(float(able @ shares), 6)}
    return Told(found.law, presence, abilities)


def written(world: "Collapse") -> dict[str, Any]:
    """All predictions as JSON, by arm, seed and generation."""
    arms = {
        arm: {
            str(seed): [tell(world, arm, seed, g)._asdict() for g in range(world.generations)]
            for seed in world.seeds
        }
        for arm in world.arms
    }
    edges = [edge for edge in world.source.edges if np.isfinite(edge)]
    return {"edges": edges, "rare_below": world.rare_below, "within": world.within, "arms": arms}


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
