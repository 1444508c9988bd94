"""Does this set lose the tail of that anchor? A family of tests whose false-alarm rate is known.

Two permutation tests (exchange.py), bets on the set unit by unit (watching.py), and Fisher's exact
test of every type with Holm's correction (diagnosis.py) share one alpha.
PASS asks for more than silence: that a loss of a fifth is ruled out. Where the sets are too small
for either the verdict is UNDERPOWERED, and says how many units would decide.
"""

from dataclasses import asdict, dataclass, field, replace
from math import exp, log
from typing import Any, Literal

import numpy as np

from stillroom.collapse.diagnosis import Lost, lost_types, meters
from stillroom.collapse.effects import GROUPS, LEAST, Estimate, Left, ratios
from stillroom.collapse.exact import normal_quantile
from stillroom.collapse.exchange import (
    bands,
    first,
    frequencies,
    permuted,
    pool_of,
    spread,
)
from stillroom.collapse.incidence import Incidence
from stillroom.collapse.watching import watcher
from stillroom.measures import student_t
from stillroom.world import stream

Verdict = Literal["PASS", "ALARM", "UNDERPOWERED"]

ALPHA = 0.01  # of the whole family
SHARES = {"share": 0.45, "types": 0.35, "bets": 0.1, "slices": 0.1}  # of alpha
POINTS = 200  # of the bets' path that are kept for a picture
FLOOR = 0.8
"""PASS: the lower bound of each ratio, at level alpha, is at least this."""
UNTOLD = 0.01
"""... and types of bands of which nothing can be told are at most so often in a unit."""
QUIET = 0.1
"""... and neither test of the tail has a p-value below this: nearly seen is not ruled out."""


@dataclass(frozen=True)
class Part:
    """One test: its p-value (for bets a bound, for slices the least after Holm) and its alpha.

    effect     the set's rate over the anchor's: 1 is no loss, 0.5 half is lost; of the tail's
               bands that one where the interval begins lowest
    interval   of the effect: one-sided bounds at level alpha
    needs      units a set that would decide (with sets of equal size), None where it did
    """

    name: str
    p: float
    alpha: float
    effect: float | None = None
    interval: tuple[float, float] | None = None
    needs: int | None = None

    @property
    def alarm(self) -> bool:
        return self.p <= self.alpha


@dataclass(frozen=True)
class Result:
    """What the family found. `why` says it in a sentence."""

    verdict: Verdict
    why: str
    units: tuple[int, int]
    """Of the anchor and of the set."""
    rare: int
    """Types of the anchor that are rare."""
    parts: tuple[Part, ...] = ()
    lost: tuple[Lost, ...] = ()
    meters: dict[str, float] = field(default_factory=dict)
    path: tuple[tuple[int, float], ...] = ()
    """Of the bets: (units seen, logarithm of the wealth)."""

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Result":
        parts = [Part(**one | {"interval": one["interval"] and tuple(one["interval"])})
                 for one in told["parts"]]  # fmt: skip
        lists = {
            "units": tuple(told["units"]),
            "parts": tuple(parts),
            "lost": tuple(Lost(**one) for one in told["lost"]),
            "path": tuple(tuple(point) for point in told["path"]),
        }
        return cls(**told | lists)


def compare(
    anchor: Incidence,
    set_: Incidence,
    *,
    alpha: float = ALPHA,
    seed: int = 0,
) -> Result:
    """Test whether the set lost the anchor's tail; a false ALARM has probability alpha at most."""
    bound = min(anchor.bound, set_.bound)
    anchor, set_ = anchor.drawn(bound), set_.drawn(bound)
    units, pool = (anchor.units, set_.units), pool_of(anchor, set_)
    known = frequencies(pool, first(pool)) > 0
    rare = known & (bands(pool.total, sum(units)) >= 0)
    printed = meters(pool)
    if not rare.any():
        why = "the anchor has no rare type: there is no tail that could be lost"
        return Result("UNDERPOWERED", why, units, 0, meters=printed)
    rng = stream(f"collapse {seed} {units}")
    share_p, types_p = permuted(pool, rng, alpha * SHARES["types"])
    left = ratios(pool, rng)
    lost = lost_types(pool, anchor.names | set_.names)
    bets, path = _bets(anchor, set_, rng, alpha * SHARES["bets"])
    parts = (
        _part("share", share_p, alpha, left.mass, left.bands, min(units)),
        _part("types", types_p, alpha, left.types, (), min(units)),
        bets,
        Part("slices", min((one.corrected for one in lost), default=1.0), alpha * SHARES["slices"]),
    )
    having = pool.unit[spread(pool, rare)]
    few = len(np.unique(having[having < units[0]]))
    verdict, why = _verdict(parts, few, units, left)
    return Result(verdict, why, units, int(rare.sum()), parts, lost, printed, path)


