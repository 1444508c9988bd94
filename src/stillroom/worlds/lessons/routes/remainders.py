"""Remainders, checked with plain whole numbers and, for clock and week, by counting round."""

import re
from functools import cache
from itertools import cycle, islice
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import Node, difference, evaluate, parse, value
from stillroom.worlds.lessons.routes import Question, Step

PROOF_SIGNS = {"whole": " + ", "week": "place(", "taken": " - "}

_FORMULA = re.compile(r"\(?\d+(?:\^\d+)?(?: [+×] \d+(?:\^\d+)?)*\)? mod \d+")
_LONE = re.compile(r"(\d+) mod (\d+)")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_STARTS = {
    "weekday": "{number1} mod 7",
    "repeats": "({number1} × {number2}) mod 7",
    "clock": "({number1} + {number2}) mod 24",
    "heaps": "({number1} + {number2}) mod {number3}",
    "boxes": "({number1} × {number2}) mod {number3}",
}


def start(question: Question) -> str:
    if question.family == "plain":
        return question.slots["formula"]
    return _STARTS[question.family].format(**question.slots)


def _parts(question: Question) -> tuple[str, int]:
    """What is divided, and by what."""
    text = start(question)
    if not _FORMULA.fullmatch(text):
        raise ValueError(f"`{text}` is no question about a remainder")
    inside, _, modulus = text.rpartition(" mod ")
    return inside.removeprefix("(").removesuffix(")"), int(modulus)


@cache
def _week(day: str) -> tuple[str, ...]:
    return tuple(islice(cycle(_DAYS), _DAYS.index(day), _DAYS.index(day) + 7))


def _shown(day: str, ahead: int) -> str:
    """The day so many days after another, counted round the week."""
    return f'"{next(islice(cycle(_week(day)), ahead % 70, None))}"'


