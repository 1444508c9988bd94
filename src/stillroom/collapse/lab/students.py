"""What a student of the laboratory can do, whatever it is made of, and how it is sampled."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stillroom.collapse.simulate import Decoding

Array = NDArray[Any]


class Learnt(Protocol):
    """A student that has learnt from a corpus."""

    def sample(self, count: int, how: Decoding, rng: np.random.Generator) -> list[str]:
        """Whole items, freely; one that is malformed is "" here."""

    def answer(self, questions: Sequence[str], rng: np.random.Generator | None) -> list[str]:
        """What follows each question: greedy, or drawn where there is chance to draw with."""

    def nats(self) -> Array:
        """Minus the log-probability of each unit that perplexity is measured on."""


def decoded(p: Array, how: Decoding) -> Array:
    """Distributions along the last axis as they are sampled from."""
    if how.temperature != 1:
        with np.errstate(divide="ignore"):
            logs = np.log(p) / how.temperature
        p = np.exp(logs - logs.max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True)
    if how.top_p < 1:
        order = np.argsort(-p, axis=-1, kind="stable")
        ranked = np.take_along_axis(p, order, -1)
        kept = ranked.cumsum(-1) - ranked < how.top_p
        p = np.zeros_like(p)
        np.put_along_axis(p, order, np.where(kept, ranked, 0.0), -1)
        p = p / p.sum(-1, keepdims=True)
    return p


def draw(p: Array, rng: np.random.Generator) -> Array:
    """One index from each row's distribution [m, k]."""
    found: Array = (p.cumsum(-1) < rng.random((len(p), 1)) * p.sum(-1, keepdims=True)).sum(-1)
    return found.clip(max=p.shape[-1] - 1)
