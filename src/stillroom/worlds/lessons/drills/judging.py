"""The checker: questions taken apart by patterns, steps and answers judged without solving.

Cups are followed backwards from the answer; chains, sums, products and differences are compared
with whole numbers, prefix by prefix; a sorted prefix is in order and holds the right digits; an x
is put back into its equation.
"""

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from stillroom.worlds.lessons.drills.notation import Operands, split_of

_NUMBER = "(0|[1-9][0-9]*)"
_FORMS = {
    "cups": re.compile(r"cups ([1-9]):((?:[1-9]{2})+)(\.*)="),
    "chain": re.compile(r"chain ([0-9](?:[-+*][0-9])+)(\.*)="),
    "add": re.compile(rf"add (\.*){_NUMBER}\+(\.*){_NUMBER}="),
    "sort": re.compile(r"sort ([0-9]{2,})(\.*)="),
    "times": re.compile(rf"times ([2-9])\*(\.*){_NUMBER}="),
    "solve": re.compile(r"solve ([2-9])x\+([0-9]{1,99})=([0-9]{1,99}):"),
}


class Asked(NamedTuple):
    """A question as its text says it."""

    family: str
    size: int
    operands: Operands

    @property
    def split(self) -> str:
        """The split of an ordinary size; an equation's padding does not count."""
        bare = [operand.lstrip("0") for operand in self.operands]
        return split_of(self.family, tuple(bare) if self.family == "solve" else self.operands)


