"""Probabilities of equally likely outcomes: count all, count the wanted ones, divide.

The maker counts with products and lists; the checker goes through every outcome.
"""

from math import comb, gcd
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

Count = tuple[str, str, int]  # rule, its formula, its value


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    family = dice.pick(limits["family"])
    words = content.data["words"]
    numbers: list[int] = []
    slots: dict[str, str] = {}
    if family.startswith("bag"):
        kinds = 3 if family in ("bag_not", "bag_exactly") else 2
        low = 3 if family in ("bag_three", "bag_exactly", "bag_at_least") else 2
        low = max(low, limits["balls"][0])
        numbers = [dice.between(low, limits["balls"][1]) for _ in range(kinds)]
        if family == "bag_at_least":
            numbers[0] = max(4, numbers[0])
        colours = dice.some(words["colour"], kinds)
        slots = {f"colour{n}": colour for n, colour in enumerate(colours, 1)}
        slots["things"] = dice.pick(words["things"])
    elif family.startswith("spinner"):
        sectors = dice.between(8, 24)
        numbers = [sectors, dice.between(2, sectors - 2)]
        if family == "spinner_multiple":
            numbers[1] = dice.between(2, sectors // 2)
        slots["thing"] = dice.pick(words["thing"])
    elif family.startswith("three_dice"):
        numbers = [dice.pick((4, 6, 8, 10, 12)) for _ in range(3)]
        numbers.append(dice.between(4, 6 if family == "three_dice_exactly" else 5))
    elif family.startswith("dice"):
        a, b = dice.pick((4, 6, 8, 10, 12)), dice.pick((4, 6, 8, 10, 12))
        numbers = [a, b, dice.between(3, a + b - 1)]
        if not 1 < len(_wanted_pairs(family, numbers)) <= 10:
            return sample(dice, limits, content)
    elif family == "coin_spinner":
        sectors = dice.between(4, 30)
        numbers = [sectors, dice.between(1, sectors - 2)]
        slots["face"] = dice.pick(words["face"])
        slots["thing"] = dice.pick(words["thing"])
    else:
        tosses = dice.between(3, 7)
        numbers = [tosses, dice.between(2, tosses - 1)]
        slots["faces"] = dice.pick(words["faces"])
    slots |= {f"number{n}": str(number) for n, number in enumerate(numbers, 1)}
    return Instance(family, slots, tuple(numbers))


def _wanted_pairs(family: str, numbers: Any) -> list[str]:
    first, second, total = numbers
    pairs = []
    for a in range(1, first + 1):
        for b in range(1, second + 1):
            if (
                (family == "dice_exactly" and a + b == total)
                or (family == "dice_at_least" and a + b >= total)
                or (family == "dice_at_most" and a + b <= total)
            ):
                pairs.append(f"{a} and {b}")
    return pairs


def _wanted_triples(family: str, numbers: Any) -> list[str]:
    """Rolls of three dice; the totals are small, so few first rolls come in question."""
    first, second, third, total = numbers
    triples = []
    for a in range(1, min(first, total - 2) + 1):
        for b in range(1, min(second, total - a - 1) + 1):
            for c in range(1, min(third, total - a - b) + 1):
                if a + b + c == total or family == "three_dice_at_most":
                    triples.append(f"{a} and {b} and {c}")
    return triples


def _listed(items: list[Any]) -> str:
    inside = ", ".join(f'"{item}"' if isinstance(item, str) else str(item) for item in items)
    return "size({" + inside + "})"


def _counts(family: str, numbers: tuple[int, ...]) -> list[Count]:
    """The counting steps; one counts all outcomes, the last the wanted ones."""
    if family.startswith("bag"):
        balls = " + ".join(map(str, numbers))
        n, wanted = sum(numbers), numbers[0]
        if family == "bag_one":
            # The wanted ones are given in the question; 1 × says that each of them counts once.
            return [("all", balls, n), ("given", f"{n} - {numbers[1]}", wanted)]
        if family == "bag_not":
            others = " + ".join(map(str, numbers[1:]))
            return [("all", balls, n), ("others", others, n - wanted)]
        bag: Count = ("bag", balls, n)
        if family == "bag_back":
            return [
                bag,
                ("pairs_back", f"{n} × {n}", n * n),
                ("wanted_back", f"{wanted} × {wanted}", wanted**2),
            ]
        if family == "bag_two":
            return [
                bag,
                ("pairs", f"{n} × {n - 1}", n * (n - 1)),
                ("wanted_pairs", f"{wanted} × {wanted - 1}", wanted * (wanted - 1)),
            ]
        if family == "bag_different":
            mixed = 2 * numbers[0] * numbers[1]
            return [
                bag,
                ("pairs", f"{n} × {n - 1}", n * (n - 1)),
                ("two_orders", f"2 × {numbers[0]} × {numbers[1]}", mixed),
            ]
        if family == "bag_three":
            return [
                bag,
                ("hands", f"C({n}, 3)", comb(n, 3)),
                ("wanted_hands", f"C({wanted}, 3)", comb(wanted, 3)),
            ]
        rest = n - wanted
        if family == "bag_at_least":
            three, four = comb(wanted, 3) * rest, comb(wanted, 4)
            return [
                bag,
                ("hands_of_four", f"C({n}, 4)", comb(n, 4)),
                ("three_fit", f"C({wanted}, 3) × {rest}", three),
                ("four_fit", f"C({wanted}, 4)", four),
                ("either", f"{three} + {four}", three + four),
            ]
        return [
            bag,
            ("hands", f"C({n}, 3)", comb(n, 3)),
            ("mixed_hands", f"C({wanted}, 2) × {rest}", comb(wanted, 2) * rest),
        ]
    if family.startswith("spinner"):
        n, bound = numbers
        fitting = list(range(bound + 1, n + 1))
        if family == "spinner_multiple":
            fitting = list(range(bound, n + 1, bound))
        everything: Count = ("sectors", _listed(list(range(1, n + 1))), n)
        return [everything, ("listed", _listed(fitting), len(fitting))]
    if family.startswith("three_dice"):
        a, b, c, _ = numbers
        triples = _wanted_triples(family, numbers)
        return [
            ("rolls_of_three", f"{a} × {b} × {c}", a * b * c),
            ("listed_triples", _listed(list(triples)), len(triples)),
        ]
    if family.startswith("dice"):
        a, b, _ = numbers
        pairs = _wanted_pairs(family, numbers)
        return [("rolls", f"{a} × {b}", a * b), ("listed_pairs", _listed(list(pairs)), len(pairs))]
    if family == "coin_spinner":
        n, bound = numbers
        return [("coin_and_spinner", f"2 × {n}", 2 * n), ("above", f"{n} - {bound}", n - bound)]
    tosses, heads = numbers
    all_tosses: Count = ("tosses", f"2^{tosses}", 2**tosses)
    if family == "coins_exactly":
        return [all_tosses, ("places", f"C({tosses}, {heads})", comb(tosses, heads))]
    ways = [comb(tosses, k) for k in range(heads, tosses + 1)]
    text = " + ".join(f"C({tosses}, {k})" for k in range(heads, tosses + 1))
    return [all_tosses, ("more_places", text, sum(ways))]


def _all(counts: list[Count]) -> int:
    """The number of all outcomes: counted before the wanted ones."""
    return next(n for rule, _, n in reversed(counts[:-1]) if not rule.endswith("_fit"))


def _ratio(wanted: int, of: int) -> str:
    factor = gcd(wanted, of)
    return str(wanted // factor) if of == factor else f"{wanted // factor}/{of // factor}"


def solve(instance: Instance) -> Solution:
    counts = _counts(instance.family, instance.given)
    steps = [Step(rule, (f"{text} = {value}",)) for rule, text, value in counts]
    of, wanted = _all(counts), counts[-1][2]
    answer = _ratio(wanted, of)
    steps.append(Step("divide", (f"{wanted} ÷ {of} = {answer}",)))
    rest = _ratio(of - wanted, of)
    return Solution(steps, answer, ("opposite", {"proof": f"{answer} + {rest} = 1"}))


def mistakes(instance: Instance) -> list[Slip]:
    family, numbers = instance.family, instance.given
    counts = _counts(family, numbers)
    of, wanted = _all(counts), counts[-1][2]
    left = _ratio(wanted, of)
    slips = []
    if of != wanted:
        slips.append(Slip("odds", left, _ratio(wanted, of - wanted)))
    if family == "dice_exactly":
        slips.append(Slip("sums_alike", left, _ratio(1, numbers[0] + numbers[1] - 1)))
    if family in ("bag_two", "bag_different"):
        n = numbers[0] + numbers[1]
        back = numbers[0] ** 2 if family == "bag_two" else 2 * numbers[0] * numbers[1]
        slips.append(Slip("put_back", left, _ratio(back, n * n)))
    if family == "bag_back":
        n = numbers[0] + numbers[1]
        kept = numbers[0] * (numbers[0] - 1)
        slips.append(Slip("kept_out", left, _ratio(kept, n * (n - 1))))
    if family == "bag_different":
        slips.append(Slip("one_order", left, _ratio(wanted // 2, of)))
    if family in ("bag_one", "bag_not"):
        slips.append(
            Slip("colours_alike", left, _ratio(1 if family == "bag_one" else 2, len(numbers)))
        )
    if family in ("spinner_above", "coin_spinner"):
        slips.append(Slip("bound_included", left, _ratio(wanted + 1, of)))
    if family == "spinner_multiple":
        slips.append(Slip("one_in_factor", left, _ratio(1, numbers[1])))
    if family.startswith("coins"):
        ways = numbers[0] - numbers[1] + 1 if family == "coins_at_least" else 1
        slips.append(Slip("counts_alike", left, _ratio(ways, numbers[0] + 1)))
    if family == "bag_at_least":
        slips.append(Slip("only_the_bound", left, _ratio(counts[2][2], of)))
    if family == "three_dice_exactly":
        slips.append(Slip("sums_alike", left, _ratio(1, sum(numbers[:3]) - 2)))
    return [slip for slip in slips if slip.wrong != left]
