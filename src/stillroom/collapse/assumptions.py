"""Does the law of survival apply to these data, and to this student? Only numpy.

The yardstick of every threshold is the law's error in points of survival. Predictions are to hold
within 10 points: 7 for what the law leaves out (TOLERANCE) and 7 for chance, independent of each
other, are 10 together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
import numpy.typing as npt

from stillroom.collapse.laws import Floats, furthest
from stillroom.collapse.rates import checked
from stillroom.errors import UserError

TOLERANCE = 0.07
RARE = 3
"""Types seen so often or less are those whose copies decide: what is seen 10 times hardly dies."""
FEWEST = 30
"""Rare types without which nothing is said: the share of 30 that survive has a standard error of
9 points at worst; 100 are needed for predictions that 95 % of loops keep to 10 points."""
STATES = 61
"""Counts 0 to 60: a type that is seen 60 times does not come back from there in time to matter."""
STARTS = range(1, 11)
TIMES = {1: "once", 2: "twice", 3: "3 times"}


@dataclass(frozen=True)
class Applies:
    """Whether the law applies, why not, and what could not be tested for want of data."""

    yes: bool
    reasons: tuple[str, ...]
    untested: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.yes

    def words(self) -> str:
        """A sentence for a person."""
        not_tested = f" Not tested: {'; '.join(self.untested)}." if self.untested else ""
        if self.yes:
            return f"The law applies here, as far as was tested.{not_tested}"
        return f"The law does not apply here: {'; '.join(self.reasons)}.{not_tested}"


def applies(
    counts: npt.ArrayLike,
    probabilities: npt.ArrayLike | None = None,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    passes: npt.ArrayLike | None = None,
    halves: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    generations: int = 5,
) -> Applies:
    """Test the assumptions of `laws.survival` before a generation is paid for.

    counts          times each type is in what a generation-0 student learnt; include types that
                    are known and were not seen, as 0
    probabilities   of each type under that student: exact ones, or of a sample so large that its
                    noise is small beside a count's
    passes          probability that a checker passes each type
    halves          counts of the types in two halves of the sample, split at random by *document*
    generations     so many must the law be right for; it was checked on real students over 5

    The student's own first step is run on as a chain of counts: types seen c times go on as those
    seen c times did, with their mean and their spread. The law does not apply where the chain's
    survival leaves the law's by over 7 points for any count of 1 to 10 in any generation; a
    checker's pass rates are put to the same test. It does not apply where decoding isn't neutral,
    nor where rare types come in clusters of over 1.2 records (variance between the halves over
    that of single draws): a cluster lives and dies as one record does, and at 1.2 the worst count
    is 7 points off. Nor is anything said of fewer than 30 types seen 1 to 3 times. UserError for
    counts, probabilities, pass rates or halves that are none.
    """
    seen = checked(counts)
    reasons, untested = [], []
    few = int(((seen >= 1) & (seen <= RARE)).sum())
    if few < FEWEST:
        reasons.append(
            f"only {few} types are seen 1 to {RARE} times, too few to say anything ({FEWEST} are "
            "needed)"
        )
    if temperature != 1 or top_p != 1:
        reasons.append(
            f"decoding is not neutral (temperature {temperature:g}, top-p {top_p:g}): only a "
            "simulation tells"
        )
    if probabilities is None:
        untested.append("whether a student copies the counts it learnt")
    else:
        given = np.asarray(probabilities, np.float64)
        _distribution(given, len(seen))
        reasons += _copied(seen, seen.sum() * given, generations) if few >= FEWEST else []
    if passes is not None:
        through = seen * pass_rates(passes, seen)
        reasons += _checked_alike(seen, through, generations) if few >= FEWEST else []
    clusters = None if halves is None else _clustered(*halves)
    if clusters is None:
        untested.append("whether documents repeat their types")
    else:
        reasons += clusters
    return Applies(not reasons, tuple(reasons), tuple(untested))


def pass_rates(passes: npt.ArrayLike, seen: Floats) -> Floats:
    """A checker's pass rate of each type. UserError unless it is one, and passes something seen."""
    rates = np.asarray(passes, np.float64)
    if rates.shape != seen.shape or not bool(((rates >= 0) & (rates <= 1)).all()):
        raise UserError(
            "a checker passes each type with a probability of 0 to 1",
            f"shape {rates.shape} for {len(seen)} types",
            "give one pass rate for each type",
        )
    if not (seen * rates).any():
        raise UserError("a checker that passes nothing leaves no corpus", "passes", "mend it first")
    return rates


def _distribution(given: Floats, types: int) -> None:
    good = given.shape == (types,) and bool((given >= 0).all()) and 0 < given.sum() < 1.001
    if not good:
        raise UserError(
            "a student's probabilities are one for each type, from 0 on, of 1 at most together",
            f"shape {given.shape}, sum {given.sum():g}, for {types} types",
            "give them in the order of the counts; what is no type of these is left out",
        )