def _part(
    name: str, p: float, alpha: float, found: Estimate, bands: tuple[Estimate, ...], units: int
) -> Part:
    t = student_t(GROUPS - 1, 1 - 2 * alpha)
    # Each band of the tail must be known to be there, not all of them together alone.
    worst = min((found, *bands), key=lambda one: one.log - t * one.error)
    low, high = worst.log - t * worst.error, worst.log + t * worst.error
    part = Part(name, p, alpha * SHARES[name], exp(worst.log), (exp(low), exp(high)))
    if part.alarm or low >= log(FLOOR):
        return part
    return replace(part, needs=_needed(worst, t, alpha * SHARES[name], units))


def _needed(found: Estimate, t: float, alpha: float, units: int) -> int:
    """Units with which a set like this one would be decided four times out of five."""
    power = normal_quantile(0.2)
    ways = []
    if (margin := min(found.log, 0.0) - log(FLOOR)) > 0.02:
        ways.append((t + power) / margin)
    if found.log < -0.02:
        ways.append((normal_quantile(alpha) + power) / -found.log)
    factor = min(ways) * found.error
    return int(units * max(1.0, factor * factor)) + 1


def _verdict(
    parts: tuple[Part, ...], few: int, units: tuple[int, int], left: Left
) -> tuple[Verdict, str]:
    loud = [part for part in parts if part.alarm]
    if loud:
        return "ALARM", "; ".join(_words(part) for part in loud)
    needs = [part.needs for part in parts if part.needs is not None]
    if few < LEAST:
        need = int(units[0] * LEAST / max(1, few)) + 1
        return "UNDERPOWERED", (
            f"only {few} units of the anchor have a rare type, {LEAST} are needed at least: "
            f"about {max([need, *needs]):,} units a set would decide"
        )
    if needs:
        return "UNDERPOWERED", (
            f"nothing was seen, but a loss of a fifth can't be ruled out: about {max(needs):,} "
            "units a set would decide"
        )
    if left.untold > UNTOLD:
        return "UNDERPOWERED", (
            f"nothing was seen, but in {100 * left.untold:.0f} of 100 units are types so rare that "
            f"nothing can be told of them: about {int(units[0] * left.short) + 1:,} units a set "
            "would decide"
        )
    near = [part for part in parts if part.interval and part.p < QUIET]
    if near:
        return "UNDERPOWERED", (
            f"nothing is sure, but a loss was nearly seen (p {min(p.p for p in near):.2g}): "
            "another sample would decide"
        )
    kept = min(part.interval[0] for part in parts if part.interval)
    return "PASS", f"at least {100 * kept:.0f} % of the anchor's rare cases are kept, by both tests"


def _words(part: Part) -> str:
    if part.name == "slices":
        return "some types are surely rarer than in the anchor"
    if part.effect is None or part.interval is None:
        return f"bets that the tail is smaller won {1 / part.p:,.0f} times their stake"
    low, high = part.interval
    left = f"about {100 * part.effect:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
    if part.name == "share":
        return f"less of the rare cases than their due (p {part.p:.2g}): {left} in the worst band"
    return (
        f"fewer of the rare types than a fresh sample of equal size has (p {part.p:.2g}): {left} "
        "are there"
    )


def _bets(
    anchor: Incidence, set_: Incidence, rng: np.random.Generator, alpha: float
) -> tuple[Part, tuple[tuple[int, float], ...]]:
    """Bets on the set's units in random order, and the path of the wealth's logarithm."""
    found = watcher(anchor, alpha, rng)
    if found is None:
        return Part("bets", 1.0, alpha), ()
    order = rng.permutation(set_.units)
    wealth, logs = found.start.path(found.scores(set_)[order])
    step = max(1, len(logs) // POINTS)
    path = tuple((n + 1, round(float(logs[n]), 4)) for n in range(step - 1, len(logs), step))
    # p <= alpha exactly where the wealth reached what its share of alpha asks for.
    return Part("bets", min(1.0, exp(-wealth.most) * 3 / 2), alpha), path
