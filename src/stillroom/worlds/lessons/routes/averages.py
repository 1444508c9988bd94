"""Averages, checked by balance: deviations cancel, as many values lie above as below."""

import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from statistics import mean, median
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.routes import Question, Step

_LIST = r"\[(\d+(?:, \d+)*)\]"
_QUESTION = re.compile(rf"(mean|median|spread)\({_LIST}\)|mean\({_LIST}\) - median\({_LIST}\)")

PROOF_SIGNS = {"everyone": " × ", "put_in": " ÷ ", "add_back": " + ", "climb": " + "}
PROOF_SIGNS |= {"as_far": " - ", "other_end": "place(reverse(", "weigh": " × "}


def start(question: Question) -> str:
    return question.slots.get("formula", "")


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.strip("[]").split(", ")]


def _asked(question: Question) -> tuple[str, list[int]]:
    """What is asked for, and of which numbers."""
    if question.family == "missing":
        return "missing", _numbers(question.slots["list"])
    if question.family == "together":
        return "together", [int(question.slots[f"number{n}"]) for n in range(1, 5)]
    found = _QUESTION.fullmatch(question.slots["formula"])
    if not found or found[3] != found[4]:
        raise ValueError(f"`{question.slots['formula']}` asks for no average")
    return found[1] or "differ", _numbers(found[2] or found[3])


def _balanced(numbers: list[int], middle: Fraction) -> bool:
    """Whether half of the numbers, taken off from both ends in turn, leaves this middle."""
    left = list(numbers)
    while len(left) > 2:
        left.remove(max(left))
        left.remove(min(left))
    return all(abs(number - middle) == abs(left[0] - middle) for number in left) and (
        sum(left) == middle * len(left)
    )


def answer_fault(question: Question, answer: str) -> str:
    found = Fraction(answer)
    if str(found) != answer:
        return f"{answer} is not in lowest terms, which is {found}"
    kind, numbers = _asked(question)
    if kind == "mean":
        off = sum((number - found for number in numbers), Fraction(0))
        return f"the deviations from {answer} make {off}, and not 0" if off else ""
    if kind == "median":
        return "" if _balanced(numbers, found) else f"{answer} does not lie in the middle"
    if kind == "spread":
        widest = max(abs(a - b) for a in numbers for b in numbers)
        return "" if found == widest else f"the two that differ most are {widest} apart"
    if kind == "missing":
        whole = [*map(Fraction, numbers), found]
        return "" if mean(whole) == int(question.slots["number1"]) else f"{answer} fails the mean"
    if kind == "together":
        first, mean1, second, mean2 = numbers
        everyone = [Fraction(mean1)] * first + [Fraction(mean2)] * second
        return "" if mean(everyone) == found else f"the mean of all is {mean(everyone)}"
    right = mean(map(Fraction, numbers)) - median(map(Fraction, numbers))
    return "" if found == right else f"the difference is {right}"


def plan_of_steps(question: Question) -> tuple[str, ...]:
    if question.family == "missing":
        return ("needed", "so_far", "gap")
    return ("first_total", "second_total", "both_totals", "both_counts", "share_all")


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if start(question):
        kind, numbers = _asked(question)
        if kind not in _USED[rule]:
            return f"{rule!r} has no place where the {kind} is asked for"
        pattern, rewrite = _REWRITINGS[rule]
        found = re.search(pattern, before)
        if not found:
            return f"`{before}` has nothing for this rule"
        expected = f"{before[: found.start()]}{rewrite(found)}{before[found.end() :]}"
        if slots and slots["count"] != str(before.partition("]")[0].count(",") + 1):
            return f"there are not {slots['count']} numbers"
        return "" if after == expected else f"expected `{expected}`"
    kind, numbers = _asked(question)
    texts: dict[str, tuple[str, int | Fraction]]
    if kind == "missing":
        goal = int(question.slots["number1"])
        count = len(numbers) + 1
        texts = {
            "needed": (f"{count} × {goal}", count * goal),
            "so_far": (" + ".join(map(str, numbers)), sum(numbers)),
            "gap": (f"{count * goal} - {sum(numbers)}", count * goal - sum(numbers)),
        }
        if slots and slots["count"] != str(count):
            return f"there are {count} numbers, and not {slots['count']}"
    else:
        first, mean1, second, mean2 = numbers
        a, b = first * mean1, second * mean2
        texts = {
            "first_total": (f"{first} × {mean1}", a),
            "second_total": (f"{second} × {mean2}", b),
            "both_totals": (f"{a} + {b}", a + b),
            "both_counts": (f"{first} + {second}", first + second),
            "share_all": (f"{a + b} ÷ {first + second}", Fraction(a + b, first + second)),
        }
    left, right = texts[rule]
    return "" if (before, after) == (left, str(right)) else f"expected `{left} = {right}`"


def _ordered(found: re.Match[str]) -> str:
    numbers, ordered = _numbers(found[1]), list[str]()
    while numbers:
        ordered.append(str(min(numbers)))
        numbers.remove(min(numbers))
    return f"median([{', '.join(ordered)}])"


