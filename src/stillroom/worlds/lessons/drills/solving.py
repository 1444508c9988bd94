"""The maker: each question worked out step by step, going on from what was written down."""

from collections.abc import Callable

Hand = Callable[[int, str], str]
"""Writes step n (from 0) and gives what stands there then; a slip of the hand is carried on."""

_Solved = tuple[list[str], str]


def _faithful(place: int, step: str) -> str:
    return step


def solve(question: str, hand: Hand = _faithful) -> _Solved:
    """The steps of a question and its answer."""
    family, _, rest = question.partition(" ")
    return _SOLVERS[family](rest[:-1].replace(".", ""), hand)


def _cups(text: str, hand: Hand) -> _Solved:
    place, swaps = text.split(":")
    steps: list[str] = []
    for n in range(0, len(swaps), 2):
        one, other = swaps[n], swaps[n + 1]
        if place == one:
            place = other
        elif place == other:
            place = one
        place = hand(n // 2, place)
        steps.append(place)
    return steps, place


def _chain(text: str, hand: Hand) -> _Solved:
    value = text[0]
    steps: list[str] = []
    for n in range(1, len(text), 2):
        before, sign, operand = int(value), text[n], int(text[n + 1])
        if sign == "+":
            after = before + operand
        elif sign == "-":
            after = before - operand
        else:
            after = before * operand
        value = hand(n // 2, str(after % 10))
        steps.append(value)
    return steps, value


def _add(text: str, hand: Hand) -> _Solved:
    left, right = text.split("+")
    digits, carry = "", "0"
    steps: list[str] = []
    for n, (one, other) in enumerate(zip(left[::-1], right[::-1], strict=True)):
        out, digit = divmod(int(one) + int(other) + int(carry), 10)
        step = hand(n, f"{one}{other}:{digit}{out}")
        digits, carry = step[3] + digits, step[4]
        steps.append(step)
    return steps, carry + digits


def _sort(text: str, hand: Hand) -> _Solved:
    prefix = text[0]
    steps: list[str] = []
    for n, digit in enumerate(text[1:]):
        place = len(prefix)
        while place and prefix[place - 1] > digit:
            place -= 1
        prefix = hand(n, prefix[:place] + digit + prefix[place:])
        steps.append(prefix)
    return steps, prefix


def _times(text: str, hand: Hand) -> _Solved:
    factor, number = text.split("*")
    digits, carry = "", "0"
    steps: list[str] = []
    for n, digit in enumerate(number[::-1]):
        product = int(factor) * int(digit)
        step = hand(n, f"{digit}:{product:02d}+{carry}={product + int(carry):02d}")
        digits, carry = step[-1] + digits, step[-2]
        steps.append(step)
    return steps, carry + digits


def _solve(text: str, hand: Hand) -> _Solved:
    product, right = text.split("=")
    factor, added = product.split("x+")
    rest, borrow = "", "0"
    steps: list[str] = []
    for n, (one, other) in enumerate(zip(right[::-1], added.zfill(len(right))[::-1], strict=True)):
        left = int(one) - int(other) - int(borrow)
        step = hand(n, f"{one}{other}:{left % 10}{int(left < 0)}")
        rest, borrow = step[3] + rest, step[4]
        steps.append(step)
    last = hand(len(steps), f"{factor}x={rest}")
    return [*steps, last], f"{int(last.partition('=')[2]) // int(factor):02d}"


_SOLVERS: dict[str, Callable[[str, Hand], _Solved]] = {
    "cups": _cups,
    "chain": _chain,
    "add": _add,
    "sort": _sort,
    "times": _times,
    "solve": _solve,
}
