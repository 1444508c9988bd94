"""Probabilities, checked by going through every single outcome with itertools."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, permutations, product
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import value
from stillroom.worlds.lessons.routes import Question, Step

_LISTS = ("sectors", "listed", "listed_pairs", "listed_triples")


def start(question: Question) -> str:
    return ""


def _numbers(question: Question) -> tuple[int, ...]:
    slots = question.slots
    count = sum(name.startswith("number") for name in slots)
    return tuple(int(slots[f"number{n}"]) for n in range(1, count + 1))


_FOUR = ("bag_at_least", "three_fit", "four_fit")


@lru_cache(maxsize=4_000)
def _outcomes(family: str, numbers: tuple[int, ...]) -> tuple[int, int, frozenset[Any]]:
    """All outcomes, wanted outcomes, and the wanted ones by name where the lesson lists them."""
    if family.startswith("bag") or family in _FOUR:
        bag = [colour for colour, number in enumerate(numbers) for _ in range(number)]
        if len(bag) > 60:
            raise ValueError("too many to enumerate")
        draws: Iterable[tuple[int, ...]]
        if family in ("bag_one", "bag_not"):
            draws = product(bag)
        elif family == "bag_back":
            draws = product(bag, repeat=2)
        elif family in ("bag_two", "bag_different"):
            draws = permutations(bag, 2)
        else:
            draws = combinations(bag, 4 if family in _FOUR else 3)
        tests: dict[str, Callable[[tuple[int, ...]], bool]] = {
            "bag_not": lambda drawn: drawn[0] != 0,
            "bag_different": lambda drawn: drawn[0] != drawn[1],
            "bag_exactly": lambda drawn: drawn.count(0) == 2,
            "bag_at_least": lambda drawn: drawn.count(0) >= 3,
            "three_fit": lambda drawn: drawn.count(0) == 3,
            "four_fit": lambda drawn: drawn.count(0) == 4,
        }
        wanted = tests.get(family, lambda drawn: not any(drawn))
        fits = list(map(wanted, draws))
        return len(fits), sum(fits), frozenset()
    if family.startswith("spinner"):
        sectors, bound = numbers
        fitting = [
            n
            for n in range(1, sectors + 1)
            if (n % bound == 0 if family == "spinner_multiple" else n > bound)
        ]
        return sectors, len(fitting), frozenset(fitting)
    if family.startswith("three_dice"):
        *sides, total = numbers
        throws = list(product(*[range(1, side + 1) for side in sides]))
        most = family == "three_dice_at_most"
        found = [t for t in throws if sum(t) == total or (most and sum(t) < total)]
        return len(throws), len(found), frozenset(" and ".join(map(str, t)) for t in found)
    if family.startswith("dice"):
        first, second, total = numbers
        rolls = list(product(range(1, first + 1), range(1, second + 1)))
        good = [
            (a, b)
            for a, b in rolls
            if (a + b == total and family == "dice_exactly")
            or (a + b >= total and family == "dice_at_least")
            or (a + b <= total and family == "dice_at_most")
        ]
        return len(rolls), len(good), frozenset(f"{a} and {b}" for a, b in good)
    if family == "coin_spinner":
        pairs = list(product("HT", range(1, numbers[0] + 1)))
        return len(pairs), sum(side == "H" and n > numbers[1] for side, n in pairs), frozenset()
    if numbers[0] > 12:
        raise ValueError("too many tosses to enumerate")
    heads = [sum(tosses) for tosses in product((0, 1), repeat=numbers[0])]
    if family == "coins_exactly":
        return len(heads), heads.count(numbers[1]), frozenset()
    return len(heads), sum(n >= numbers[1] for n in heads), frozenset()


def answer_fault(question: Question, answer: str) -> str:
    of, wanted, _ = _outcomes(question.family, _numbers(question))
    right = str(Fraction(wanted, of))
    return "" if answer == right else f"{wanted} of {of} outcomes fit, which is {right}"


_ALL = {
    "hands_of_four",
    "rolls_of_three",
    "all",
    "pairs_back",
    "pairs",
    "hands",
    "sectors",
    "rolls",
    "coin_and_spinner",
    "tosses",
}
_RULES = {
    "bag_one": ("all", "given"),
    "bag_not": ("all", "others"),
    "bag_back": ("bag", "pairs_back", "wanted_back"),
    "bag_two": ("bag", "pairs", "wanted_pairs"),
    "bag_different": ("bag", "pairs", "two_orders"),
    "bag_three": ("bag", "hands", "wanted_hands"),
    "bag_exactly": ("bag", "hands", "mixed_hands"),
    "bag_at_least": ("bag", "hands_of_four", "three_fit", "four_fit", "either"),
    "three_dice_exactly": ("rolls_of_three", "listed_triples"),
    "three_dice_at_most": ("rolls_of_three", "listed_triples"),
    "spinner_above": ("sectors", "listed"),
    "spinner_multiple": ("sectors", "listed"),
    "dice_exactly": ("rolls", "listed_pairs"),
    "dice_at_least": ("rolls", "listed_pairs"),
    "dice_at_most": ("rolls", "listed_pairs"),
    "coin_spinner": ("coin_and_spinner", "above"),
    "coins_exactly": ("tosses", "places"),
    "coins_at_least": ("tosses", "more_places"),
}


def plan_of_steps(question: Question) -> tuple[str, ...]:
    """The rules in the order in which this kind of question is solved."""
    return (*_RULES[question.family], "divide")


_FORMS = {
    "given": "{n} - {r}",
    "pairs_back": "{n} × {n}",
    "wanted_back": "{w} × {w}",
    "pairs": "{n} × {less}",
    "hands": "C({n}, 3)",
    "wanted_hands": "C({w}, 3)",
    "mixed_hands": "C({w}, 2) × {r}",
    "hands_of_four": "C({n}, 4)",
    "three_fit": "C({w}, 3) × {r}",
    "four_fit": "C({w}, 4)",
}


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    numbers = _numbers(question)
    of, wanted, names = _outcomes(question.family, numbers)
    if rule == "divide":
        expected = f"{wanted} ÷ {of}"
        return "" if before == expected else f"expected `{expected}`"
    if rule in _LISTS:
        listed = names if rule != "sectors" else frozenset(range(1, of + 1))
        inside = before.removeprefix("size(").removesuffix(")")
        if value(inside) != listed:
            return f"`{inside}` does not list what it should"
    sizes = {"n": sum(numbers), "less": sum(numbers) - 1, "w": numbers[0], "r": sum(numbers[1:])}
    form = str(_FORMS.get(rule, before)).format(**sizes) if "{" not in before else before
    if before != form:
        return f"expected `{form}`"
    count = sum(numbers) if rule == "bag" else of if rule in _ALL else wanted
    if rule in ("three_fit", "four_fit"):
        count = _outcomes(rule, numbers)[1]
    return "" if after == str(count) else f"the number is {count}, and not {after}"


def wrongs(question: Question) -> dict[str, Any]:
    family, numbers = question.family, _numbers(question)
    of, wanted, _ = _outcomes(family, numbers)
    found: dict[str, Any] = {"odds": Fraction(wanted, of - wanted)}
    if family == "dice_exactly":
        totals = {a + b for a in range(1, numbers[0] + 1) for b in range(1, numbers[1] + 1)}
        found["sums_alike"] = Fraction(1, len(totals))
    elif family == "bag_two":
        found["put_back"] = Fraction(numbers[0], sum(numbers)) ** 2
    elif family == "bag_different":
        found["put_back"] = (
            2 * Fraction(numbers[0], sum(numbers)) * Fraction(numbers[1], sum(numbers))
        )
        found["one_order"] = Fraction(wanted, of) / 2
    elif family == "bag_back":
        kept = _outcomes("bag_two", numbers)
        found["kept_out"] = Fraction(kept[1], kept[0])
    elif family in ("bag_one", "bag_not"):
        share = Fraction(1, len(numbers))
        found["colours_alike"] = share if family == "bag_one" else 1 - share
    elif family in ("spinner_above", "coin_spinner"):
        more = _outcomes(family, (numbers[0], numbers[1] - 1))
        found["bound_included"] = Fraction(more[1], more[0])
    elif family == "spinner_multiple":
        found["one_in_factor"] = Fraction(1, numbers[1])
    elif family == "bag_at_least":
        found["only_the_bound"] = Fraction(_outcomes("three_fit", numbers)[1], of)
    elif family == "three_dice_exactly":
        totals = {sum(t) for t in product(*[range(1, side + 1) for side in numbers[:3]])}
        found["sums_alike"] = Fraction(1, len(totals))
    elif family == "coins_exactly":
        found["counts_alike"] = Fraction(1, numbers[0] + 1)
    elif family == "coins_at_least":
        found["counts_alike"] = Fraction(numbers[0] + 1 - numbers[1], numbers[0] + 1)
    return found


def measure(question: Question) -> dict[str, Any]:
    found: dict[str, Any] = {"family": question.family}
    numbers = _numbers(question)
    if question.family.startswith("bag"):
        found["balls"] = (min(numbers), max(numbers))
    found["outcomes"] = _outcomes(question.family, numbers)[0]
    return found