def _copied(seen: Floats, expected: Floats, generations: int) -> list[str]:
    """Why the chain of what the student gives leaves the law, if it does."""
    law, chain = _run(None, None, generations), _run(seen, expected, generations)
    apart = np.abs(chain - law)
    if apart.max() <= TOLERANCE:
        return []
    t, start = np.unravel_index(int(apart.argmax()), apart.shape)
    times = TIMES.get(STARTS[start], f"{STARTS[start]} times")
    return [
        *_what_differs(seen, expected),
        f"types seen {times} would survive {t} generation{'s' * bool(t > 1)} with probability "
        f"{chain[t, start]:.2f}, not {law[t, start]:.2f}",
    ]


def _what_differs(seen: Floats, expected: Floats) -> Iterator[str]:
    for count in range(1, RARE + 1):
        ratios = expected[seen == count] / count
        if not len(ratios):
            continue
        mean, logs = float(ratios.mean()), np.log(ratios[ratios > 0])
        factor = exp(float(logs.std(ddof=1))) if len(logs) > 1 else 1.0
        if abs(mean - 1) > 0.03 or factor > 1.2:
            what = f"only {mean:.2f} of" if mean < 1 else f"{mean:.2f} times"
            spread = f" (give or take a factor of {factor:.1f})" if factor > 1.2 else ""
            yield f"the student gives types seen {TIMES[count]} {what} their count{spread}"
    unseen = expected[seen == 0]
    if len(unseen) and unseen.mean() > 0.1:
        yield f"the student gives types never seen {unseen.mean():.2f} records each"


def _run(seen: Floats | None, expected: Floats | None, generations: int) -> Floats:
    """Presence [generations + 1, starts] of a chain of counts; without a student, the law's."""
    step = np.empty((STATES, STATES))
    for state in range(STATES):
        step[state] = _poisson(_means(state, seen, expected))
    present = np.ones(STATES)
    present[0] = 0
    rows = [present]
    for _ in range(generations):
        rows.append(step @ rows[-1])
    return np.stack(rows)[:, list(STARTS)]


def _means(state: int, seen: Floats | None, expected: Floats | None) -> Floats:
    """Expected records next, of types like those that were seen so often."""
    if seen is None or expected is None:
        return np.array([float(state)])
    if state == 0:
        unseen = expected[seen == 0]
        return _some(unseen) if len(unseen) else np.zeros(1)
    low, high = state, state
    like = seen == state
    while like.sum() < 10 and (low > 1 or high < seen.max()):
        low, high = max(1, low * 3 // 4), high * 4 // 3 + 1
        like = (seen >= low) & (seen <= high)
    return state * _some(expected[like] / seen[like])


def _some(values: Floats, most: int = 50) -> Floats:
    """The values, or quantiles that stand for them, of the same mean."""
    if len(values) <= most:
        return values
    return np.array([part.mean() for part in np.array_split(np.sort(values), most)])


def _poisson(means: Floats) -> Floats:
    """Probabilities of 0..STATES - 1 records, the last with all above; averaged over the means."""
    with np.errstate(divide="ignore"):
        logs = np.log(means)[:, None]
    counts = np.arange(1, STATES)
    terms = np.cumsum(logs - np.log(counts), axis=1) - means[:, None]
    found = np.exp(np.concatenate((-means[:, None], terms), axis=1)).mean(0)
    found[-1] = max(0.0, 1 - found[:-1].sum())
    return np.asarray(found, np.float64)


def _checked_alike(seen: Floats, through: Floats, generations: int) -> list[str]:
    """As `_copied`, of a student that copies its counts and is checked."""
    expected = through * (seen.sum() / through.sum())
    rare = (seen >= 1) & (seen <= RARE)
    ratio = expected[rare].sum() / seen[rare].sum()
    found = _copied(seen, expected, generations)
    return found and [
        f"the checker passes types seen 1 to {RARE} times {ratio:.2f} as often as all records",
        found[-1],
    ]


def _clustered(first: npt.ArrayLike, second: npt.ArrayLike) -> list[str] | None:
    """Whether the halves differ by more than single draws do; None: too few types to tell."""
    one, other = checked(first), checked(second)
    if one.shape != other.shape or not one.sum() * other.sum():
        raise UserError("the halves of a sample count the same types, some in each half", "halves")
    both, share = one + other, one.sum() / (one.sum() + other.sum())
    # A type seen once falls into one half or the other, clustered or not.
    told = (both >= 2) & (both <= 10)
    if told.sum() < FEWEST:
        return None
    of = both[told]
    each = np.square(one[told] - of * share) / (of * share * (1 - share))
    size, error = float(each.mean()), float(each.std(ddof=1)) / sqrt(len(each))
    if furthest(max(size, 1.0)) <= TOLERANCE or size - 1.645 * error <= 1:
        return []
    return [f"documents repeat their types: records of a rare type come in clusters of {size:.1f}"]
