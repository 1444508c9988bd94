"""Findings in words, for the terminal and the page alike; those of a series are told as one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

FEW = 3  # findings from which on they are a series
LARGE = 1e15  # from which on numbers have an exponent
STEPS = 8  # of a series that are told; of a longer one the two ends

Finding = Mapping[str, Any]


class Told(NamedTuple):
    """A finding, or a series of them: its value with the unit, its interval or nothing."""

    name: str
    value: str
    interval: str
    ok: bool | None
    detail: str


def series(findings: Sequence[Finding]) -> dict[tuple[str, str], dict[int, Finding]]:
    """Findings whose names differ in the number at their end alone, by (name, unit) and number.

    Three numbers or more, in order. What should be so, or should not, stands by itself.
    """
    found: dict[tuple[str, str], dict[int, Finding]] = {}
    for one in findings:
        if one["ok"] is None and (parts := _parts(one)):
            found.setdefault((parts[0], one["unit"]), {})[parts[1]] = one
    return {
        key: dict(sorted(numbers.items())) for key, numbers in found.items() if len(numbers) >= FEW
    }


def told(findings: Sequence[Finding]) -> list[Told]:
    """The findings in their order; a series in the place of its first."""
    several, lines, done = series(findings), list[Told](), set[tuple[str, str]]()
    for one in findings:
        parts = _parts(one)
        key = (parts[0], one["unit"]) if parts else ("", "")
        if one["ok"] is not None or key not in several:
            interval = _interval(one)
            value = f"{_number(one['value'], 4 if interval else 6)} {one['unit']}".rstrip()
            lines.append(Told(one["name"], value, interval, one["ok"], one["detail"]))
        elif key not in done:
            done.add(key)
            lines.append(_series(*key, several[key]))
    return lines


def words(findings: Sequence[Finding]) -> list[str]:
    """A sentence for each finding or series."""
    lines = []
    for one in told(findings):
        interval = f"95 % interval {one.interval}" if one.interval else ""
        more = "; ".join(filter(None, (interval, one.detail)))
        lines.append(f"{one.name}: {one.value}" + (f" ({more})." if more else "."))
    return lines


def _parts(one: Finding) -> tuple[str, int] | None:
    """The name without the number at its end, and the number."""
    found = re.fullmatch(r"(.*?)[ ,]*\b(\d+)", one["name"])
    return (found[1], int(found[2])) if found else None


def _series(name: str, unit: str, numbers: Mapping[int, Finding]) -> Told:
    steps = list(numbers) if len(numbers) <= STEPS else [min(numbers), max(numbers)]
    value = " → ".join(_number(numbers[n]["value"], 3) for n in steps)
    last = numbers[max(numbers)]
    which = ", ".join(map(str, steps)) if len(numbers) <= STEPS else f"{steps[0]} to {steps[1]}"
    return Told(
        f"{name} {which}", f"{value} {unit}".rstrip(), _interval(last), None, last["detail"]
    )


def _interval(one: Finding) -> str:
    """Runs of before there were intervals have none."""
    low, high = one.get("low"), one.get("high")
    return "" if low is None or high is None else f"{_number(low, 4)} to {_number(high, 4)}"


def _number(value: float, digits: int) -> str:
    """So many digits at least; what would need an exponent for its size is told to the unit."""
    said = f"{value:,.{digits}g}"
    return f"{value:,.0f}" if "e+" in said and abs(value) < LARGE else said
