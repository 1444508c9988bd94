"""Dates and days, checked with the ordinals of Python's datetime."""

import re
from datetime import date, timedelta
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import value
from stillroom.worlds.lessons.routes import Question, Step

_DATE = r"(\d{4}-\d\d-\d\d)"
_SHIFT = re.compile(rf"{_DATE} ([-+]) (\d+) days?")
_BETWEEN = re.compile(rf"{_DATE} - {_DATE}")
_DAYS = re.compile(r"(1) day|(\d+) days")


def start(question: Question) -> str:
    return question.slots["formula"]


def _shift(text: str) -> tuple[date, str, int]:
    found = _SHIFT.fullmatch(text)
    if not found:
        raise ValueError(f"`{text}` is no date with days added or taken away")
    return date.fromisoformat(found[1]), found[2], int(found[3])


def _between(text: str) -> tuple[date, date]:
    found = _BETWEEN.fullmatch(text)
    if not found:
        raise ValueError(f"`{text}` is no difference of two dates")
    return date.fromisoformat(found[1]), date.fromisoformat(found[2])


def _days(text: str) -> int:
    found = _DAYS.fullmatch(text)
    if not found:
        raise ValueError(f"`{text}` is no number of days")
    return int(found[1] or found[2])


def answer_fault(question: Question, answer: str) -> str:
    text = question.slots["formula"]
    if question.family == "between":
        later, earlier = _between(text)
        right = later.toordinal() - earlier.toordinal()
        return "" if _days(answer) == right else f"it is {right} days, and not {answer}"
    day, sign, count = _shift(text)
    moved = date.fromordinal(day.toordinal() + (count if sign == "+" else -count))
    return "" if answer == moved.isoformat() else f"it is {moved}, and not {answer}"


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if rule in ("forward", "back"):
        day, sign, count = _shift(before)
        stop, after_sign, rest = _shift(after)
        if sign != after_sign or sign != ("+" if rule == "forward" else "-"):
            return "the direction changed"
        said = slots.get("date", stop.isoformat())
        gone = _days(slots["count"]) if "count" in slots else count - rest
        if said != stop.isoformat() or gone != count - rest:
            return "the words name another date or another number of days"
        first = stop if rule == "forward" else stop + timedelta(days=1)
        if first.day != 1 or not 0 < abs((stop - day).days) <= 31:
            return f"{stop} is not where a month begins or ends"
        return ""
    if rule == "finish":
        day, sign, count = _shift(before)
        way = timedelta(days=1 if sign == "+" else -1)
        changes = sum((day + n * way).day == 1 for n in range(1 if sign == "+" else 0, count))
        if changes:
            return f"{count} days lead beyond a change of month"
        return "" if re.fullmatch(_DATE, after) else f"`{after}` is no date"
    if rule == "same_month":
        later, earlier = _between(before)
        _days(after)
        return "" if (later - earlier).days <= 32 - earlier.day else "the dates are too far apart"
    if rule == "cut":
        later, earlier = _between(before)
        spans = [_between(span) for span in after[1:-1].split(") + (")]
        stops = [a for _, a in spans] + [spans[-1][0]]
        if stops[0] != earlier or stops[-1] != later or [b for b, _ in spans] != stops[1:]:
            return "the pieces do not follow each other"
        good = all(stop.day == 1 for stop in stops[1:-1]) and len(spans) > 1
        good = good and all((b - a).days <= 32 - a.day for b, a in spans)
        return "" if good else "the pieces do not end where a month begins"
    if rule == "count":
        spans = [_between(span) for span in before[1:-1].split(") + (")]
        counts = [_days(part) for part in after.split(" + ")]
        good = counts == [(later - earlier).days for later, earlier in spans]
        return "" if good else "the days of the pieces"
    if rule == "add":
        total = sum(_days(part) for part in before.split(" + "))
        return "" if _days(after) == total else f"expected {total} days"
    return f"no rule {rule!r} here"


def link_fault(question: Question, step: Step) -> str:
    """A step told in short has to be what one rule does; its two sides say which."""
    before, after = step["before"], step["after"]
    if question.family == "between":
        rule = "cut" if "(" in after else "count" if "(" in before else "add"
        rule = "same_month" if _BETWEEN.fullmatch(before) and "(" not in after else rule
    elif re.fullmatch(_DATE, after):
        rule = "finish"
    else:
        rule = "forward" if " + " in before else "back"
    return step_fault(question, {**step, "rule": rule}, {})


def wrongs(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    if question.family == "between":
        later, earlier = _between(text)
        months = (later.year - earlier.year) * 12 + later.month - earlier.month
        counts = {
            "both_ends": (later - earlier).days + 1,
            "thirty": 30 * months + later.day - earlier.day,
            "day_numbers_only": abs(later.day - earlier.day),
        }
        return {name: value(f"{count} days") for name, count in counts.items() if count >= 0}
    day, sign, count = _shift(text)
    way = 1 if sign == "+" else -1
    found: dict[str, Any] = {"first_day_counted": day + timedelta(days=way * (count - 1))}
    for name, length in (("thirty", 30), ("thirty_one", 31)):
        # The day's serial number in a calendar whose months are all that long.
        serial = (day.year * 12 + day.month - 1) * length + day.day - 1 + way * count
        months, rest = divmod(serial, length)
        try:
            found[name] = date(months // 12, months % 12 + 1, rest + 1)
        except ValueError:
            continue
    return found


def measure(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    if question.family == "between":
        kind, (later, earlier) = "between", _between(text)
    else:
        day, sign, count = _shift(text)
        kind = "add" if sign == "+" else "subtract"
        later = day + timedelta(days=count if sign == "+" else -count)
        earlier = day
    months = abs((later.year - earlier.year) * 12 + later.month - earlier.month)
    years = tuple(sorted((earlier.year, later.year)))
    return {"kind": kind, "crossings": months, "year": years}
