"""Shares, their differences and their intervals: what a student is judged by. Only numpy.

Intervals are of 95 %. Questions and seeds are a sample of those that could have been asked or
drawn; each function says which of the two its interval speaks of.
"""

from collections.abc import Sequence
from math import atan, exp, lgamma, log, nan, pi, sqrt, tan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Z = 1.959964
"""The normal quantile of 95 %, both sides."""
RESAMPLES = 10_000

Interval = tuple[float, float]
Floats = npt.NDArray[np.float64]


def wilson(kept: int, tried: int, z: float = Z) -> Interval:
    """The score interval of a share (Wilson, JASA 1927); z = 1.96 is 95 %. Nothing tried: 0 to 1.

    Unlike the textbook's interval it stays within 0 and 1 and is honest for small numbers.
    """
    if not tried:
        return 0.0, 1.0
    share, grain = kept / tried, z * z / tried
    middle = (share + grain / 2) / (1 + grain)
    half = z / (1 + grain) * sqrt(share * (1 - share) / tried + grain / (4 * tried))
    # At its ends the interval is 0 or 1 exactly, which rounding would miss.
    return middle - half if kept else 0.0, middle + half if kept < tried else 1.0


class Paired(NamedTuple):
    """Two shares over the same questions: their difference, its interval, and McNemar's exact p."""

    difference: float
    interval: Interval
    p: float


def paired(a: Sequence[bool], b: Sequence[bool]) -> Paired:
    """The share of `a` less that of `b`, question by question, with an interval over questions.

    Newcombe's method 10 (Statistics in Medicine 17, 1998, p. 2635): Wilson's intervals of both
    shares, squared and added with the correlation of the pairs. p is McNemar's (Psychometrika
    1947), exact: that of a fair coin for the questions where only one is right. ValueError unless
    both are of one length, of one question at least.
    """
    first, second = np.asarray(a, bool), np.asarray(b, bool)
    n = len(first)
    if not n or first.shape != second.shape:
        raise ValueError(f"pairs are of the same questions, not {n} and {len(second)}")
    both, only_a = int((first & second).sum()), int((first & ~second).sum())
    only_b, neither = int((second & ~first).sum()), int((~first & ~second).sum())
    share_a, share_b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson(both + only_a, n), wilson(both + only_b, n)
    phi = _phi(both, only_a, only_b, neither)
    down = _together(share_a - low_a, high_b - share_b, phi)
    up = _together(high_a - share_a, share_b - low_b, phi)
    difference = (only_a - only_b) / n
    return Paired(difference, (difference - down, difference + up), _coin(only_a, only_b))


def _phi(both: int, only_a: int, only_b: int, neither: int) -> float:
    """The pairs' correlation, drawn towards none as Newcombe's method 10 wants it."""
    rows, columns = (both + only_a) * (only_b + neither), (both + only_b) * (only_a + neither)
    if not rows * columns:
        return 0.0
    excess = float(both * neither - only_a * only_b)
    if excess > 0:
        excess = max(excess - (both + only_a + only_b + neither) / 2, 0.0)
    return excess / sqrt(rows * columns)


def _together(one: float, other: float, phi: float) -> float:
    return sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))


def _coin(one: int, other: int) -> float:
    """Twice the probability that a fair coin falls as unevenly as `one` to `other`, at most 1."""
    tosses, less = one + other, min(one, other)
    steps = np.arange(1, less + 1)
    ways = np.cumsum(np.log((tosses - steps + 1) / steps))  # of 1 to `less` heads, as logarithms
    total = np.logaddexp.reduce(np.append(ways, 0.0))
    return min(1.0, 2 * exp(float(total) - tosses * log(2)))


class OverSeeds(NamedTuple):
    """A mean over seeds and questions, and how sure it is.

    interval    new seeds and new questions: the one to quote
    seeds       new seeds, these very questions: t over the seeds' means, df = seeds - 1
    questions   these very seeds, new questions: a bootstrap
    """

    mean: float
    interval: Interval
    seeds: Interval
    questions: Interval


