"""Laws of loops in which a model learns from what a model made. Only numpy.

Generation 0 is human. A student learns each generation and draws the next one. The laws are for a
student that copies the shares it saw, neither sharper nor flatter, and draws its records one by
one; `assumptions.applies` tests whether a real one does.
"""

from collections.abc import Sequence
from math import exp, isfinite, log, nan, sqrt
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Generations = int | Sequence[int] | npt.NDArray[np.integer]
Mode = Literal["replace", "accumulate", "fresh"]


def survival(expected: npt.ArrayLike, generations: Generations, fresh: float = 0.0) -> Floats:
    """The probability that a type is in the corpus of a generation, which replaced all before it.

    expected      count L that a type's true share gives it in a corpus; any shape, L >= 0
    generations   t >= 0; broadcasts against `expected`; 0 is the first human sample: 1 - exp(-L)
    fresh         share a of each later corpus that is newly drawn from the truth, 0 to 1

    Of a type seen X times the next corpus holds a Poisson number of mean (1 - a) X + a L: a
    branching process with immigration (Galton and Watson, 1875; Athreya and Ney, "Branching
    Processes", 1972, chapter VI). Its generating function at 0, unrolled backwards, is
    exp(-L (s_t + a (s_0 + ... + s_{t-1}))) with s_0 = 1, s_{t+1} = 1 - exp(-(1 - a) s_t); without
    fresh data s_t is about 2 / (t + 2). It assumes corpora of one size, types that are a small
    share each, and records that are drawn one by one. ValueError for what is no count, no whole
    generation or no share.
    """
    rate, t = _counts(expected), _generations(generations)
    kept, drawn = decline(int(t.max(initial=0)), fresh)
    found: Floats = -np.expm1(-rate * (kept + fresh * drawn)[t])
    return found


def survival_of_seen(
    seen: npt.ArrayLike,
    rate: npt.ArrayLike,
    generations: Generations,
    fresh: float = 0.0,
    size: float = 1.0,
) -> Floats:
    """As `survival`, of a type whose count in generation 0 is known.

    seen     times it was seen in generation 0; rate: the count it should have had there, L, which
             fresh data goes by. Both broadcast against `generations`
    size     records of a later corpus, over those of generation 0

    From generation 1 on it is 1 - exp(-size ((1 - a) seen s_{t-1} + a L (s_0 + ... + s_{t-1}))).
    """
    count, true, t = _counts(seen), _counts(rate), _generations(generations)
    if not (isfinite(size) and size > 0):
        raise ValueError(f"a corpus' size over the first one's is above 0, not {size}")
    kept, drawn = worth(int(t.max(initial=0)), fresh, size)
    left = count * kept[t] + fresh * true * drawn[t]
    found: Floats = np.where(t == 0, np.asarray(count > 0, np.float64), -np.expm1(-left))
    return found


def worth(top: int, fresh: float, size: float) -> tuple[Floats, Floats]:
    """What a record of generation 0 and a fresh one are worth: exponents, generation 0..top."""
    kept, drawn = decline(top, fresh)
    first = np.concatenate(([1.0], (1 - fresh) * kept[:-1]))
    return size * first, size * drawn


def decline(top: int, fresh: float) -> tuple[Floats, Floats]:
    """s_t for t = 0..top, and the sum of those before each."""
    if not 0 <= fresh <= 1:
        raise ValueError(f"a fresh share is from 0 to 1, not {fresh}")
    kept = np.ones(top + 1)
    for t in range(top):
        kept[t + 1] = -np.expm1(-(1 - fresh) * kept[t])
    return kept, np.concatenate(([0.0], np.cumsum(kept[:-1])))


def fresh_needed(expected: float, wanted: float, generations: int) -> float:
    """The least fresh share with which types of this expected count or more survive so probably.

    `wanted` is a probability. nan where no share does, as all of a human corpus misses too many:
    1 - exp(-expected) < wanted.
    """
    if not 0 <= wanted <= 1:
        raise ValueError(f"a probability is from 0 to 1, not {wanted}")
    if survival(expected, generations, 1.0) < wanted:
        return nan
    low, high = 0.0, 1.0
    if survival(expected, generations) >= wanted:
        return low
    for _ in range(40):
        middle = (low + high) / 2
        enough = bool(survival(expected, generations, middle) >= wanted)
        low, high = (low, middle) if enough else (middle, high)
    return high


class Drift(NamedTuple):
    """Of a Gaussian fitted to each generation, by generation; the truth has variance 1.

    error             mean square of the fitted mean's error, times n
    mean_variance     the fitted variance's expectation
    median_variance   its median: what a single loop sees
    """

    error: Floats
    mean_variance: Floats
    median_variance: Floats


