"""Binary search: places by bisection and plain scanning, looks by the tree of all the middles."""

import re
from bisect import bisect_left
from functools import lru_cache
from itertools import pairwise
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import value
from stillroom.worlds.lessons.routes import Question, Step

PROOF_SIGNS = {"index": "][", "larger": " > ", "edge": "length(", "strokes": "1 + 1"}
_STATE = re.compile(r"\[(\d+), (\d+), \[([\d, ]*)\]\]")
_READ = re.compile(r"(\[\d+, \d+, \[[\d, ]*\]\])\[1\](?: \+ (1|\d+ div 2))?")


def start(question: Question) -> str:
    return f"[{question.slots['item']}, 0, {question.slots['items']}]"


@lru_cache(maxsize=2_000)
def _items(text: str) -> list[int]:
    items = value(text)
    if not isinstance(items, list) or not all(type(one) is int for one in items):
        raise ValueError("a list of whole numbers is searched")
    if any(a >= b for a, b in pairwise(items)):
        raise ValueError("the list is not in order")
    return items


@lru_cache(maxsize=2_000)
def _depths(low: int, high: int) -> tuple[list[int], list[int]]:
    """Looks for each place from low to below high, and for each gap between them."""
    if low == high:
        return [], [0]
    middle = low + (high - low) // 2
    (left, gaps), (right, more) = _depths(low, middle), _depths(middle + 1, high)
    return [d + 1 for d in left] + [1] + [d + 1 for d in right], [d + 1 for d in gaps + more]


def _right(question: Question) -> int:
    items, item = _items(question.slots["items"]), int(question.slots["item"])
    place = bisect_left(items, item)
    if place != sum(one < item for one in items):
        raise ValueError("the list is not in order")
    there = item in items
    if question.family == "looks":
        places, gaps = _depths(0, len(items))
        return places[place] if there else gaps[place]
    if there != (question.family == "place"):
        raise ValueError(f"{item} is {'' if there else 'not '}in the list")
    return place


def answer_fault(question: Question, answer: str) -> str:
    right = _right(question)
    return "" if answer == str(right) else f"the answer is {right}, and not {answer}"


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    item, whole = int(question.slots["item"]), _items(question.slots["items"])
    read = _READ.fullmatch(step["before"])
    if read:
        return _reading_fault(question, step, read)
    before, after = _STATE.fullmatch(step["before"]), _STATE.fullmatch(step["after"])
    if not before or not after:
        return f"`{step['before']}` and `{step['after']}` are no states of the search"
    part = [int(one) for one in before[3].split(", ") if one]
    if not part or item in part[len(part) // 2 :][:1]:
        return "the search has ended here"
    middle = part[len(part) // 2]
    kept = [one for one in part if (one < middle) == (item < middle) and one != middle]
    number = int(before[2]) + 1
    if question.family != "looks":
        number = whole.index(kept[0]) if kept else bisect_left(whole, item)
    expected = f"[{item}, {number}, [{', '.join(map(str, kept))}]]"
    if step["after"] != expected:
        return f"expected `{expected}`"
    rule = "left" if item < middle else "right"
    if (step.get("rule") or rule) != rule:
        return f"the part on the {rule} is kept"
    said = {
        "half": f"{len(part)} div 2 = {len(part) // 2}",
        "compared": f"{middle} {'>' if middle > item else '<'} {item}",
    }
    told = all(said.get(name) == text for name, text in slots.items())
    return "" if told else f"expected {said} in the words"


def _reading_fault(question: Question, step: Step, read: re.Match[str]) -> str:
    """The last step reads the answer off the last state."""
    state = _STATE.fullmatch(read[1])
    assert state
    part, item = [int(one) for one in state[3].split(", ") if one], int(question.slots["item"])
    found = bool(part) and part[len(part) // 2] == item
    if part and not found:
        return f"the search goes on in `{read[1]}`"
    rule = f"{question.family}_{'found' if found else 'empty'}"
    if (step.get("rule") or rule) != rule:
        return f"here it is {rule!r}, and not {step['rule']!r}"
    more = None
    if found:
        more = "1" if question.family == "looks" else f"{len(part)} div 2"
    return "" if read[2] == more else f"expected `{read[1]}[1]{f' + {more}' if more else ''}`"


def link_fault(question: Question, step: Step) -> str:
    return step_fault(question, step, {})


def _astray(items: list[int], item: int) -> tuple[int, int]:
    """Where the search ends that always keeps the wrong half, and after how many looks."""
    low, high, looks = 0, len(items) - 1, 0
    while low <= high:
        middle = (low + high + 1) // 2
        looks += 1
        if items[middle] == item:
            return middle, looks
        low, high = (middle + 1, high) if items[middle] > item else (low, middle - 1)
    return low, looks


def wrongs(question: Question) -> dict[str, Any]:
    items, item = _items(question.slots["items"]), int(question.slots["item"])
    right = _right(question)
    place, looks = _astray(items, item)
    if question.family == "looks":
        return {
            "wrong_half": looks,
            "last_look_forgotten": right - 1,
            "from_the_start": sum(one <= item for one in items),
            "half_the_items": len(items) // 2,
        }
    low, high = 0, len(items)
    while True:  # the last part that was looked into
        middle = low + (high - low) // 2
        new = (low, middle) if item < items[middle] else (middle + 1, high)
        if items[middle] == item or new[0] == new[1]:
            break
        low, high = new
    inside = middle - low if items[middle] == item else right - low
    return {"wrong_half": place, "counted_from_one": right + 1, "place_in_part": inside}


def measure(question: Question) -> dict[str, Any]:
    items, item = _items(question.slots["items"]), int(question.slots["item"])
    places, gaps = _depths(0, len(items))
    place = bisect_left(items, item)
    return {
        "items": len(items),
        "looks": places[place] if item in items else gaps[place],
        "numbers": (min(items), max(items)),
    }
