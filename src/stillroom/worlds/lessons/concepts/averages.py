"""Mean, median and spread of lists, the value that a mean still lacks, the mean of two groups."""

from fractions import Fraction
from math import gcd
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    kind = dice.pick(limits["kind"])
    low, high = limits["number"]
    if kind == "together":
        return _together_sample(dice, low, high, content)
    words = content.data["words"]
    while True:
        size = dice.between(*limits["length"])
        # The numbers of one list are near to one another, as measured values are.
        top = dice.between(max(low, 6), high)
        values = [dice.between(max(1, top // 4), top) for _ in range(size)]
        if max(values) < low or values == sorted(values) or len(set(values)) < size - size // 4:
            continue
        total = sum(values)
        if kind == "missing":
            mean = dice.between(total // size - 1, total // size + 3)
            lacking = mean * (size + 1) - total
            if lacking < 1 or lacking > high or mean < 1:
                continue
            slots = {
                "list": _list(values),
                "number1": str(mean),
                "value": dice.pick(words["value"]),
            }
            return Instance(kind, slots, (values, mean))
        odd = kind in ("median_odd", "differ")
        if (odd and (size % 2 == 0 or len(set(values)) < size)) or (
            kind == "median_even" and size % 2
        ):
            continue
        if kind in ("mean", "differ") and total % size:
            values[-1] += size - total % size
            if values[-1] > high or max(values) < low or values == sorted(values):
                continue
            if kind == "differ" and len(set(values)) < size:
                continue
        if kind == "mean_broken" and total % size == 0:
            continue
        if kind == "differ" and Fraction(sum(values), size) <= _middle(values):
            continue
        name = kind.partition("_")[0]
        text = f"{name}({_list(values)})"
        if kind == "differ":
            text = f"mean({_list(values)}) - median({_list(values)})"
        return Instance("plain", {"formula": text}, (kind, values))


def _together_sample(dice: Dice, low: int, high: int, content: Content) -> Instance:
    words = content.data["words"]
    while True:
        counts = [dice.between(3, 30) for _ in range(2)]
        # The mean of all is whole if the two means differ by a multiple of this.
        step = sum(counts) // gcd(*counts)
        lower = dice.between(2, high)
        upper = lower + step * dice.between(1, 3)
        if counts[0] == counts[1] or not low <= upper <= high:
            continue
        means = [lower, upper] if dice.fraction() < 0.5 else [upper, lower]
        numbers = (counts[0], means[0], counts[1], means[1])
        slots = {f"number{n}": str(one) for n, one in enumerate(numbers, 1)}
        slots |= {"trait": dice.pick(words["trait"]), "group": dice.pick(words["group"])}
        return Instance("together", slots, numbers)


def _list(values: list[int]) -> str:
    return f"[{', '.join(map(str, values))}]"


def _sum(values: list[int]) -> str:
    return " + ".join(map(str, values))


def _middle(values: list[int]) -> Fraction:
    ordered = sorted(values)
    half = len(values) // 2
    if len(values) % 2:
        return Fraction(ordered[half])
    return Fraction(ordered[half - 1] + ordered[half], 2)


class _Chain:
    """Statements, each going on where the one before ended; `left` and `right` stay around them."""

    def __init__(self, begin: str, left: str = "", right: str = "") -> None:
        self.steps: list[Step] = []
        self.now, self.left, self.right = begin, left, right

    def step(self, rule: str, after: str, **slots: str) -> None:
        texts = [f"{self.left}{text}{self.right}" for text in (self.now, after)]
        self.steps.append(Step(rule, (" = ".join(texts),), slots))
        self.now = after

    def mean(self, values: list[int]) -> None:
        count, total = len(values), sum(values)
        self.step("share", f"({_sum(values)}) ÷ {count}", count=str(count))
        self.step("add_up", f"{total} ÷ {count}")
        self.step("divide", str(Fraction(total, count)))

    def median(self, values: list[int]) -> None:
        ordered = sorted(values)
        self.step("order", f"median({_list(ordered)})")
        half = len(values) // 2
        if len(values) % 2:
            self.step("middle", str(ordered[half]))
            return
        low, high = ordered[half - 1], ordered[half]
        self.step("two_middles", f"({low} + {high}) ÷ 2")
        self.step("join_two", f"{low + high} ÷ 2")
        self.step("halve", str(Fraction(low + high, 2)))


def solve(instance: Instance) -> Solution:
    if instance.family == "missing":
        return _missing(*instance.given)
    if instance.family == "together":
        return _together(*instance.given)
    kind, values = instance.given
    count = len(values)
    if kind == "differ":
        median = f"median({_list(values)})"
        chain = _Chain(f"mean({_list(values)})", right=f" - {median}")
        chain.mean(values)
        mean, chain.left, chain.right, chain.now = chain.now, f"{chain.now} - ", "", median
        chain.median(values)
        middle, chain.left, chain.now = chain.now, "", f"{mean} - {chain.now}"
        chain.step("subtract", str(Fraction(mean) - Fraction(middle)))
        proof = ("add_back", {"proof": f"{middle} + {chain.now} = {mean}"})
        return Solution(chain.steps, chain.now, proof)
    chain = _Chain(instance.slots["formula"])
    if kind.startswith("mean"):
        chain.mean(values)
        proof = ("everyone", {"proof": f"{count} × {chain.now} = {_sum(values)}"})
    elif kind == "spread":
        chain.step("ends", f"max({_list(values)}) - min({_list(values)})")
        low, high = min(values), max(values)
        chain.step("read_ends", f"{high} - {low}")
        chain.step("span", str(high - low))
        proof = ("climb", {"proof": f"{low} + {chain.now} = {high}"})
    else:
        chain.median(values)
        ordered, half = sorted(values), count // 2
        proof = ("other_end", {"proof": _both_ends(ordered, chain.now)})
        if count % 2 == 0:
            text = f"{ordered[half]} - {chain.now} = {chain.now} - {ordered[half - 1]}"
            proof = ("as_far", {"proof": text})
    return Solution(chain.steps, chain.now, proof)


def _both_ends(ordered: list[int], middle: str) -> str:
    text = _list(ordered)
    return f"place({text}, {middle}) = place(reverse({text}), {middle})"


def _missing(values: list[int], mean: int) -> Solution:
    count, total = len(values) + 1, sum(values)
    needed = mean * count
    answer = str(needed - total)
    steps = [
        Step("needed", (f"{count} × {mean} = {needed}",), {"count": str(count)}),
        Step("so_far", (f"{_sum(values)} = {total}",)),
        Step("gap", (f"{needed} - {total} = {answer}",)),
    ]
    text = f"({_sum(values)} + {answer}) ÷ {count} = {mean}"
    return Solution(steps, answer, ("put_in", {"proof": text}))


def _together(first: int, mean1: int, second: int, mean2: int) -> Solution:
    a, b = first * mean1, second * mean2
    count = first + second
    answer = str(Fraction(a + b, count))
    steps = [
        Step("first_total", (f"{first} × {mean1} = {a}",)),
        Step("second_total", (f"{second} × {mean2} = {b}",)),
        Step("both_totals", (f"{a} + {b} = {a + b}",)),
        Step("both_counts", (f"{first} + {second} = {count}",)),
        Step("share_all", (f"{a + b} ÷ {count} = {answer}",)),
    ]
    proof = f"{count} × {answer} = {first} × {mean1} + {second} × {mean2}"
    return Solution(steps, answer, ("weigh", {"proof": proof}))


def mistakes(instance: Instance) -> list[Slip]:
    answer = solve(instance).answer
    left = instance.slots.get("formula", answer)
    found: list[tuple[str, Fraction | int]] = []
    if instance.family == "together":
        first, mean1, second, mean2 = instance.given
        found.append(("mean_of_means", Fraction(mean1 + mean2, 2)))
        found.append(("totals_halved", Fraction(first * mean1 + second * mean2, 2)))
    elif instance.family == "missing":
        values, mean = instance.given
        found.append(("mean_again", mean))
        found.append(("one_too_few", mean * len(values) - sum(values)))
    else:
        kind, values = instance.given
        mean = Fraction(sum(values), len(values))
        ends = Fraction(max(values) + min(values), 2)
        half = len(values) // 2
        if kind.startswith("mean"):
            found = [("not_shared", sum(values)), ("ends_only", ends)]
            found.append(("one_less", Fraction(sum(values), len(values) - 1)))
        elif kind == "spread":
            found = [("largest_alone", max(values)), ("ends_added", max(values) + min(values))]
            found.append(("first_and_last", abs(values[-1] - values[0])))
        elif kind == "differ":
            found = [("unsorted", mean - values[half]), ("ends_only", ends - _middle(values))]
        else:
            unsorted = Fraction(values[half] + values[(len(values) - 1) // 2], 2)
            found = [("unsorted", unsorted), ("ends_only", ends)]
            if kind == "median_even":
                found.append(("lower_middle", sorted(values)[half - 1]))
    return [Slip(name, left, str(wrong)) for name, wrong in found if wrong > 0]