def _one_middle(found: re.Match[str]) -> str:
    numbers = _numbers(found[1])
    if len(numbers) % 2 == 0 or any(a > b for a, b in pairwise(numbers)):
        return "no middle"
    return str(numbers[len(numbers) // 2])


def _two_middles(found: re.Match[str]) -> str:
    numbers = _numbers(found[1])
    if len(numbers) % 2 or any(a > b for a, b in pairwise(numbers)):
        return "no two middles"
    while len(numbers) > 2:
        numbers = numbers[1:-1]
    return f"({numbers[0]} + {numbers[1]}) ÷ 2"


def _added(found: re.Match[str]) -> str:
    return str(sum(map(int, found[1].split(" + "))))


def _divided(found: re.Match[str]) -> str:
    return str(Fraction(int(found[1]), int(found[2])))


def _all_shared(found: re.Match[str]) -> str:
    parts = found[1].split(", ")
    return f"({' + '.join(parts)}) ÷ {len(parts)}"


def _ends(found: re.Match[str]) -> str:
    numbers = _numbers(found[1])
    return f"{max(numbers)} - {min(numbers)}" if found[1] == found[2] else "two lists"


_REWRITINGS: dict[str, tuple[str, Callable[[re.Match[str]], str]]] = {
    "share": (rf"mean\({_LIST}\)", _all_shared),
    "add_up": (r"\((\d+(?: \+ \d+)+)\)(?= ÷)", _added),
    "divide": (r"(\d+) ÷ (\d+)", _divided),
    "order": (rf"median\({_LIST}\)", _ordered),
    "middle": (rf"median\({_LIST}\)", _one_middle),
    "two_middles": (rf"median\({_LIST}\)", _two_middles),
    "join_two": (r"\((\d+ \+ \d+)\)(?= ÷ 2$)", _added),
    "halve": (r"(\d+) ÷ (2)$", _divided),
    "ends": (rf"spread\({_LIST}\)", lambda m: f"max([{m[1]}]) - min([{m[1]}])"),
    "read_ends": (rf"max\({_LIST}\) - min\({_LIST}\)", _ends),
    "span": (r"(\d+) - (\d+)$", lambda m: str(int(m[1]) - int(m[2]))),
    "subtract": (r"(\d+) - (\d+)$", lambda m: str(int(m[1]) - int(m[2]))),
}
LINK_RULES = tuple(_REWRITINGS)
_USED: dict[str, tuple[str, ...]] = dict.fromkeys(("share", "add_up", "divide"), ("mean", "differ"))
_USED |= dict.fromkeys(("order", "middle"), ("median", "differ"))
_USED |= dict.fromkeys(("two_middles", "join_two", "halve"), ("median",))
_USED |= dict.fromkeys(("ends", "read_ends", "span"), ("spread",))
_USED |= {"subtract": ("differ",)}


def proof_fault(question: Question, proof: str) -> str:
    """A proof is one statement that does not begin with the question again."""
    again = proof.count(" = ") != 1 or question.slots.get("formula", proof + "?") in proof
    return "this repeats the steps" if again else ""


def wrongs(question: Question) -> dict[str, Any]:
    kind, numbers = _asked(question)
    if kind == "together":
        first, mean1, second, mean2 = numbers
        totals = first * mean1 + second * mean2
        return {
            "mean_of_means": Fraction(mean1 + mean2, 2),
            "totals_halved": Fraction(totals, 2),
        }
    values = [Fraction(number) for number in numbers]
    if kind == "missing":
        goal = int(question.slots["number1"])
        return {"mean_again": goal, "one_too_few": sum(goal - number for number in numbers)}
    ends = (max(values) + min(values)) / 2
    half = len(values) // 2
    unsorted = values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
    found: dict[str, Any] = {"ends_only": ends, "unsorted": unsorted}
    if kind == "mean":
        found = {"ends_only": ends, "not_shared": sum(numbers)}
        found["one_less"] = Fraction(sum(numbers), len(numbers) - 1)
    elif kind == "spread":
        found = {"largest_alone": max(numbers), "ends_added": max(numbers) + min(numbers)}
        found["first_and_last"] = abs(numbers[0] - numbers[-1])
    elif kind == "differ":
        found = {"unsorted": mean(values) - unsorted, "ends_only": ends - median(values)}
    elif len(numbers) % 2 == 0:
        below = [a for a in numbers if 2 * sum(b < a for b in numbers) < len(numbers)]
        found["lower_middle"] = max(below)
    return found


def measure(question: Question) -> dict[str, Any]:
    kind, numbers = _asked(question)
    if kind == "together":
        return {"kind": kind, "number": max(numbers[1], numbers[3])}
    if kind == "mean" and sum(numbers) % len(numbers):
        kind = "mean_broken"
    if kind == "median":
        kind = "median_odd" if len(numbers) % 2 else "median_even"
    return {"kind": kind, "number": max(numbers), "length": len(numbers)}
