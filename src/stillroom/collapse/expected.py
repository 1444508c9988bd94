"""The shares of types that a forecast expects to survive, by law or by simulated loops."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from stillroom.collapse.laws import Floats, decline, worth
from stillroom.collapse.rates import KNOWN, Rates
from stillroom.collapse.simulate import Bools, Decoding, simulate
from stillroom.measures import student_t

Shares = Callable[[Bools], tuple[Floats, Floats, Floats]]
"""Of which types -> what share of them is expected in each generation, its band's low and high."""
MEMORY = 2e8
"""Bytes that simulated loops may take: fewer are run of what is larger."""
RUNS = (4, 20)
UNSEEN = 10
"""Unseen types that are simulated, for each one that was seen, at most."""


@dataclass(frozen=True)
class Setting:
    """A loop: `ratio` is a later corpus' size over the sample's; `anew`: see `predict.forecast`."""

    generations: int
    fresh: float
    ratio: float
    anew: bool


def present(seen: Floats, mixture: Rates, setting: Setting) -> Floats:
    """[1 + resamples, counts, generations + 1]: the law, for types that were seen so often.

    The rate is unknown: its part of the law is averaged over the posterior given the count.
    """
    top, fresh = setting.generations, setting.fresh
    if setting.anew:
        kept, drawn = decline(top, fresh)
        own, rate = np.zeros(top + 1), setting.ratio * (kept + fresh * drawn)
    else:
        own, drawn = worth(top, fresh, setting.ratio)
        rate = fresh * drawn
    rare = seen <= KNOWN
    absent = np.empty((len(mixture.weights), len(seen), top + 1))
    absent[:, rare] = mixture.posterior(seen[rare]) @ np.exp(-np.outer(mixture.grid, rate))
    absent[:, ~rare] = np.exp(-np.outer(seen[~rare], rate))
    absent *= np.exp(-np.outer(seen, own))
    if not setting.anew:
        absent[:, :, 0] = seen[:, None].T == 0
    return 1 - absent


def by_law(counts: Floats, mixture: Rates, setting: Setting, rng: np.random.Generator) -> Shares:
    """By the law; the band is of resampled mixtures and of each type's own luck."""
    # Counts that differ by less than a twentieth have one fate.
    coarse = np.exp(np.round(np.log(np.maximum(counts, 1)) * 20) / 20)
    classes, place = np.unique(np.where(counts <= KNOWN, counts, coarse), return_inverse=True)
    chance = present(classes, mixture, setting)
    seed = int(rng.integers(2**63))  # the same types get the same band whenever they are asked for

    def shares(among: Bools) -> tuple[Floats, Floats, Floats]:
        types = np.bincount(place[among], minlength=len(classes))
        draws = np.random.default_rng(seed)
        alive = draws.binomial(types[:, None], np.clip(chance[1:], 0, 1)).sum(1) / types.sum()
        low, high = np.quantile(alive, (0.025, 0.975), axis=0)
        return np.tensordot(types / types.sum(), chance[0], 1), low, high

    return shares


def by_simulation(
    counts: Floats,
    mixture: Rates,
    setting: Setting,
    decoding: Decoding,
    passes: Floats | None,
    rng: np.random.Generator,
) -> Shares:
    """By loops, each with true rates of its own from the posterior; the band is of a new loop.

    Where unseen types aren't listed they take the share that Good (Biometrika 1953) gives them,
    in equal parts, and are as many as Chao's estimate (Scandinavian Journal of Statistics 1984).
    """
    rate, unseen = _unseen(counts)
    kinds = len(counts) + unseen
    least, most = RUNS
    runs = int(np.clip(MEMORY / (kinds * (setting.generations + 1)), least, most))
    truth = np.full((runs, kinds), rate)
    truth[:, : len(counts)] = _drawn(counts, mixture, runs, rng)
    if passes is not None:
        rarest = counts == counts[counts > 0].min()
        passes = np.append(passes, np.full(unseen, passes[rarest].mean()))
    loop = simulate(
        truth,
        max(1, round(setting.ratio * counts.sum())),
        setting.generations,
        "fresh" if setting.fresh else "replace",
        share=setting.fresh,
        temperature=decoding.temperature,
        top_p=decoding.top_p,
        passes=passes,
        runs=runs,
        start=None if setting.anew else np.append(counts, np.zeros(unseen)),
        rng=rng,
    )

    def shares(among: Bools) -> tuple[Floats, Floats, Floats]:
        each = loop.present[:, :, : len(counts)][:, :, among].mean(2)
        half = student_t(runs - 1) * sqrt(1 + 1 / runs) * each.std(0, ddof=1)
        mean = each.mean(0)
        return mean, np.maximum(mean - half, 0), np.minimum(mean + half, 1)

    return shares


def _unseen(counts: Floats) -> tuple[float, int]:
    """The rate of each unseen type, and how many there are; none beside types listed as 0."""
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    if not once or bool((counts == 0).any()):
        return 0.0, 0
    chao = once * once / (2 * twice) if twice else once * (once - 1) / 2
    types = int(np.clip(round(chao), 1, UNSEEN * len(counts)))
    return once / types, types


def _drawn(
    counts: Floats, mixture: Rates, runs: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """[runs, types] true rates from the posterior given the counts."""
    found = np.tile(counts, (runs, 1))
    for count in np.unique(counts[counts <= KNOWN]):
        alike = counts == count
        odds = mixture.first().posterior(np.array([count]))[0, 0]
        found[:, alike] = rng.choice(mixture.grid, size=(runs, int(alike.sum())), p=odds)
    return found
