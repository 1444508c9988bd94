"""Loops over a histogram: each generation is drawn from the shares of the last. Only numpy.

A corpus is a count for each type, a student a table of shares. What laws can't say is simulated
here: decoding, a checker that prefers some types, human records used again.
"""

from collections.abc import Iterator
from itertools import islice
from math import isfinite
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from stillroom.collapse.laws import Floats

Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Policy = Literal["replace", "accumulate", "fresh", "same", "anchor"]


class Decoding(NamedTuple):
    """How a student draws: temperature first, then the likeliest types of mass `top_p`."""

    temperature: float = 1.0
    top_p: float = 1.0

    @property
    def neutral(self) -> bool:
        return self.temperature == 1 and self.top_p == 1


class Loop(NamedTuple):
    """What became of the types.

    present   [runs, generations + 1, types]: is the type in the corpus of the generation
    mass      [runs, generations + 1]: share of the corpus that is of the rare types; nan if none
              were named
    """

    present: Bools
    mass: Floats


def simulate(
    truth: npt.ArrayLike,
    n: int,
    generations: int,
    policy: Policy = "replace",
    *,
    share: float = 0.0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    passes: npt.ArrayLike | None = None,
    rare: npt.ArrayLike | None = None,
    runs: int = 4,
    start: npt.ArrayLike | None = None,
    rng: np.random.Generator,
) -> Loop:
    """Run loops of `n` records a generation, from generation 0, which is human, to `generations`.

    truth     weight of each type among humans: [types], or [runs, types]
    policy    what a student learns next: the synthetic records alone (replace), all so far
              (accumulate), or all of generation 0 and the last ones (anchor). `share` of the n new
              ones is human: newly drawn, or in "same" always the same part of generation 0;
              "fresh" is replace with such a share
    passes    probability that a checker lets a type pass; rejected ones are drawn anew, from all
    rare      bool for each type whose `mass` is wanted
    start     counts of generation 0, [types] or [runs, types]; without it, it is drawn: n records

    Each generation draws a multinomial, exactly. Memory: a byte for each run, generation and type.
    ValueError for what is no distribution, share or probability.
    """
    weights = np.asarray(truth, np.float64)
    if weights.ndim not in (1, 2) or not weights.size:
        raise ValueError(f"weights of types are [types] or [runs, types], not {weights.shape}")
    weights = np.broadcast_to(weights, (runs, weights.shape[-1]))
    loops = corpora(
        weights,
        n,
        policy,
        share,
        Decoding(temperature, top_p),
        _passes(passes, weights),
        start,
        rng,
    )
    among = None if rare is None else np.asarray(rare, np.bool_)
    present = np.empty((runs, generations + 1, weights.shape[1]), np.bool_)
    mass = np.full((runs, generations + 1), np.nan)
    for t, counts in enumerate(islice(loops, generations + 1)):
        present[:, t] = counts > 0
        if among is not None:
            mass[:, t] = counts[:, among].sum(1) / counts.sum(1)
    return Loop(present, mass)


def corpora(
    truth: Floats,
    n: int,
    policy: Policy,
    share: float,
    decoding: Decoding,
    passes: Floats | None,
    start: npt.ArrayLike | None,
    rng: np.random.Generator,
) -> Iterator[Counts]:
    """The counts [runs, types] that a student of each generation learns, from 0 on, without end."""
    human = _known(policy, n, share, decoding)
    shares = _distribution(truth)
    first = rng.multinomial(n, shares) if start is None else _start(start, shares.shape)
    again = _part(first, human, rng) if policy == "same" else None
    corpus = first
    while True:
        yield corpus
        new = rng.multinomial(n - human, _distribution(_drawn_from(corpus, decoding, passes, rng)))
        if human:
            new += rng.multinomial(human, shares) if again is None else again
        corpus = new + (corpus if policy == "accumulate" else first if policy == "anchor" else 0)


def _known(policy: Policy, n: int, share: float, decoding: Decoding) -> int:
    """The number of human records among each generation's new ones."""
    if policy not in get_args(Policy):
        raise ValueError(f"no policy {policy!r}")
    if n < 1 or not 0 <= share <= 1:
        raise ValueError(f"a share of 0 to 1 of at least one record, not {share} of {n}")
    if (policy == "replace" and share) or (policy == "same" and not share):
        raise ValueError(f"{policy} with a human share of {share}")
    if not (isfinite(decoding.temperature) and decoding.temperature > 0 < decoding.top_p <= 1):
        raise ValueError(f"no decoding: {decoding}")
    return round(share * n)


