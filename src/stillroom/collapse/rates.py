"""What counts of types in a sample say of the types' true rates. Only numpy."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillroom.collapse.laws import Floats
from stillroom.errors import UserError

KNOWN = 50
"""A type seen so often or more is taken at its count, which then is right to a seventh."""
STEPS = 300


@dataclass(frozen=True)
class Rates:
    """Mixtures of Poisson rates: the sample's own first, then those of its bootstrap samples.

    grid      [K] rates: expected counts in a sample of this size
    weights   [1 + resamples, K], of the types that are listed
    """

    grid: Floats
    weights: Floats

    def first(self) -> "Rates":
        """The sample's own mixture alone."""
        return Rates(self.grid, self.weights[:1])

    def posterior(self, seen: Floats) -> Floats:
        """[1 + resamples, counts, K]: how probable each rate is for a type seen so often."""
        odds: Floats = self.weights[:, None, :] * _likelihood(seen, self.grid)
        odds /= odds.sum(-1, keepdims=True)
        return odds


def rates(counts: Floats, resamples: int, rng: np.random.Generator) -> Rates:
    """The mixture of rates that makes these counts likeliest, and those of resampled types.

    The nonparametric empirical Bayes of Robbins (Third Berkeley Symposium, 1956), who shows that
    of types seen c times the mean rate is (c + 1) N_{c+1} / N_c: for c = 1 far from 1 where many
    types were never seen (Good, Biometrika 1953). A mixture on a grid (Laird, JASA 1978), fitted
    by some steps of EM from a flat start, which smooths it, gives the whole posterior. Where no
    count is 0 the unseen types aren't listed: each rate's likelihood is that of being seen at all.
    """
    seen, types = np.unique(counts[counts <= KNOWN], return_counts=True)
    listed = bool((counts == 0).any())
    # How much rarer than 0.1 a type is that was seen says nothing that matters, and would blur.
    grid = np.geomspace(0.01 if listed else 0.1, 2 * KNOWN, 64)
    if not len(seen):
        return Rates(grid, np.full((1 + resamples, len(grid)), 1 / len(grid)))
    total = int(types.sum())
    samples = np.vstack((types, rng.multinomial(total, types / total, size=resamples))) / total
    likelihood = _likelihood(seen, grid)
    hidden = np.ones_like(grid) if listed else -np.expm1(-grid)
    likelihood /= hidden
    weights = np.full((1 + resamples, len(grid)), 1 / len(grid))
    for _ in range(STEPS):
        weights *= (samples / (weights @ likelihood.T)) @ likelihood
    weights /= hidden
    return Rates(grid, weights / weights.sum(1, keepdims=True))


def _likelihood(seen: Floats, grid: Floats) -> Floats:
    """[counts, K] probabilities, each column up to a factor of its own kind: e^-rate rate^c / c!"""
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, KNOWN + 1)))))
    logs = seen[:, None] * np.log(grid) - grid - factorials[seen.astype(np.intp)][:, None]
    found: Floats = np.exp(logs)
    return found


def checked(counts: npt.ArrayLike) -> Floats:
    """Counts of types as given by a user. UserError unless they are counts and there are some."""
    try:
        given = np.asarray(counts, np.float64)
    except (TypeError, ValueError):
        given = np.array(np.nan)
    if given.ndim != 1 or not bool(np.isfinite(given).all() and (given >= 0).all()):
        wrong = given[~(given >= 0)][:1].tolist() if given.ndim else []
        raise UserError(
            "counts of types are a list of whole numbers from 0 on",
            f"there is {wrong[0]} among them" if wrong else "counts",
            "count how often each type is in the sample",
        )
    if bool((given != np.floor(given)).any()):
        raise UserError(
            "counts of types are whole numbers",
            f"there is {given[given != np.floor(given)][0]:g} among them",
            "give counts, not shares or weighted sums",
        )
    if not given.sum():
        raise UserError("no type was seen", "counts", "give a sample that is not empty")
    return given
