"""What a loop will lose, told from a human sample before a token is paid for. Only numpy.

Words and numbers are of types: whatever a sample has many kinds of (n-grams, openings, levels of
tags and their intersections). The laws are in laws.py, what they assume in assumptions.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stillroom.collapse.assumptions import Applies, applies, pass_rates
from stillroom.collapse.expected import Setting, Shares, by_law, by_simulation, present
from stillroom.collapse.laws import (
    Floats,
    advised_weight,
    fresh_needed,
    gaussian,
    survival,
    survival_of_seen,
)
from stillroom.collapse.rates import Rates, checked, rates
from stillroom.collapse.simulate import Bools, Decoding
from stillroom.errors import UserError

__all__ = [
    "Applies", "Curve", "Forecast", "advised_weight", "applies", "forecast", "fresh_needed",
    "gaussian", "survival", "survival_of_seen",
]  # fmt: skip

RESAMPLES = 200
BINS = ((0, 0), (1, 1), (2, 2), (3, 5), (6, 10), (11, 25), (26, None))
"""Types by how often they were seen: at least, at most."""


class Curve(NamedTuple):
    """The share of some types that are in the corpus, by generation from 0 on.

    share is what to expect; 95 of 100 loops keep between low and high, where types live and die
    apart. Real students err alike on many types: theirs spread wider.
    """

    name: str
    types: int
    share: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Forecast:
    """What survives, by how often it was seen in the human sample, and by slice.

    fresh     share of each later corpus that is newly drawn human data
    method    "law", or "simulation" where decoding or a checker is not neutral
    bins      the types by how often they were seen; slices: those of each slice, by name
    limits    why the law doesn't apply to these counts, and what wasn't tested
    """

    generations: int
    fresh: float
    method: str
    bins: tuple[Curve, ...]
    slices: dict[str, Curve]
    limits: Applies
    _counts: Floats
    _shares: Shares
    _rates: Rates
    _setting: Setting

    def seen(self, least: int = 1, most: int | None = None) -> Curve:
        """The curve of all types that were seen so often. UserError where there is none."""
        among = _between(self._counts, least, most)
        if not among.any():
            raise UserError(
                f"no type was {_name(least, most)}",
                "counts of types",
                "count finer types, or give the whole sample",
            )
        return Curve(_name(least, most), int(among.sum()), *self._shares(among))

    def fresh_needed(self, wanted: float = 0.9, least: int = 3) -> float:
        """The least fresh share, to 0.1 %, with which so great a share of these types survives.

        Of the types seen `least` times or more, in the last generation, by the law. nan where no
        share does, or where this forecast is a simulation.
        """
        if self.method != "law":
            return nan
        rare, types = np.unique(self._counts[self._counts >= least], return_counts=True)
        if not len(rare):
            raise UserError(f"no type was {_name(least, None)}", "counts of types", "ask for less")
        for share in np.linspace(0, 1, 1001).tolist():
            setting = replace(self._setting, fresh=share)
            kept = present(rare, self._rates.first(), setting)[0, :, -1]
            if float(types @ kept) >= wanted * types.sum():
                return float(share)
        return nan

    def words(self, rarer_than: int = 3, wanted: float = 0.9) -> str:
        """The forecast in sentences for a person."""
        t, fresh = self.generations, f"With {100 * self.fresh:g} % fresh"
        said = []
        try:
            curve = self.seen(1, rarer_than - 1)
        except UserError:
            said.append(
                f"No type was seen fewer than {rarer_than} times: these counts have no tail to "
                "lose, or it was cut off before."
            )
        else:
            said.append(
                f"{fresh if self.fresh else 'Without fresh human data'}, types seen fewer than "
                f"{rarer_than} times survive {t} generations with probability "
                f"{curve.share[t]:.2f} ({curve.low[t]:.2f} to {curve.high[t]:.2f})."
            )
        if self.method == "simulation":
            said.append("This is simulated, as decoding or the checker is not neutral.")
        elif (self._counts >= rarer_than).any():
            said.append(self._needed_words(rarer_than, wanted))
        if not self.limits:
            said.append(self.limits.words())
        return " ".join(said)

    def _needed_words(self, least: int, wanted: float) -> str:
        t, share = self.generations, self.fresh_needed(wanted, least)
        these = f"types seen at least {least} times"
        if share != share:
            return (
                f"No fresh share lets {these} survive {t} generations with probability "
                f"{wanted:g}: keep the human records themselves."
            )
        if not share:
            return (
                f"Without any, {these} survive {t} generations with probability {wanted:g} or more."
            )
        these = these[0].upper() + these[1:]
        return (
            f"{these} survive {t} generations with probability {wanted:g} if "
            f"{100 * share:.0f} % is fresh."
        )


def forecast(
    counts: npt.ArrayLike,
    *,
    size: int | None = None,
    generations: int = 10,
    fresh: float = 0.0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    passes: npt.ArrayLike | None = None,
    slices: Mapping[str, npt.ArrayLike] | None = None,
    anew: bool = False,
    rng: np.random.Generator | None = None,
) -> Forecast:
    """Forecast which types survive a loop that replaces its corpus each generation.

    counts        times each type is in the human sample, which is generation 0; a type that is
                  known and wasn't seen is a 0, and then all such must be listed
    size          records of a later generation, by default as many as the sample has
    temperature, top_p    how a student draws; passes: probability that a checker passes each type
    slices        types of each slice, as bools or places in `counts`; slices may overlap
    anew          generation 0 is no sample at hand but yet to be drawn, `size` records of the same
                  source: these counts only tell of it

    A count is not the rate that fresh data will go by: rates are the posterior given the count
    (`rates.rates`; its sampling error is in the bands). Neutral decoding and checking goes by the
    law, all else by simulated loops with rates drawn from the posterior. UserError for counts that
    are none, an empty sample, settings out of range or a slice without types.
    """
    seen = checked(counts)
    _settings(size, generations, fresh, temperature, top_p)
    rng = rng or np.random.default_rng(0)
    limits = applies(seen, temperature=temperature, top_p=top_p, passes=passes)
    setting = Setting(generations, fresh, float((size or seen.sum()) / seen.sum()), anew)
    mixture = rates(seen, RESAMPLES, rng)
    passing = None if passes is None else pass_rates(passes, seen)
    neutral = temperature == top_p == 1 and (passing is None or bool((passing == passing[0]).all()))
    if neutral:
        shares = by_law(seen, mixture, setting, rng)
    else:
        decoding = Decoding(temperature, top_p)
        shares = by_simulation(seen, mixture, setting, decoding, passing, rng)
    groups = {_name(*bounds): _between(seen, *bounds) for bounds in BINS}
    own = {name: _among(name, given, seen) for name, given in (slices or {}).items()}
    curves = {
        name: Curve(name, int(among.sum()), *shares(among))
        for name, among in (groups | own).items()
        if among.any()
    }
    return Forecast(
        generations,
        fresh,
        "law" if neutral else "simulation",
        tuple(curves[name] for name in groups if name in curves),
        {name: curves[name] for name in own},
        limits,
        seen,
        shares,
        mixture,
        setting,
    )


def _settings(
    size: int | None, generations: int, fresh: float, temperature: float, top_p: float
) -> None:
    wrong = [
        said
        for good, said in (
            (size is None or size >= 1, f"size is {size}: a corpus has a record at least"),
            (generations >= 1, f"generations is {generations}: one at least"),
            (0 <= fresh <= 1, f"fresh is {fresh}: a share is from 0 to 1"),
            (0 < temperature < np.inf, f"temperature is {temperature}: above 0"),
            (0 < top_p <= 1, f"top_p is {top_p}: above 0, at most 1"),
        )
        if not good
    ]
    if wrong:
        raise UserError("a loop can't be forecast", "; ".join(wrong), "change these settings")


def _between(counts: Floats, least: int, most: int | None) -> Bools:
    return (counts >= least) & (counts <= (np.inf if most is None else most))


def _among(name: str, given: npt.ArrayLike, counts: Floats) -> Bools:
    places, among = np.asarray(given), np.zeros(len(counts), np.bool_)
    try:
        if places.dtype == np.bool_ and places.shape != among.shape:
            raise IndexError
        among[places] = True
    except IndexError:
        raise UserError(
            f"the slice {name!r} has types that were not counted",
            f"{len(counts)} types",
            "give a bool for each type, or their places",
        ) from None
    if not among.any():
        raise UserError(f"the slice {name!r} has no type", "slices", "leave it out")
    return among


def _name(least: int, most: int | None) -> str:
    if most is None:
        return f"seen {least} times or more"
    if least == most:
        return {0: "never seen", 1: "seen once"}.get(least, f"seen {least} times")
    return f"seen {least} to {most} times"