def _drawn_from(
    corpus: Counts, decoding: Decoding, passes: Floats | None, rng: np.random.Generator
) -> Floats:
    """What the student's records that pass are drawn from, as weights."""
    weights = corpus / corpus.max(1, keepdims=True)
    if decoding.temperature != 1:
        weights **= 1 / decoding.temperature
    if decoding.top_p < 1:
        for line, counts in zip(weights, corpus, strict=True):
            # Types seen equally often stand in no order of their own: chance decides who is cut.
            order = np.argsort(-(counts + rng.random(counts.shape)))
            upto = np.cumsum(line[order])
            line[order[1:][upto[:-1] >= decoding.top_p * upto[-1]]] = 0
    if passes is not None:
        weights *= passes
    return np.asarray(weights, np.float64)


def _part(first: Counts, human: int, rng: np.random.Generator) -> Counts:
    if (first.sum(1) < human).any():
        raise ValueError(f"generation 0 has fewer than the {human} records to use again")
    return np.stack([rng.multivariate_hypergeometric(line, human) for line in first])


def _distribution(weights: Floats) -> Floats:
    """Weights as shares, each line's."""
    total = weights.sum(1, keepdims=True)
    if not bool((weights >= 0).all() and np.isfinite(total).all() and (total > 0).all()):
        raise ValueError("weights of types are numbers from 0 on, not all of them 0")
    shares: Floats = weights / total
    return shares


def _start(given: npt.ArrayLike, shape: tuple[int, ...]) -> Counts:
    counts = np.broadcast_to(np.asarray(given), shape)
    whole = counts.astype(np.int64)
    if not bool((whole == counts).all() and (whole >= 0).all() and whole.any(1).all()):
        raise ValueError("generation 0 is counts of types, not all of them 0")
    return whole


def _passes(given: npt.ArrayLike | None, truth: Floats) -> Floats | None:
    if given is None:
        return None
    passes = np.asarray(given, np.float64)
    if passes.shape != truth.shape[1:] or not bool(((passes >= 0) & (passes <= 1)).all()):
        raise ValueError("a checker passes each type with a probability of 0 to 1")
    return passes


def gaussian_loop(
    n: int,
    generations: int,
    mode: Literal["replace", "accumulate", "fresh", "same"],
    *,
    share: float = 0.0,
    unbiased: bool = False,
    chains: int = 4000,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """The fitted means and variances, each [generations + 1, chains], of `laws.gaussian`'s loop.

    "same" uses a share of generation 0 again. A batch is drawn by its sufficient statistics, a
    normal mean and a chi-square about it, so that no point has to be.
    """
    human = round(share * n)
    truth = (np.zeros(chains), np.ones(chains))
    # Human points that are used again are drawn apart from the rest of generation 0.
    kept = _batch(human, *truth, rng)
    pooled = _pool(kept, _batch(n - human, *truth, rng))
    means, variances = [], []
    for _ in range(generations + 1):
        points, mean, squares = pooled
        variance = squares / (points - unbiased)
        means.append(mean)
        variances.append(variance)
        if mode == "accumulate":
            pooled = _pool(pooled, _batch(n, mean, variance, rng))
        else:
            again = kept if mode == "same" else _batch(human, *truth, rng)
            pooled = _pool(again, _batch(n - human, mean, variance, rng))
    return np.stack(means), np.stack(variances)


Batch = tuple[int, Floats, Floats]  # points; their mean and sum of squares about it, by chain


def _batch(points: int, mean: Floats, variance: Floats, rng: np.random.Generator) -> Batch:
    if not points:
        return 0, np.zeros_like(mean), np.zeros_like(mean)
    middle = mean + np.sqrt(variance / points) * rng.standard_normal(len(mean))
    about = variance * rng.chisquare(points - 1, len(mean)) if points > 1 else np.zeros_like(mean)
    return points, middle, about


def _pool(a: Batch, b: Batch) -> Batch:
    points = a[0] + b[0]
    middle = (a[0] * a[1] + b[0] * b[1]) / points
    return points, middle, a[2] + b[2] + a[0] * b[0] / points * np.square(a[1] - b[1])