def answer_fault(question: Question, answer: str) -> str:
    inside, modulus = _parts(question)
    total = value(inside)
    if "day" in question.slots:
        right = _shown(question.slots["day"], total)
    elif question.family == "clock":
        right = str(next(islice(cycle(range(24)), total, None)))
    else:
        right = str(total - total // modulus * modulus)
    return "" if answer == right else f"the answer is {right}, and not {answer}"


def _list_fault(question: Question, step: Step) -> str:
    """Whether a step that reads a day off has the right list."""
    if "day" not in question.slots:
        return "no day was asked for"
    days = ", ".join(f'"{day}"' for day in _week(question.slots["day"]))
    found = re.fullmatch(rf"\[{days}\]\[\d\]", step["before"])
    return "" if found else f"the list of days should be [{days}]"


def link_fault(question: Question, step: Step) -> str:
    """A step told in short has to be what one rule does."""
    if step["before"].startswith("["):
        return _list_fault(question, step)
    if _LONE.fullmatch(step["before"]):
        rules: tuple[str, ...] = ("last", "below", "multiples")
    elif re.fullmatch(r"\(\d+ × (\d+) \+ \d+\) mod \1", step["before"]) and (
        step["after"].isdigit()
    ):
        rules = ("drop",)
    else:
        rules = ("replace", "multiply", "one", "square", "split_off", "add")
    faults = []
    for rule in rules:
        fault = step_fault(question, {**step, "rule": rule}, {})
        if not fault:
            return ""
        faults.append(fault)
    return faults[0]


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if rule == "name":
        if slots and slots.get("day", f'"{question.slots.get("day")}"') != (
            f'"{question.slots.get("day")}"'
        ):
            return f"the list begins with {question.slots.get('day')}"
        return _list_fault(question, step)
    _, modulus = _parts(question)
    if slots.get("modulus", str(modulus)) != str(modulus):
        return f"the division is by {modulus}"
    lone = _LONE.fullmatch(before)
    if rule in ("multiples", "last", "below"):
        if not lone:
            return f"`{before}` is not worked out inside"
        times, rest = divmod(int(lone[1]), modulus)
        expected = str(rest)
        if rule == "multiples":
            expected = f"({times} × {modulus} + {rest}) mod {modulus}"
        if rule != ("below" if times == 0 else "last" if times < 3 else "multiples"):
            return f"{lone[1]} holds {modulus} {times} times"
        return "" if after == expected else f"expected `{expected}`"
    if rule == "drop":
        parts = re.fullmatch(r"\((\d+) × (\d+) \+ (\d+)\) mod (\d+)", before)
        good = parts and parts[2] == parts[4] == str(modulus) and after == parts[3]
        return "" if good else "expected the multiples to be dropped"
    found = difference(_inside(before, modulus), _inside(after, modulus))
    if found is None:
        return "nothing changed"
    return _change_fault(rule, found[0], found[1], slots, modulus)


def _inside(text: str, modulus: int) -> Node:
    node = parse(text).sides[0]
    if node[0] != "mod" or node[2] != ("num", str(modulus)):
        raise ValueError(f"`{text}` is no remainder of a division by {modulus}")
    return node[1][1] if node[1][0] == "()" else node[1]  # type: ignore[no-any-return]


def _change_fault(rule: str, old: Node, new: Node, slots: Slots, modulus: int) -> str:
    """Whether `old` became `new` by the rule; both are the smallest parts that differ."""
    if rule == "replace":
        if old[0] != "num" or new[0] != "num":
            return "only one number may be replaced"
        rest = int(old[1]) % modulus
        if new[1] != str(rest) or old == new:
            return f"the remainder of {old[1]} is {rest}"
        shown = f"{old[1]} mod {modulus} = {rest}"
        good = slots.get("number", old[1]) == old[1] and slots.get("rest", shown) == shown
        return "" if good else f"the words do not say that {old[1]} leaves {rest}"
    if rule in ("multiply", "add"):
        sign = "×" if rule == "multiply" else "+"
        good = _numbers(old, sign) and new == ("num", str(evaluate(old)))
        return "" if good else f"expected one number in the place of what is joined by {sign}"
    if old[0] == "×" and new[0] == "×":  # `2 × 3^5` became `2 × 3 × 3^4`
        old, new = old[2], ("×", new[1][2], new[2]) if new[1][0] == "×" else new
    if old[0] != "^" or old[1][0] != "num" or old[2][0] != "num":
        return "no power was changed"
    base, exponent = int(old[1][1]), int(old[2][1])
    if slots.get("base", str(base)) != str(base):
        return f"the base is {base}"
    if rule == "one":
        return "" if base == 1 and new == ("num", "1") else "only powers of 1 are 1"
    half: Node = ("num", str(base * base))
    if exponent > 2:
        half = ("^", half, ("num", str(exponent // 2)))
    fewer: Node = ("^", old[1], ("num", str(exponent - 1)))
    if rule == "square":
        return "" if exponent % 2 == 0 and new == half else "expected the square of the base"
    if rule == "split_off":
        good = exponent % 2 and new == ("×", ("num", str(base)), fewer)
        return "" if good else "expected one factor to be split off"
    return f"no rule {rule!r} here"


def _numbers(node: Node, sign: str) -> bool:
    """Whether a node is numbers joined by one sign alone."""
    if node[0] == "num":
        return True
    return bool(node[0] == sign and all(_numbers(kid, sign) for kid in node[1:]))


def proof_fault(question: Question, proof: str) -> str:
    """The proof is about all that was divided."""
    inside, _ = _parts(question)
    good = proof.endswith(f" = {inside}") or proof.startswith(f"({inside} - ")
    return "" if good else f"it should be about `{inside}`"


def wrongs(question: Question) -> dict[str, Any]:
    inside, modulus = _parts(question)
    total = value(inside)
    day = question.slots.get("day")
    if day:
        ahead = {"counted_start": total - 1, "counted_too_far": total + 1}
        return {name: _shown(day, n).strip('"') for name, n in ahead.items()}
    found: dict[str, Any] = {}
    if question.family == "clock":
        found["counted_start"] = (total + 23) % 24
    if "^" in inside:
        shrunk = re.sub(r"\^(\d+)", lambda n: f"^{int(n[1]) % modulus}", inside)
        flat = re.sub(r"(\d+)\^(\d+)", r"\1 × \2", inside)
        found["exponent_reduced"] = value(re.sub(r"(?<![\^\d])(\d+)\^0", "1", shrunk)) % modulus
        found["times_exponent"] = value(flat) % modulus
        return found
    small = re.sub(r"\d+", lambda n: str(int(n[0]) % modulus), inside)
    return found | {
        "last_digit": int(str(total)[-1]) % modulus,
        "quotient": total // modulus,
        "not_again": value(small),
        "one_round": total - modulus,
    }


def measure(question: Question) -> dict[str, Any]:
    inside, modulus = _parts(question)
    factors = [part.partition("^") for part in re.split(r" [+×] ", inside)]
    bases = [int(base) for base, _, _ in factors]
    exponents = [int(exponent) for _, _, exponent in factors if exponent]
    if question.family != "plain":
        kind = question.family
    elif exponents:
        kind = "powers" if len(bases) > 1 else "power"
    elif len(bases) == 1:
        kind = "number"
    else:
        kind = "product" if " + " not in inside else "mixed" if "×" in inside else "sum"
    bases = bases[1:] if kind == "clock" else bases
    found = {
        "kind": kind,
        "numbers": (min(bases), max(bases)),
        "modulus": modulus,
        "operands": len(factors),
    }
    if exponents:
        found["exponent"] = (min(exponents), max(exponents))
    return found
