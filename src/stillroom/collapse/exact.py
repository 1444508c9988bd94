"""Exact probabilities and bounds for counts, in NumPy alone."""

from math import lgamma
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def fewer(in_set: int, in_anchor: int, set_size: int, anchor_size: int) -> float:
    """The probability of so few or fewer in the set, were both sets drawn from the same source.

    Fisher's exact test, one-sided (hypergeometric: of `in_set + in_anchor` units with the type,
    how many fall into the set of `set_size` among all units).
    """
    together, whole = in_set + in_anchor, set_size + anchor_size
    low = max(0, together - anchor_size)
    if in_set >= min(together, set_size):
        return 1.0
    steps = np.arange(low, in_set + 1)
    log = (
        _choose(set_size, steps)
        + _choose(anchor_size, together - steps)
        - _choose(whole, np.array([together]))
    )
    return float(min(1.0, np.exp(np.logaddexp.reduce(log))))


def _choose(n: int, k: npt.NDArray[np.int64]) -> Floats:
    """Logarithms of binomial coefficients."""
    return np.array([lgamma(n + 1) - lgamma(one + 1) - lgamma(n - one + 1) for one in k.tolist()])


def holm(p: npt.ArrayLike) -> Floats:
    """p-values corrected for being many (Holm, Scandinavian Journal of Statistics 1979)."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return corrected


def normal_quantile(tail: float) -> float:
    """The normal quantile with this probability above it; ValueError outside 0 to 1."""
    return -NormalDist().inv_cdf(tail)
