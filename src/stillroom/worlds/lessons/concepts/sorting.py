"""Sorting by swaps of neighbours, in passes or by insertion: the list after each swap."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

Items = list[Any]
Later = Callable[[Any, Any], bool]  # whether the first has to stand after the second


class _Task(NamedTuple):
    family: str
    items: Items
    turns: int  # of passes, or of the items that are inserted


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    words: list[str] = content.data["stock"]
    kind, (low, high) = dice.pick(limits["kinds"]), limits["size"]
    family = dice.pick(content.data["families"])
    while True:
        size = dice.between(*limits["items"])
        items = _numbers(dice, low, high, size) if kind == "numbers" else dice.some(words, size)
        if family == "passes" and size < 4:
            family = "sorted"
        least = max(2, size - 3) if family == "insertion" else 2
        count = dice.between(least, max(least, size - 2 + (family == "insertion")))
        task = _Task(family, items, count if family in ("passes", "insertion") else size)
        if limits["swaps"][0] <= len(_states(task)) - 1 <= limits["swaps"][1]:
            break
    slots = {"list": _text(items)}
    if task.turns < size:
        slots["count"] = str(count)
    return Instance(family, slots, task)


def _numbers(dice: Dice, low: int, high: int, size: int) -> Items:
    """Different numbers; now and then some of them short, as their length must not matter."""
    top = min(high, 99) if low < 50 and dice.fraction() < 0.3 else high
    found: dict[int, None] = {}
    while len(found) < size:
        found[dice.between(low, top)] = None
    return list(found)


def _text(items: Items) -> str:
    written = [f'"{item}"' if isinstance(item, str) else str(item) for item in items]
    return f"[{', '.join(written)}]"


def _greater(a: Any, b: Any) -> bool:
    return bool(a > b)


def _states(task: _Task, later: Later = _greater) -> list[Items]:
    """The list at the start and after each swap."""
    states, items = [list(task.items)], list(task.items)

    def swap(at: int) -> None:
        items[at], items[at + 1] = items[at + 1], items[at]
        states.append(list(items))

    for turn in range(1, task.turns + (task.family == "passes")):
        if task.family == "insertion":
            at = turn
            while at and later(items[at - 1], items[at]):
                at -= 1
                swap(at)
        else:
            for at in range(len(items) - turn):
                if later(items[at], items[at + 1]):
                    swap(at)
    return states


def _read(task: _Task, states: list[Items]) -> str:
    return str(len(states) - 1) if task.family == "swaps" else _text(states[-1])


def solve(instance: Instance) -> Solution:
    task: _Task = instance.given
    states, steps = _states(task), []
    rule = {"swaps": "tally", "insertion": "slide"}.get(task.family, "swap")
    for n, (old, new) in enumerate(pairwise(states)):
        at = next(i for i in range(len(old)) if old[i] != new[i])
        a, b = _text(old[at : at + 1])[1:-1], _text(new[at : at + 1])[1:-1]
        before, after = _text(old), _text(new)
        if task.family == "swaps":
            before, after = f"[{before}, {n}]", f"[{after}, {n + 1}]"
        slots = {"a": a, "b": b, "i": str(at + 1), "j": str(at + 2)}
        steps.append(Step(rule, (before, after), slots, " → "))
    answer, start = _read(task, states), _text(task.items)
    if task.family == "swaps":
        steps.append(Step("total", (f"[{_text(states[-1])}, {answer}]", answer), None, " → "))
        smaller = [
            str(sum(later < item for later in task.items[n + 1 :]))
            for n, item in enumerate(task.items[:-1])
        ]
        proof = "pairs", f"{' + '.join(smaller)} = {answer}"
    elif task.family == "passes":
        k = task.turns
        proof = "largest", f"last({answer}, {k}) = last(sort({start}), {k})"
    elif task.family == "insertion":
        proof = "front", f"first({answer}, {task.turns}) = sort(first({start}, {task.turns}))"
    else:
        proof = "turned", f"sort(reverse({start})) = {answer}"
    return Solution(steps, answer, (proof[0], {"proof": proof[1]}))


def mistakes(instance: Instance) -> list[Slip]:
    task: _Task = instance.given
    family, items = task.family, task.items
    states = _states(task)
    right = _read(task, states)
    wrong = {"falling": _read(task, _states(task, lambda a, b: bool(a < b)))}
    if isinstance(items[0], str):
        wrong["by_length"] = _read(task, _states(task, lambda a, b: len(a) > len(b)))
    elif len({len(str(item)) for item in items}) > 1:
        wrong["as_words"] = _read(task, _states(task, lambda a, b: str(a) > str(b)))
    once = _Task("passes", items, 1)
    if family == "sorted" and len(_states(once)) < len(states):
        wrong["first_pass"] = _text(_states(once)[-1])
    if family == "swaps":
        if len(_states(once)) < len(states):
            wrong["first_pass"] = str(len(_states(once)) - 1)
        ordered = states[-1]
        moved = sum(a != b for a, b in zip(items, ordered, strict=True))
        wrong["misplaced"] = str(moved)
    if family in ("passes", "insertion"):
        less, more = (_states(task._replace(turns=task.turns + n)) for n in (-1, 1))
        whole = _states(_Task("sorted", items, len(items)))
        for name, other in (("one_less", less), ("one_more", more), ("to_the_end", whole)):
            if len(other) != len(states):  # else nothing is done there
                wrong[name] = _read(task, other)
    return [Slip(name, right, text) for name, text in wrong.items()]
