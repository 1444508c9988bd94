"""Binary numbers, checked by place values where the maker halves, and the other way round."""

import re
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.routes import Question, Step

PROOF_SIGNS = {"places": "dec(", "halves": "bin(", "decimal": "dec("}

_FORMULAS = {
    "to": re.compile(r"bin\(([1-9]\d*)\)"),
    "from": re.compile(r'dec\("(1[01]*)"\)'),
    "add": re.compile(r'bin\(dec\("1[01]*"\)(?: \+ dec\("1[01]*"\))+\)'),
}
_STATE = re.compile(r'(?:bin\((.+)\))?(?:(?<=\)) \+ )?(?:"([01]+)")?')
_DIGITS = re.compile(r'dec\("([01]+)"\)')


def start(question: Question) -> str:
    return question.slots["formula"]


def _weigh(digits: str) -> int:
    """The sum of the places that hold a one."""
    return sum(1 << n for n, digit in enumerate(reversed(digits)) if digit == "1")


def _given(question: Question) -> list[int]:
    """The numbers of the question."""
    text = question.slots["formula"]
    found = _FORMULAS[question.family].fullmatch(text)
    if not found:
        raise ValueError(f"`{text}` is no question of this kind")
    if question.family == "to":
        return [int(found[1])]
    return [_weigh(digits) for digits in _DIGITS.findall(text)]


def answer_fault(question: Question, answer: str) -> str:
    total = sum(_given(question))
    if question.family == "from":
        return "" if answer == str(total) else f"it is {total}, and not {answer}"
    found = re.fullmatch(r'"(1[01]*)"', answer)
    if not found:
        return f"`{answer}` is no binary number"
    return "" if _weigh(found[1]) == total else f"{answer} is {_weigh(found[1])}, and not {total}"


def _state(text: str) -> tuple[str, str]:
    """What is still inside bin(...), and the digits that are done."""
    found = _STATE.fullmatch(text)
    if not found or not text:
        raise ValueError(f"`{text}` is no binary number in the making")
    return found[1] or "", found[2] or ""


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if question.family == "from":
        return _place_fault(before, after, rule)
    (inside, done), (rest, more) = _state(before), _state(after)
    if rule in ("top", "front"):
        if slots.get("rest", inside) != inside or not inside.isdigit():
            return f"what is left is {inside}, which is not the leading part yet"
        if rule == "top" and inside != "1":
            return f"{inside} can be halved"
        good = not rest and more[: -len(done)] and _weigh(more[: -len(done)]) == int(inside)
        return "" if good and more.endswith(done) else f"{inside} goes in front of {done}"
    if len(more) != len(done) + 1 or more[1:] != done:
        return "one digit is to be put in front of those that are done"
    if question.family == "to":
        number = int(inside)
        if (rule == "odd") != (number & 1 == 1) or rule not in ("odd", "even"):
            return f"{number} is {'odd' if number & 1 else 'even'}"
        if more[0] != str(number & 1) or rest != str(number >> 1):
            return f"half of {number} is {number >> 1}, rest {number & 1}"
        said = (slots.get("number", inside), slots.get("half", f"{inside} div 2 = {rest}"))
        return (
            "" if said == (inside, f"{inside} div 2 = {rest}") else f"the words are not on {inside}"
        )
    return _column_fault(inside, rest, more[0], rule, slots)


_RULES = {
    "to": ("odd", "even", "top"),
    "from": ("weigh", "keep", "total"),
    "add": ("column", "carry", "front"),
}


def link_fault(question: Question, step: Step) -> str:
    """A step told in short has to be what one rule does."""
    faults = []
    for rule in _RULES[question.family]:
        try:
            faults.append(step_fault(question, {**step, "rule": rule}, {}))
        except ValueError as wrong:
            faults.append(str(wrong))
    return "" if "" in faults else faults[-1]


def _column_fault(inside: str, rest: str, digit: str, rule: str, slots: Slots) -> str:
    parts = inside.split(" + ")
    carry = [int(part) for part in parts if part.isdigit()]
    columns = _DIGITS.findall(inside)
    if not columns or len(columns) + len(carry) != len(parts) or len(carry) > 1:
        return f"`{inside}` is no sum with one carry"
    ones = [int(number[-1]) for number in columns] + carry
    total = sum(ones)
    new = [f'dec("{number[:-1]}")' for number in columns if len(number) > 1]
    new += [str(total >> 1)] if total > 1 else []
    if digit != str(total & 1) or rest != " + ".join(new):
        return (
            f"the column makes {total}: digit {total & 1}, and {' + '.join(new) or 'nothing'} left"
        )
    if rule != ("carry" if total > 1 else "column"):
        return f"the column makes {total}, so it is not {rule!r}"
    said = " + ".join(map(str, ones)) + (f" = {total}" if len(ones) > 1 else "")
    return "" if slots.get("column", said) == said else f"the column is {said}"


def _place_fault(before: str, after: str, rule: str) -> str:
    if rule == "weigh":
        digits = before[5:-2]
        places = [1 << n for n in range(len(digits) - 1, -1, -1)]
        expected = [f"{digit} × {place}" for digit, place in zip(digits, places, strict=True)]
        return "" if after == " + ".join(expected) else f"expected `{' + '.join(expected)}`"
    parts = before.split(" + ")
    if rule == "keep":
        expected = [part[4:] for part in parts if part.startswith("1 × ")]
    elif rule == "total" and len(parts) > 1 and "×" not in before:
        expected = [str(int(parts[0]) + int(parts[1])), *parts[2:]]
    else:
        return f"{rule!r} is not what `{before}` asks for"
    return "" if after == " + ".join(expected) else f"expected `{' + '.join(expected)}`"


def _digits(number: int) -> str:
    """Binary digits by the largest powers of two first."""
    power, out = 1, ""
    while power * 2 <= number:
        power *= 2
    while power:
        out += "1" if number >= power else "0"
        number -= power if number >= power else 0
        power //= 2
    return out


def wrongs(question: Question) -> dict[str, Any]:
    given = _given(question)
    total = sum(given)
    digits = _digits(total)
    if question.family == "to":
        swapped = digits.translate(str.maketrans("01", "10"))
        lost = digits[1:]
        return {"read_downwards": digits[::-1], "last_one_lost": lost, "signs_swapped": swapped}
    if question.family == "from":
        found = {"doubled": 2 * total, "ones_counted": digits.count("1")}
        return found | {"from_the_left": _weigh(digits[::-1])}
    both = 0
    for number in given:  # bits that stand in an odd number of the summands
        both = (both | number) - (both & number)
    plain = sum(int(_digits(number)) for number in given)
    longest = max(len(_digits(number)) for number in given)
    return {
        "carry_lost": _digits(both),
        "last_carry_lost": digits[-longest:],
        "as_decimals": str(plain),
    }


def measure(question: Question) -> dict[str, Any]:
    given = _given(question)
    bits = [len(_digits(number)) for number in given]
    return {"kind": question.family, "bits": (min(bits), max(bits)), "terms": len(given)}
