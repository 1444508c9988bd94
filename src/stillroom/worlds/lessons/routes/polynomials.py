"""Polynomials in x for the routes that meet them: exact values of formulas with D and I.

A polynomial is the tuple of its coefficients, that of x^0 first. `I(p)` holds up to a constant.
"""

from fractions import Fraction
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from stillroom.worlds.lessons.formula import Node, Unreadable, number, parse
from stillroom.worlds.lessons.notation import read_side

Poly = tuple[int | Fraction, ...]


def trim(found: list[Any]) -> Poly:
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def plus(left: Poly, right: Poly, sign: int = 1) -> Poly:
    return trim([a + sign * b for a, b in zip_longest(left, right, fillvalue=0)])


def times(left: Poly, right: Poly) -> Poly:
    if len(left) == 1:
        return tuple(left[0] * b for b in right)
    found: list[Any] = [0] * max(0, len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            found[i + j] += a * b
    return trim(found)


def power(p: Poly, exponent: int) -> Poly:
    if p == (0, 1):
        return (*[0] * exponent, 1)
    found: Poly = (1,)
    for _ in range(exponent):
        found = times(found, p)
    return found


def derivative(p: Poly) -> Poly:
    return trim([n * c for n, c in enumerate(p)][1:])


def _share(value: int | Fraction, parts: int) -> int | Fraction:
    """A quotient, as a plain number where that is possible."""
    if isinstance(value, int) and value % parts == 0:
        return value // parts
    return number(str(Fraction(value) / parts))


def antiderivative(p: Poly) -> Poly:
    return trim([0, *(_share(c, n + 1) for n, c in enumerate(p))])


def at(p: Poly, place: int | Fraction) -> int | Fraction:
    """The value at a place, by Horner's rule."""
    total: int | Fraction = 0
    for c in reversed(p):
        total = total * place + c
    return total


@lru_cache(maxsize=4_000)
def poly(node: Node) -> Poly:
    """The polynomial that a tree stands for; D and I are carried out."""
    head = node[0]
    if head == "num":
        return trim([number(node[1])])
    if head == "x":
        return (0, 1)
    if head == "()":
        return poly(node[1])
    if head == "neg":
        return plus((), poly(node[1]), -1)
    if head in ("+", "-"):
        return plus(poly(node[1]), poly(node[2]), 1 if head == "+" else -1)
    if head == "×":
        return times(poly(node[1]), poly(node[2]))
    if head == "/" and len(below := poly(node[2])) == 1:
        return tuple(Fraction(c) / below[0] for c in poly(node[1]))
    if head == "^" and node[2][0] == "num" and node[2][1].isdigit() and int(node[2][1]) <= 16:
        return power(poly(node[1]), int(node[2][1]))
    if head == "call" and node[1] == "D":
        return derivative(poly(node[2]))
    if head == "call" and node[1] == "I":
        whole = antiderivative(poly(node[2]))
        if len(node) == 3:
            return whole
        low, high = poly(node[3]), poly(node[4])
        if max(len(low), len(high)) > 1:
            raise Unreadable("the limits of an integral are numbers")
        return trim([at(whole, sum(high)) - at(whole, sum(low))])
    raise Unreadable(f"{head!r} has no place in a polynomial")


@lru_cache(maxsize=4_000)
def polynomial(text: str) -> Poly:
    return poly(read_side(text)[0])


def value(text: str) -> list[int | Fraction]:
    """A polynomial, as the list of its coefficients."""
    return list(polynomial(text))


@lru_cache(maxsize=4_000)
def truth(text: str) -> bool | None:
    """Whether a statement is an identity; one with an indefinite I, up to a constant."""
    formula = parse(text)
    sides = [poly(side) for side in formula.sides]
    if any(map(_indefinite, formula.sides)):
        sides = [side[1:] for side in sides]
    links = zip(sides, formula.relations, sides[1:], strict=False)
    if not set(formula.relations) <= {"=", "≠"}:
        raise Unreadable("polynomials are equal or not")
    return all((a == b) == (sign == "=") for a, sign, b in links) if formula.relations else None


def _indefinite(node: Node) -> bool:
    if node[0] == "call" and node[1] == "I" and len(node) == 3:
        return True
    return any(isinstance(kid, tuple) and _indefinite(kid) for kid in node)


def x_fault(text: str) -> str:
    return "" if truth(text) is not False else "this is not the same for every x"


def written(p: Poly) -> str:
    """The one way to write a polynomial: falling exponents, fractions in brackets."""
    text = ""
    for n in range(len(p) - 1, -1, -1):
        size, letter = abs(p[n]), "" if n == 0 else "x" if n == 1 else f"x^{n}"
        if size:
            one = f"({size})" if "/" in str(size) and letter else str(size)
            one = letter if size == 1 and letter else f"{one}{letter}"
            text += (f" {'+' if p[n] > 0 else '-'} " if text else "-" if p[n] < 0 else "") + one
    return text or "0"


def terms(node: Node, sign: int = 1) -> list[tuple[int, Node]]:
    """The terms of a sum with their signs."""
    if node[0] in ("+", "-"):
        return terms(node[1], sign) + terms(node[2], sign if node[0] == "+" else -sign)
    return terms(node[1], -sign) if node[0] == "neg" else [(sign, node)]


def calls(node: Node) -> list[Node]:
    """What stands in the D( ) and I( ) of a tree, leaving out what is inside of another."""
    if node[0] == "call":
        return [node[2]]
    return [one for kid in node[1:] if isinstance(kid, tuple) for one in calls(kid)]