def seeds_mean(
    differences: Sequence[npt.ArrayLike] | npt.NDArray[np.generic],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> OverSeeds:
    """The mean of a difference over seeds (rows) and the same questions (columns).

    `interval` treats both as random and crossed: the variance of the mean is (S + Q - E) / n of
    the mean squares of seeds, questions and rest, never less than S / n or Q / n, with the degrees
    of freedom of Satterthwaite (Biometrics Bulletin 1946). In simulations of 300 questions it
    covers 93 to 97 % from three seeds on, 85 % at worst with two; each of the other two intervals
    covers far less where it's the other thing that varies. ValueError for fewer than two seeds or
    questions: one seed is for `paired`.
    """
    table = np.asarray(differences, np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        raise ValueError(f"two seeds and two questions at least, each seed has all: {table.shape}")
    seeds, questions = table.shape
    mean, by_seed, by_question = float(table.mean()), table.mean(axis=1), table.mean(axis=0)
    rest = table - by_seed[:, None] - by_question[None, :] + mean
    free = np.array([seeds - 1, questions - 1, (seeds - 1) * (questions - 1)], np.float64)
    squares = np.array([
        questions * np.square(by_seed - mean).sum(),
        seeds * np.square(by_question - mean).sum(),
        np.square(rest).sum(),
    ])  # fmt: skip
    s, q, e = (squares / free).tolist()
    error = sqrt(float(by_seed.var(ddof=1)) / seeds)
    half = student_t(seeds - 1) * error
    return OverSeeds(
        mean,
        _crossed(mean, (s, q, e), free, table.size),
        (mean - half, mean + half),
        bootstrap(by_question, rng, resamples),
    )


def _crossed(mean: float, parts: tuple[float, float, float], free: Floats, n: int) -> Interval:
    s, q, e = parts
    both = s + q - e
    if both > max(s, q):
        df = both**2 / float((np.square(parts) / free).sum())
    else:  # one of the two has no variance of its own to be seen: the other one is all
        both, df = (s, float(free[0])) if s >= q else (q, float(free[1]))
    half = student_t(df) * sqrt(both / n)
    return mean - half, mean + half


def student_t(df: float, level: float = 0.95) -> float:
    """The quantile of Student's t that `level` lies within, both sides; `df` > 0, any real.

    With t = sqrt(df) tan(angle) its density is a power of the cosine, which is integrated.
    """
    scale = 2 * exp(lgamma((df + 1) / 2) - lgamma(df / 2)) / sqrt(pi)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    # Beyond some forty standard deviations nothing is left, and the nodes should not go there.
    low, high = 0.0, min(pi / 2, atan(40 / sqrt(df))) if df > 4 else pi / 2
    for _ in range(60):
        angle = (low + high) / 2
        inside = scale * angle / 2 * (weights * np.cos(angle * (nodes + 1) / 2) ** (df - 1)).sum()
        low, high = (angle, high) if inside < level else (low, angle)
    return sqrt(df) * tan(low)


def bootstrap(
    values: npt.ArrayLike, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Interval:
    """The percentile interval of a mean (Efron and Tibshirani 1993, chapter 13).

    No width where all values are equal: for a share near 0 or 1 take `wilson`.
    """
    # How often each distinct value is drawn is all that matters: a few counts for each resample.
    distinct, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    total = counts.sum()
    lines = max(1, 4_000_000 // len(distinct))
    means = [
        rng.multinomial(total, counts / total, size=min(lines, resamples - done)) @ distinct / total
        for done in range(0, resamples, lines)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def pass_at_k(n: int, c: int, k: int) -> float:
    """The probability that one of `k` answers is right, where `c` of `n` were: unbiased.

    1 - C(n - c, k) / C(n, k) (Chen et al., "Evaluating Large Language Models Trained on Code",
    2021). ValueError unless 0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"no pass@{k} from {c} right ones of {n} answers")
    return 1.0 - float(np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


class Mean(NamedTuple):
    value: float
    interval: Interval


def mean_pass_at_k(
    counts: Sequence[tuple[int, int]],
    k: int,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Mean:
    """pass@k over questions, of each (n answers, c of them right), with a bootstrap over questions.

    nan, and nan to nan, for no question.
    """
    if not counts:
        return Mean(nan, (nan, nan))
    each = [pass_at_k(n, c, k) for n, c in counts]
    return Mean(float(np.mean(each)), bootstrap(each, rng, resamples))


def calibration_error(confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = 15) -> float:
    """The expected calibration error: |confidence - share right|, averaged over answers, in [0, 1].

    Bins of equal width, open below and closed above, as in Guo et al., "On Calibration of Modern
    Neural Networks" (ICML 2017). nan for no answer; ValueError for a confidence outside [0, 1].
    """
    sure, hit = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if sure.shape != hit.shape or not bool(((sure >= 0) & (sure <= 1)).all()):
        raise ValueError("a confidence in [0, 1] for each answer is needed")
    if not sure.size:
        return nan
    place = np.clip(np.ceil(sure * bins).astype(np.intp) - 1, 0, bins - 1)
    gaps = np.bincount(place, sure - hit, bins)  # a bin's mean gap times its number of answers
    return float(np.abs(gaps).sum() / sure.size)


def chance_corrected(share: float, chance: float) -> float:
    """How far from guessing (0) to all right (1) a share is; below 0: worse than guessing."""
    return (share - chance) / (1 - chance)


def kept(student: float, teacher: float, chance: float) -> float:
    """What of its teacher's lead over guessing a student keeps; nan where the teacher has none."""
    return (student - chance) / (teacher - chance) if teacher > chance else nan
