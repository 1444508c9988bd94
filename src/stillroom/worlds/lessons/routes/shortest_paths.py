"""Shortest ways, checked by relaxing all roads until no way gets shorter (Bellman and Ford)."""

import re
from functools import lru_cache
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import value
from stillroom.worlds.lessons.routes import Question, Step, told_as

_ROAD = r'\["\w+", "\w+", [1-9]\d*\]'
_ROADS = re.compile(rf"\[{_ROAD}(?:, {_ROAD})*\]")

Road = tuple[str, str, int]
Far = dict[str, tuple[int, int]]  # of each town two sums, of which the first counts more


def start(question: Question) -> str:
    return f"[{question.slots['start']}, 0]"


@lru_cache(maxsize=64)
def _roads(text: str) -> list[Road]:
    """The roads of a question; ValueError when they are none, or two join the same towns."""
    if not _ROADS.fullmatch(text):
        raise ValueError(f"`{text}` are no roads")
    roads = [(a, b, length) for a, b, length in value(text)]
    pairs = {frozenset(road[:2]) for road in roads}
    if len(pairs) != len(roads) or any(len(pair) != 2 for pair in pairs):
        raise ValueError("two towns are joined twice, or one with itself")
    return roads


def _relaxed(roads: list[Road], start: str, costs: list[tuple[int, int]]) -> Far:
    """The least sums of costs from the start, roads being used as they are written."""
    far: Far = {start: (0, 0)}
    changed = True
    while changed:
        changed = False
        for (a, b, _), (first, second) in zip(roads, costs, strict=True):
            if a in far:
                cost = far[a][0] + first, far[a][1] + second
                if b not in far or cost < far[b]:
                    far[b] = cost
                    changed = True
    return far


@lru_cache(maxsize=256)
def _far(text: str, start: str, way: str = "both") -> Far:
    """(length, number of roads) of the shortest ways; for "fewest" the other way round."""
    roads = _roads(text)
    if way != "directed":
        roads = roads + [(b, a, length) for a, b, length in roads]
    costs = [(1, length) if way == "fewest" else (length, 1) for _, _, length in roads]
    return _relaxed(roads, start[1:-1], costs)


def _of(question: Question, way: str = "both") -> Far:
    return _far(question.slots["roads"], question.slots["start"], way)


@lru_cache(maxsize=64)
def _order(roads: str, start: str) -> list[tuple[int, str]]:
    order = sorted((length, town) for town, (length, _) in _far(roads, start).items())
    if len({length for length, _ in order}) != len(order):
        raise ValueError("two towns are equally far, so that none is nearer")
    return order


def _settled(question: Question) -> list[tuple[int, str]]:
    """The towns by their distance, as far as the question goes."""
    order = _order(question.slots["roads"], question.slots["start"])
    if question.family == "within":
        return [one for one in order if one[0] <= int(question.slots["limit"])]
    if question.family == "farthest":
        return order
    goal = question.slots["goal"][1:-1]
    return order[: 1 + [town for _, town in order].index(goal)]


def _state(settled: list[tuple[int, str]]) -> str:
    return "[" + ", ".join(f'"{town}", {length}' for length, town in settled) + "]"


def _right(question: Question) -> int:
    settled = _settled(question)
    return len(settled) if question.family == "within" else settled[-1][0]


def answer_fault(question: Question, answer: str) -> str:
    right = str(_right(question))
    return "" if answer == right else f"the answer is {right}, and not {answer}"


def _expected(question: Question, before: str) -> tuple[str, str]:
    """The rule and the result of the step that begins with `before`."""
    settled = _settled(question)
    count = before.count('"') // 2
    if before == _state(settled[:count]) and 0 < count < len(settled):
        return "settle", _state(settled[: count + 1])
    end = _state(settled)
    closing = f"length({end}) ÷ 2" if question.family == "within" else end
    if before != closing:
        raise ValueError(f"`{before}` does not come up on the way")
    return question.family, str(_right(question))


def link_fault(question: Question, step: Step) -> str:
    _, right = _expected(question, step["before"])
    return told_as(step, "", right)


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    rule, right = _expected(question, step["before"])
    fault = told_as(step, rule, right)
    if fault or not slots:
        return fault
    settled = _settled(question)
    count = step["before"].count('"') // 2
    known = _told(_roads(question.slots["roads"]), settled[:count], settled[count])
    for slot, text in slots.items():
        if known.get(slot) != text:
            return f"`{text}` should be `{known.get(slot)}`"
    return ""


def _told(roads: list[Road], done: list[tuple[int, str]], new: tuple[int, str]) -> Slots:
    """What can be said of a town that is settled after those that are done."""
    names = {town for _, town in done}
    sums = [
        (far, length, town, b if town == a else a)
        for far, town in done
        for a, b, length in roads
        if (town == a and b not in names) or (town == b and a not in names)
    ]
    far, length, before = next((f, n, t) for f, n, t, o in sums if (f + n, o) == new)
    written = ", ".join(f"{f} + {n}" for f, n, _, _ in sums)
    return {
        "town": f'"{new[1]}"',
        "from": f'"{before}"',
        "sum": f"{far} + {length} = {new[0]}",
        "best": f"min([{written}]) = {new[0]}",
    }


def wrongs(question: Question) -> dict[str, Any]:
    far, settled = _of(question), _settled(question)
    roads = _roads(question.slots["roads"])
    first, directed = question.slots["start"][1:-1], _of(question, "directed")
    if question.family == "within":
        limit = int(question.slots["limit"])
        return {
            "without_start": len(settled[1:]),
            "direct_only": 1 + sum(first in road and road[2] <= limit for road in roads),
            "one_way": sum(length <= limit for length, _ in directed.values()),
        }
    goal = settled[-1][1]
    found = {"roads_counted": far[goal][1], "too_early": settled[-2][0]}
    if question.family == "farthest":
        return found | {"longest_road": sorted(length for _, _, length in roads)[-1]}
    found["fewest_roads"] = _of(question, "fewest")[goal][1]
    if goal in directed:
        found["one_way"] = directed[goal][0]
    nearest = _nearest_next(roads, first, goal)
    return found if nearest is None else found | {"nearest_next": nearest}


def _nearest_next(roads: list[Road], at: str, goal: str) -> int | None:
    """The length of a walk that always takes the shortest road to a new town; None: it is stuck."""
    if at == goal:
        return 0
    here = [(length, b if at == a else a) for a, b, length in roads if at in (a, b)]
    if not here:
        return None
    length, town = sorted(here)[0]
    rest = _nearest_next([road for road in roads if at not in road[:2]], town, goal)
    return None if rest is None else length + rest


def measure(question: Question) -> dict[str, Any]:
    lengths = [length for _, _, length in _roads(question.slots["roads"])]
    return {"steps": len(_settled(question)) - 1, "size": (min(lengths), max(lengths))}