def take_apart(question: str, rooms: dict[str, int], cups: int) -> Asked:
    """What a question asks; `rooms` holds each family's slots. ValueError: in no notation."""
    family = question.partition(" ")[0]
    if family not in rooms:
        raise ValueError(f"a question begins with one of {', '.join(rooms)}: {question!r:.60}")
    found = _FORMS[family].fullmatch(question)
    if found is None:
        raise ValueError(f"not how a question of {family} is written: {question!r:.60}")
    parts = found.groups()
    if family == "cups":
        asked, dots = _swaps(parts, cups), len(parts[2]) // 2
        if len(parts[2]) % 2:
            raise ValueError(f"half a swap is left out: {question!r:.60}")
    elif family == "chain":
        asked, dots = Asked(family, len(parts[0]) // 2, parts[:1]), len(parts[1]) // 2
        if len(parts[1]) % 2:
            raise ValueError(f"half an operation is left out: {question!r:.60}")
    elif family == "add":
        asked, dots = Asked(family, len(parts[1]), (parts[1], parts[3])), len(parts[0])
        if len(parts[1]) != len(parts[3]) or parts[0] != parts[2]:
            raise ValueError(f"the terms have not the same length: {question!r:.60}")
    elif family == "sort":
        asked, dots = Asked(family, len(parts[0]), parts[:1]), len(parts[1])
    elif family == "times":
        asked, dots = Asked(family, len(parts[2]), (parts[0], parts[2])), len(parts[1])
    else:
        asked, dots = _equation(parts)
    room = max(rooms[family], asked.size)
    if asked.size + dots != room:
        raise ValueError(f"{asked.size + dots} slots, and not {room}: {question!r:.60}")
    return asked


def _swaps(parts: Operands, cups: int) -> Asked:
    ball, swaps = parts[:2]
    beyond = [place for place in ball + swaps if int(place) > cups]
    if beyond:
        raise ValueError(f"there is no cup {beyond[0]} among {cups}")
    same = [a for a, b in zip(swaps[::2], swaps[1::2], strict=True) if a == b]
    if same:
        raise ValueError(f"cup {same[0]} is swapped with itself")
    return Asked("cups", len(swaps) // 2, (ball, swaps))


def _equation(parts: Operands) -> tuple[Asked, int]:
    factor, added, right = parts
    b = str(int(added))
    x, rest = divmod(int(right) - int(b), int(factor))
    if rest or not 2 <= x <= 12:
        raise ValueError(f"no x from 2 to 12 solves {factor}x+{added}={right}")
    if b == "0" or len(right) != len(added) + 1:
        raise ValueError(f"{added} and {right} are not how its numbers are written")
    return Asked("solve", len(b), parts), len(added) - len(b)


def answer_fault(asked: Asked, answer: str) -> str:
    """What is wrong with the answer; empty when nothing is."""
    if not re.fullmatch("[0-9]{1,99}", answer):
        return f"{answer!r:.40} is not a number"
    return _ANSWERS[asked.family](asked.operands, answer)


def steps_fault(asked: Asked, steps: list[str]) -> str:
    """The first step that does not follow, and why; empty when all do."""
    count = asked.size
    if asked.family == "sort":
        count = asked.size - 1
    elif asked.family == "solve":
        count = len(asked.operands[2]) + 1
    judge = _STEPS[asked.family]
    for place, step in enumerate(steps[:count]):
        fault = judge(asked.operands, steps, place)
        if fault:
            return f"step {place + 1} of {count}, {step!r:.40}: {fault}"
    return "" if len(steps) == count else f"{len(steps)} steps, and not {count}"


# Cups: a swap undone leads back to where the ball was before it.


def _undone(place: str, swap: str) -> str:
    return swap[1 - swap.index(place)] if place in swap else place


def _cups_step(operands: Operands, steps: list[str], place: int) -> str:
    swap = operands[1][2 * place : 2 * place + 2]
    if len(steps[place]) != 1:
        return "it is not one cup"
    before = steps[place - 1] if place else operands[0]
    back = _undone(steps[place], swap)
    return "" if back == before else f"undoing {swap} leads to cup {back}, not to cup {before}"


def _cups_answer(operands: Operands, answer: str) -> str:
    ball, swaps = operands
    if len(answer) != 1:
        return f"{answer} is not one cup"
    back = answer
    for n in range(len(swaps) - 2, -1, -2):
        back = _undone(back, swaps[n : n + 2])
    return "" if back == ball else f"all swaps undone lead from {answer} to cup {back}, not {ball}"


# Chains: whole numbers, of which the last digit is taken once, at the end.

_APPLIED: dict[str, Callable[[int, int], int]] = {
    "+": int.__add__,
    "-": int.__sub__,
    "*": int.__mul__,
}


def _whole(chain: str) -> int:
    value = int(chain[0])
    for sign, operand in zip(chain[1::2], chain[2::2], strict=True):
        value = _APPLIED[sign](value, int(operand))
    return value


def _chain_fault(chain: str, said: str) -> str:
    value = _whole(chain)
    # The difference is divisible by ten: residues of negative numbers need no rule of their own.
    right = re.fullmatch("[0-9]", said) and (value - int(said)) % 10 == 0
    return "" if right else f"{chain} is {value} in whole numbers"


def _chain_step(operands: Operands, steps: list[str], place: int) -> str:
    return _chain_fault(operands[0][: 2 * place + 3], steps[place])


def _chain_answer(operands: Operands, answer: str) -> str:
    return _chain_fault(operands[0], answer)


# Sums and products: what the right-hand digits of the operands give, as whole numbers.


def _ends(operands: Operands, count: int) -> list[int]:
    """The numbers that the last `count` digits of each operand make."""
    return [int(operand[-count:]) if count else 0 for operand in operands]


def _digit(text: str, place: int) -> str:
    return text[-1 - place]


def _add_step(operands: Operands, steps: list[str], place: int) -> str:
    found = re.fullmatch("([0-9])([0-9]):([0-9])([0-9])", steps[place])
    if found is None:
        return "not two digits, a colon, a digit and a carry"
    if [found[1], found[2]] != [_digit(operand, place) for operand in operands]:
        return "the digits are not those of the terms"
    total = sum(_ends(operands, place + 1))
    if int(found[4] + found[3]) != total // 10**place:
        return f"the terms' last {place + 1} digits make {total}"
    return ""


def _add_answer(operands: Operands, answer: str) -> str:
    return _size_fault(answer, sum(map(int, operands)), len(operands[0]) + 1)


def _size_fault(answer: str, right: int, digits: int) -> str:
    if int(answer) != right:
        return f"it is {right}, not {answer}"
    return "" if len(answer) == digits else f"{answer} has not {digits} digits"


def _times_step(operands: Operands, steps: list[str], place: int) -> str:
    found = re.fullmatch(r"([0-9]):([0-9]{2})\+([0-9])=([0-9]{2})", steps[place])
    if found is None:
        return "not a digit, a product, a carry and their sum"
    factor, number = operands
    if found[1] != _digit(number, place):
        return f"the digit there is {_digit(number, place)}"
    if divmod(int(found[2]), int(factor)) != (int(found[1]), 0):
        return f"{found[2]} divided by {factor} is not {found[1]}"
    before, after = (int(factor) * _ends((number,), place + n)[0] for n in (0, 1))
    if int(found[3]) != before // 10**place:
        return f"{before} has been multiplied so far, which carries {before // 10**place}"
    if int(found[4]) != after // 10**place:
        return f"the last {place + 1} digits times {factor} are {after}"
    return ""


def _times_answer(operands: Operands, answer: str) -> str:
    return _size_fault(answer, int(operands[0]) * int(operands[1]), len(operands[1]) + 1)


# Sorting: in order, and the same digits.


def _sort_fault(digits: str, said: str) -> str:
    if Counter(digits) != Counter(said):
        return f"it holds other digits than {digits}"
    falls = [a + b for a, b in pairwise(said) if a > b]
    return f"{falls[0]} is not in order" if falls else ""


def _sort_step(operands: Operands, steps: list[str], place: int) -> str:
    return _sort_fault(operands[0][: place + 2], steps[place])


def _sort_answer(operands: Operands, answer: str) -> str:
    return _sort_fault(operands[0], answer)


# Equations: what is left is added to b again, and x is put back.


def _solve_step(operands: Operands, steps: list[str], place: int) -> str:
    factor, added, right = operands
    if place == len(right):
        found = re.fullmatch("([0-9]+)x=([0-9]+)", steps[place])
        if found is None or found[1] != factor or len(found[2]) != len(right):
            return f"not {factor}x and {len(right)} digits"
        again = int(found[2]) + int(added)
        return "" if again == int(right) else f"{found[2]} and {added} make {again}, not {right}"
    found = re.fullmatch("([0-9])([0-9]):([0-9])([01])", steps[place])
    if found is None:
        return "not two digits, a colon, a digit and a borrow of 0 or 1"
    if [found[1], found[2]] != [_digit(one, place) for one in (right, "0" + added)]:
        return "the digits are not those of the two numbers"
    written = "".join(step[3:4] for step in reversed(steps[: place + 1]))
    upper, lower = (int(one[-1 - place :]) for one in (right, added))
    again = int(written) + lower
    if again != upper + int(found[4]) * 10 ** (place + 1):
        return f"{written} and {lower} make {again}, not {upper} with what was borrowed"
    return ""


def _solve_answer(operands: Operands, answer: str) -> str:
    factor, added, right = map(int, operands)
    if len(answer) != 2:
        return f"{answer} has not two digits"
    back = factor * int(answer) + added
    return "" if back == right else f"{factor}x + {added} with x = {answer} is {back}, not {right}"


_Judge = Callable[[Operands, list[str], int], str]
_STEPS: dict[str, _Judge] = {
    "cups": _cups_step,
    "chain": _chain_step,
    "add": _add_step,
    "sort": _sort_step,
    "times": _times_step,
    "solve": _solve_step,
}
_ANSWERS: dict[str, Callable[[Operands, str], str]] = {
    "cups": _cups_answer,
    "chain": _chain_answer,
    "add": _add_answer,
    "sort": _sort_answer,
    "times": _times_answer,
    "solve": _solve_answer,
}