def gaussian(
    n: int, generations: Generations, mode: Mode, share: float = 0.0, unbiased: bool = False
) -> Drift:
    """How a Gaussian drifts that is fitted, sampled `n` times, and fitted to that again.

    `mode`: each corpus replaces the last ("replace"), is added to all before ("accumulate"), or
    has a fresh human `share` ("fresh"; the fit is to human and synthetic together). `unbiased`
    divides by n - 1, as opposed to n. Errors and expectations are exact recursions of the first
    two moments; "replace" tends to n MSE = t + 1, "accumulate" to pi^2 / 6 (Gerstgrasser et al.,
    arXiv:2404.01413), "fresh" to 1 / (share (2 - share)). The median is that of a log-normal; for
    "replace", where the variance is a product of chi-squares, with the digamma function's mean of
    their logarithms. ValueError for n < 2, or a share that the mode doesn't take.
    """
    t = _generations(generations)
    if n < 2:
        raise ValueError(f"a variance needs two points at least, not {n}")
    if mode not in ("replace", "accumulate", "fresh"):
        raise ValueError(f"no law for {mode!r}")
    if not (0 < share <= 1 if mode == "fresh" else share == 0):
        raise ValueError(f"{mode} with a fresh share of {share}")
    top = int(t.max(initial=0))
    steps = _accumulate if mode == "accumulate" else _fresh
    error, variance, spread = steps(n, top, share, unbiased)
    median = variance * np.exp(-spread / 2)
    if mode == "replace":
        # Cornish and Fisher: the sum's skewness moves its median by a third of 1 / (n - 1).
        each = _digamma((n - 1) / 2) - log((n if not unbiased else n - 1) / 2)
        median = np.exp(np.arange(1, top + 2) * each + 1 / (3 * (n - 1)))
    return Drift(n * error[t], variance[t], median[t])


Moments = tuple[Floats, Floats, Floats]  # of the mean: error; of the variance: mean, log's spread


def _fresh(n: int, top: int, share: float, unbiased: bool) -> Moments:
    """Replaced, with a share (or none) of fresh points among the n."""
    grow = n / (n - 1) if unbiased else 1.0
    error, spread = np.full(top + 1, 1 / n), np.full(top + 1, 2 / n)
    variance = np.full(top + 1, grow * (1 - 1 / n))
    own = 1 - share
    for t in range(1, top + 1):
        error[t] = (share + own * variance[t - 1]) / n + own**2 * error[t - 1]
        about_truth = share + own * (variance[t - 1] + error[t - 1])
        variance[t] = grow * (about_truth - error[t])
        spread[t] = 2 / n + own**2 * spread[t - 1]
    return error, variance, spread


def _accumulate(n: int, top: int, _: float, unbiased: bool) -> Moments:
    error, spread = np.full(top + 1, 1 / n), np.full(top + 1, 2 / n)
    variance = np.full(top + 1, 1.0 if unbiased else 1 - 1 / n)
    for t in range(1, top + 1):
        part = 1 / (t + 1)  # of the pooled points that are new
        pooled = n * (t + 1) - unbiased
        error[t] = error[t - 1] + part**2 * variance[t - 1] / n
        variance[t] = variance[t - 1] * (1 - part / pooled)
        spread[t] = spread[t - 1] + part**2 * 2 / n
    return error, variance, spread


def _digamma(x: float) -> float:
    """Abramowitz and Stegun 6.3.18, moved up to where its series is good to 1e-12."""
    back = 0.0
    while x < 12:
        back, x = back + 1 / x, x + 1
    square = 1 / (x * x)
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    return log(x) - 1 / (2 * x) - series - back


def advised_weight(real: float, synthetic: float) -> float:
    """The loss weight of all fresh real data, in [0, 1], that leaves an estimate least variance.

    `real` fresh and `synthetic` points each generation, k their ratio: (sqrt(k^2 + 4k) - k) / 2,
    0.618 at k = 1 (He et al., arXiv:2502.18049: the golden ratio's reciprocal). Advice under an
    assumption, no guarantee: the synthetic points must be unbiased, those of a correctly specified
    model whose only error is that of sampling. Where they are biased no fixed weight below 1 is
    safe. ValueError unless both are finite, not negative and not both 0.
    """
    if not (
        isfinite(real) and isfinite(synthetic) and min(real, synthetic) >= 0 < real + synthetic
    ):
        raise ValueError(f"no weight for {real} real and {synthetic} synthetic points")
    return 2 / (1 + sqrt(1 + 4 * synthetic / real)) if real else 0.0


def furthest(ratio: float) -> float:
    """How far 1 - exp(-x) and 1 - exp(-x / ratio) are apart at most, over all x."""
    if ratio == 1:
        return 0.0
    return abs(exp(-log(ratio) / (ratio - 1)) * (1 - 1 / ratio))


def _counts(given: npt.ArrayLike) -> Floats:
    counts = np.asarray(given, np.float64)
    if not bool((counts >= 0).all()):  # not a number isn't, either
        raise ValueError("expected counts are numbers from 0 on")
    return counts


def _generations(given: Generations) -> npt.NDArray[np.intp]:
    t = np.asarray(given)
    if not np.issubdtype(t.dtype, np.integer) or bool((t < 0).any()):
        raise ValueError(f"generations are whole numbers from 0 on, not {given}")
    return t.astype(np.intp)
