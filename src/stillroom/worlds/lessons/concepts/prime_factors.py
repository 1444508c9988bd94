"""Numbers taken apart into primes: prime after prime is divided out, then powers are gathered."""

from collections import Counter
from functools import cache
from math import prod
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

# Primes to draw from, by a third of how many are drawn: the more, the smaller.
_SMALL = ((2, 3), (2, 3, 5, 7), (2, 2, 2, 3, 3, 5, 7), (2, 2, 2, 2, 3, 3, 5, 7), (2, 2, 2, 2, 3, 5))


@cache
def _primes(low: int, high: int) -> tuple[int, ...]:
    return tuple(n for n in range(max(2, low), high + 1) if _divisor(n) == n)


@cache
def _divisor(number: int) -> int:
    """The smallest divisor above one."""
    prime = 2
    while prime * prime <= number:
        if number % prime == 0:
            return prime
        prime += 1
    return number


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    kind = dice.pick(limits["kind"])
    low, high = limits["number"]
    largest = _primes(*limits["largest"])
    while True:
        count = dice.between(*limits["factors"])
        small = _SMALL[min(count // 3, len(_SMALL) - 1)]
        found = [dice.pick(small) for _ in range(count - 1)] + [dice.pick(largest)]
        if kind == "product":
            cut = dice.between(1, count - 1)
            parts = [prod(found[:cut]), prod(found[cut:])]
            if min(parts) < 4 or any(_divisor(part) == part for part in parts):
                continue
        else:
            parts = [prod(found)]
        if low <= prod(parts) <= high:
            break
    if kind == "product":
        if dice.fraction() < 0.5:
            parts.reverse()
        return Instance("product", {"formula": f"{parts[0]} × {parts[1]}"}, parts)
    return Instance("plain", {"formula": str(parts[0])}, parts)


def _all_primes(parts: list[int]) -> list[int]:
    found = []
    for part in parts:
        while part > 1:
            prime = _divisor(part)
            found.append(prime)
            part //= prime
    return sorted(found)


def _write(primes: list[int]) -> str:
    counts = Counter(primes)
    return " × ".join(f"{p}^{n}" if n > 1 else str(p) for p, n in sorted(counts.items()))


def _plain(factors: list[int]) -> str:
    return " × ".join(map(str, factors))


def solve(instance: Instance) -> Solution:
    parts: list[int] = instance.given
    steps, done = [], list[int]()
    for n, part in enumerate(parts):
        later = parts[n + 1 :]
        while (prime := _divisor(part)) != part:
            before = _plain([*done, part, *later])
            slots = {"prime": str(prime), "rest": str(part)}
            done, part = [*done, prime], part // prime
            after = _plain([*done, part, *later])
            steps.append(Step("split", (f"{before} = {after}",), slots))
        done.append(part)
    before = _plain(done)
    if done != sorted(done):
        after = _plain(sorted(done))
        steps.append(Step("order", (f"{before} = {after}",)))
        before = after
    answer = _write(done)
    if answer != before:
        steps.append(Step("gather", (f"{before} = {answer}",)))
    # Each power by itself, and then all together.
    counts = sorted(Counter(done).items())
    powers = _plain([p**n for p, n in counts])
    if answer == powers:
        first, *others = sorted(done)
        proof = f"{answer} = {first} × {prod(others)}"
        return Solution(steps, answer, ("back", {"proof": proof}))
    proof = f"{answer} = {powers} = {prod(done)}"
    return Solution(steps, answer, ("powers", {"proof": proof}))


def mistakes(instance: Instance) -> list[Slip]:
    parts: list[int] = instance.given
    primes = _all_primes(parts)
    counts = sorted(Counter(primes).items())
    wrong = {
        "each_once": _plain([p for p, _ in counts]),
        "times_for_power": " × ".join(f"({p} × {n})" if n > 1 else str(p) for p, n in counts),
        "added": " + ".join(map(str, primes)),
    }
    if len(parts) == 2:
        wrong["first_only"] = _write(_all_primes(parts[:1]))
    else:
        wrong["last_forgotten"] = _write(primes[:-1])
    if len(counts) > 1 and any(n > 1 for _, n in counts):
        top = max(n for _, n in counts)
        wrong["one_exponent"] = " × ".join(f"{p}^{top}" for p, _ in counts)
    if all(n == 1 for _, n in counts):
        wrong.pop("each_once")
        wrong.pop("times_for_power")
    elif all(p**n == p * n for p, n in counts):  # 2^2 = 2 × 2
        wrong.pop("times_for_power")
    if {n for _, n in counts} == {max(n for _, n in counts)}:
        wrong.pop("one_exponent", None)
    return [Slip(name, instance.slots["formula"], text) for name, text in wrong.items()]
