"""Operands drawn at random, many at a time: numpy's cost is by the call, not by the number."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stillroom.worlds.lessons.drills.notation import Operands

_Whole = npt.NDArray[np.int64]

# A product by 0, 2, 4, 5, 6 or 8 would forget what came before, and 0 would be the best guess:
# by these alone all ten digits stay equally likely, and every step is needed.
_OPERANDS = {"+": "123456789", "-": "123456789", "*": "379"}
_OPERATIONS = tuple(sign + digit for sign, digits in _OPERANDS.items() for digit in digits)


def draw(family: str, size: int, cups: int, rng: np.random.Generator, count: int) -> list[Operands]:
    """`count` times the operands of a question; they may repeat."""
    if family == "cups":
        return _cups(size, cups, rng, count)
    return _DRAWN[family](size, rng, count)


def _texts(digits: _Whole) -> list[str]:
    """Rows of digits as texts."""
    length = digits.shape[1]
    text = (digits + ord("0")).astype(np.uint8).tobytes().decode()
    return [text[n : n + length] for n in range(0, len(text), length)]


def _numbers(size: int, rng: np.random.Generator, count: int, least: int = 1) -> list[str]:
    """Numbers of so many digits; the first digit is `least` or more."""
    digits = rng.integers(0, 10, (count, size))
    digits[:, 0] = rng.integers(least, 10, count)
    return _texts(digits)


def _cups(size: int, cups: int, rng: np.random.Generator, count: int) -> list[Operands]:
    balls = rng.integers(1, cups + 1, count).tolist()
    one = rng.integers(cups, size=(count, size))
    other = (one + rng.integers(1, cups, (count, size))) % cups
    swaps = _texts(np.stack([one, other], axis=2).reshape(count, 2 * size) + 1)
    return [(str(ball), swap) for ball, swap in zip(balls, swaps, strict=True)]


def _chain(size: int, rng: np.random.Generator, count: int) -> list[Operands]:
    first = rng.integers(10, size=count).tolist()
    rows = rng.integers(len(_OPERATIONS), size=(count, size)).tolist()
    return [
        (str(digit) + "".join([_OPERATIONS[n] for n in row]),)
        for digit, row in zip(first, rows, strict=True)
    ]


def _add(size: int, rng: np.random.Generator, count: int) -> list[Operands]:
    least = 0 if size == 1 else 1
    left, right = (_numbers(size, rng, count, least) for _ in range(2))
    return list(zip(left, right, strict=True))


def _sort(size: int, rng: np.random.Generator, count: int) -> list[Operands]:
    return [(text,) for text in _numbers(size, rng, count, 0)]


def _times(size: int, rng: np.random.Generator, count: int) -> list[Operands]:
    factors = map(str, rng.integers(2, 10, count).tolist())
    return list(zip(factors, _numbers(size, rng, count, 0 if size == 1 else 1), strict=True))


def _solve(size: int, rng: np.random.Generator, count: int) -> list[Operands]:
    factors = rng.integers(2, 10, count).tolist()
    unknowns = rng.integers(2, 13, count).tolist()
    return [
        (str(a), b, str(a * x + int(b)))
        for a, x, b in zip(factors, unknowns, _numbers(size, rng, count), strict=True)
    ]


_DRAWN: dict[str, Callable[[int, np.random.Generator, int], list[Operands]]] = {
    "chain": _chain,
    "add": _add,
    "sort": _sort,
    "times": _times,
    "solve": _solve,
}
