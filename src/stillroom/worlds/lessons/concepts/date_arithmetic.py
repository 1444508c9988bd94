"""Dates and days, walked from month to month with the calendar's own table."""

from itertools import pairwise
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

Day = tuple[int, int, int]  # year, month, day
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _length(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _LENGTHS[month - 1] + (1 if leap and month == 2 else 0)


def _write(day: Day) -> str:
    return "{:04d}-{:02d}-{:02d}".format(*day)


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _next_first(day: Day) -> Day:
    year, month, _ = day
    return (year, month + 1, 1) if month < 12 else (year + 1, 1, 1)


def _last_before(day: Day) -> Day:
    year, month, _ = day
    year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return (year, month, _length(year, month))


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    kind = dice.pick(limits["kind"])
    first, last = limits["year"]
    year, month = dice.between(first + 2, last - 2), dice.between(1, 12)
    if dice.fraction() < 0.3:
        month = 2 if kind != "subtract" else 3  # where the interesting dates are
    day = (year, month, dice.between(2, _length(year, month) - 1))
    crossings = dice.between(*limits["crossings"])
    if kind == "subtract":
        reach, end = 0, day
        for _ in range(crossings):
            reach += end[2]
            end = _last_before(end)
        count = reach + dice.between(1, end[2] - 2)
        formula = f"{_write(day)} - {_days(count)}"
        return Instance("date", {"formula": formula}, (kind, day, count))
    reach, end = 0, day
    for _ in range(crossings):
        reach += _length(*end[:2]) - end[2] + 1
        end = _next_first(end)
    more = dice.between(1, _length(*end[:2]) - 1)
    if kind == "add":
        formula = f"{_write(day)} + {_days(reach + more)}"
        return Instance("date", {"formula": formula}, (kind, day, reach + more))
    later = (end[0], end[1], end[2] + more)
    formula = f"{_write(later)} - {_write(day)}"
    return Instance("between", {"formula": formula}, (kind, day, later))


def solve(instance: Instance) -> Solution:
    kind, day, given = instance.given
    if kind == "between":
        return _between(day, given)
    steps, left, start = [], given, day
    sign = "+" if kind == "add" else "-"
    while True:
        if kind == "add":
            jump, to = _length(*day[:2]) - day[2] + 1, _next_first(day)
        else:
            jump, to = day[2], _last_before(day)
        if jump >= left:
            break
        before = f"{_write(day)} {sign} {_days(left)}"
        day, left = to, left - jump
        after = f"{_write(day)} {sign} {_days(left)}"
        slots = {"count": _days(jump), "date": _write(day)}
        steps.append(Step("forward" if kind == "add" else "back", (f"{before} = {after}",), slots))
    year, month, number = day
    number += left if kind == "add" else -left
    if number > _length(year, month):
        year, month, number = _next_first(day)
    elif number < 1:
        year, month, number = _last_before(day)
    answer = _write((year, month, number))
    before = f"{_write(day)} {sign} {_days(left)}"
    steps.append(Step("finish", (f"{before} = {answer}",)))
    proof = f"{answer} {'-' if kind == 'add' else '+'} {_days(given)} = {_write(start)}"
    return Solution(steps, answer, ("back", {"proof": proof}))


def _between(day: Day, later: Day) -> Solution:
    start, stops = day, [day]
    while _next_first(day) < later:
        day = _next_first(day)
        stops.append(day)
    stops.append(later)
    pairs = list(pairwise(stops))
    counts = [b[2] - a[2] if a[:2] == b[:2] else _length(*a[:2]) - a[2] + b[2] for a, b in pairs]
    before = f"{_write(later)} - {_write(start)}"
    if len(pairs) == 1:
        steps = [Step("same_month", (f"{before} = {_days(counts[0])}",))]
    else:
        spans = " + ".join(f"({_write(b)} - {_write(a)})" for a, b in pairs)
        each, total = " + ".join(map(_days, counts)), _days(sum(counts))
        steps = [
            Step("cut", (f"{before} = {spans}",)),
            Step("count", (f"{spans} = {each}",)),
            Step("add", (f"{each} = {total}",)),
        ]
    answer = _days(sum(counts))
    proof = f"{_write(start)} + {answer} = {_write(later)}"
    return Solution(steps, answer, ("forward", {"proof": proof}))


def mistakes(instance: Instance) -> list[Slip]:
    kind, day, given = instance.given
    left, answer = instance.slots["formula"], solve(instance).answer
    if kind == "between":
        right = int(answer.split()[0])
        months = (given[0] - day[0]) * 12 + given[1] - day[1]
        thirty = months * 30 + given[2] - day[2]
        slips = [Slip("both_ends", left, _days(right + 1))]
        if thirty >= 0:
            slips.append(Slip("thirty", left, _days(thirty)))
        if given[2] != day[2]:
            slips.append(Slip("day_numbers_only", left, _days(abs(given[2] - day[2]))))
        return [slip for slip in slips if slip.wrong != answer]
    count = given - 1
    slips = [Slip("first_day_counted", left, _shift(kind, day, count))]
    for name, lengths in (("thirty", 30), ("thirty_one", 31)):
        year, month, number = day
        number += given if kind == "add" else -given
        while number > lengths:
            number, month = number - lengths, month + 1
        while number < 1:
            number, month = number + lengths, month - 1
        year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
        if number <= _length(year, month):
            slips.append(Slip(name, left, _write((year, month, number))))
    return [slip for slip in slips if slip.wrong != answer]


def _shift(kind: str, day: Day, count: int) -> str:
    for _ in range(count):
        year, month, number = day
        if kind == "add":
            day = (year, month, number + 1) if number < _length(year, month) else _next_first(day)
        else:
            day = (year, month, number - 1) if number > 1 else _last_before(day)
    return _write(day)
