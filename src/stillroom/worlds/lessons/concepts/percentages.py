"""Percentages: through hundredths, through one per cent, or as a share of a hundred."""

from fractions import Fraction
from math import gcd, prod
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

_SIGNS = {"up": 1, "down": -1}
_AGAIN = {"up": ("raise", "raise_again"), "down": ("lower", "lower_again")}


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    family = dice.pick(limits["family"])
    words = content.data["words"]
    changes = dice.between(*limits["percents"])
    while True:
        percents = [_percent(dice, limits["grain"]) for _ in range(changes)]
        down = family == "fall" or "down" in family
        if any(p > 60 for p in percents) and (down or family in ("up", "rise", "before_up")):
            continue
        step = _step(family, percents)
        low, high = limits["number"]
        if step > high // 2:
            continue
        whole = step * dice.between(-(-low // step), high // step)
        break
    if family == "part":
        text = "".join(f"{p}% × " for p in percents)
        return Instance(family, {"formula": f"{text}{whole}"}, (whole, *percents))
    percent = percents[0]
    if family == "which":
        slots = {"number1": str(whole), "number2": str(whole * percent // 100)}
        slots["people"] = dice.pick(words["people"])
        return Instance(family, slots, (whole, percent))
    slots = {"thing": dice.pick(words["thing"]), "money": dice.pick(words["money"])}
    if family in ("rise", "fall"):
        new = whole + whole * percent // 100 * (1 if family == "rise" else -1)
        slots |= {"number1": str(whole), "number2": str(new)}
    elif family.startswith("before"):
        new = whole + whole * percent // 100 * _SIGNS[family[7:]]
        slots |= {"number1": str(new), "number2": str(percent)}
    else:
        slots["number1"] = str(whole)
        slots |= {f"number{n}": str(p) for n, p in enumerate(percents, 2)}
    return Instance(family, slots, (whole, *percents))


def _percent(dice: Dice, grain: tuple[int, int]) -> int:
    """A percentage between 2 and 95: multiples of ten, of five, or any."""
    if grain[0] == 1:
        return dice.between(2, 95)
    return grain[0] * dice.between(1, 95 // grain[0])


def _step(family: str, percents: list[int]) -> int:
    """Whole amounts are multiples of this, so that what comes out has two decimals at most."""
    shares = percents
    if len(percents) > 1 and family != "part":
        ways = family.split("_")
        shares = [100 + p * _SIGNS[way] for way, p in zip(ways, percents, strict=True)]
    hundreds: int = 100 ** max(1, len(percents) - 1)
    return hundreds // gcd(hundreds, prod(shares))


def _decimal(number: Fraction) -> str:
    """A number as a decimal where it has a finite one, else as a fraction."""
    bottom, places = number.denominator, 0
    while bottom % 10 == 0 or bottom % 2 == 0 or bottom % 5 == 0:
        bottom //= 10 if bottom % 10 == 0 else 2 if bottom % 2 == 0 else 5
        places += 1
    if bottom > 1:
        return str(number)
    digits = str(number.numerator * 10**places // number.denominator).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".") if places else digits


def _said(number: Fraction | int) -> str:
    return _decimal(Fraction(number))


def solve(instance: Instance) -> Solution:
    family = instance.family
    whole, *percents = instance.given
    if family == "part":
        return _part(whole, percents)
    if family in ("which", "rise", "fall"):
        return _share(family, instance.slots, whole, percents[0])
    if family.startswith("before"):
        return _before(family, int(instance.slots["number1"]), percents[0])
    if "_" in family:
        return _several(family.split("_"), whole, percents)
    one = Fraction(whole, 100)
    part = one * percents[0]
    sign, rule = ("+", "add_on") if family == "up" else ("-", "take_off")
    answer = _said(whole + part * _SIGNS[family])
    steps = [
        Step("one_percent", (f"{whole} ÷ 100 = {_said(one)}",)),
        Step("so_many", (f"{percents[0]} × {_said(one)} = {_said(part)}",)),
        Step(rule, (f"{whole} {sign} {_said(part)} = {answer}",)),
    ]
    back = f"{answer} ÷ {whole} = 100% {sign} {percents[0]}%"
    return Solution(steps, answer, ("compare", {"proof": back}))


def _part(whole: int, percents: list[int]) -> Solution:
    tops = " × ".join(map(str, [*percents, whole]))
    hundreds = " × ".join(["100"] * len(percents))
    below, top = 100 ** len(percents), whole
    for percent in percents:
        top *= percent
    answer = _said(Fraction(top, below))
    stages = [
        "".join(f"{p}% × " for p in percents) + str(whole),
        "".join(f"{p}/100 × " for p in percents) + str(whole),
        f"({tops})/({hundreds})" if len(percents) > 1 else f"({tops})/100",
        f"{top}/{below}",
        answer,
    ]
    rules = ("hundredths", "one_bar", "products", "shift")
    steps = [
        Step(rule, (f"{a} = {b}",)) for rule, a, b in zip(rules, stages, stages[1:], strict=False)
    ]
    rest = _said(Fraction(top, below) / whole)
    share = f"{percents[0]}%" if len(percents) == 1 else rest
    return Solution(steps, answer, ("share", {"proof": f"{answer} ÷ {whole} = {share}"}))


def _share(family: str, slots: dict[str, str], whole: int, percent: int) -> Solution:
    part, steps = whole * percent // 100, []
    if family != "which":
        a, b = int(slots["number1"]), int(slots["number2"])
        more, less = (b, a) if family == "rise" else (a, b)
        steps.append(Step("how_much", (f"{more} - {less} = {part}",)))
    ratio = Fraction(percent, 100)
    steps.append(Step("ratio", (f"{part} ÷ {whole} = {ratio}",)))
    if ratio.denominator != 100:
        steps.append(Step("of_hundred", (f"{ratio} = {percent}/100",)))
    answer = f"{percent}%"
    steps.append(Step("name", (f"{percent}/100 = {answer}",)))
    return Solution(steps, answer, ("take_share", {"proof": f"{answer} × {whole} = {part}"}))


def _before(family: str, new: int, percent: int) -> Solution:
    sign, rule = ("+", "grown") if family == "before_up" else ("-", "left")
    rest = 100 + percent * _SIGNS[family[7:]]
    one = Fraction(new, rest)
    answer = _said(one * 100)
    steps = [
        Step(rule, (f"100% {sign} {percent}% = {rest}%",)),
        Step("one_of_old", (f"{new} ÷ {rest} = {_said(one)}",)),
        Step("hundred", (f"100 × {_said(one)} = {answer}",)),
    ]
    forth = f"{answer} {sign} {percent}% × {answer} = {new}"
    return Solution(steps, answer, ("go_forward", {"proof": forth}))


def _several(ways: list[str], whole: int, percents: list[int]) -> Solution:
    steps: list[Step] = []
    now = Fraction(whole)
    for way, percent in zip(ways, percents, strict=True):
        before = _said(now)
        now += now * percent / 100 * _SIGNS[way]
        sign = "+" if way == "up" else "-"
        rule = _AGAIN[way][any(step.rule == _AGAIN[way][0] for step in steps)]
        formula = f"{before} {sign} {percent}% × {before} = {_said(now)}"
        steps.append(Step(rule, (formula,), {"percent": f"{percent}%", "price": before}))
    answer = _said(now)
    back = "".join(
        f" ÷ {100 + p * _SIGNS[way]}%"
        for way, p in reversed(list(zip(ways, percents, strict=True)))
    )
    return Solution(steps, answer, ("undo", {"proof": f"{answer}{back} = {whole}"}))


def mistakes(instance: Instance) -> list[Slip]:
    family = instance.family
    whole, *percents = instance.given
    percent = percents[0]
    answer = solve(instance).answer
    if family == "part":
        right, text = Fraction(answer), instance.slots["formula"]
        slips = [
            Slip("tenths", text, _said(right * 10 ** len(percents))),
            Slip("no_hundredths", text, _said(right * 100 ** len(percents))),
        ]
        if len(percents) == 1:
            slips.append(Slip("subtracted", text, _said(whole - right)))
        return slips
    if family in ("which", "rise", "fall"):
        part = whole * percent // 100
        slips = [
            Slip("part_as_percent", answer, f"{part}%"),
            Slip("ratio_as_percent", answer, f"{_said(Fraction(percent, 100))}%"),
        ]
        if family == "which":
            slips.append(Slip("the_others", answer, f"{100 - percent}%"))
        else:
            sign = 1 if family == "rise" else -1
            slips.append(Slip("new_as_share", answer, f"{100 + sign * percent}%"))
        return slips
    if family.startswith("before"):
        new, sign = int(instance.slots["number1"]), -_SIGNS[family[7:]]
        of_new = Fraction(new * percent, 100)
        found = [("percent_of_new", new + sign * of_new), ("as_money", new + sign * percent)]
        found.append(("once_more", new - sign * of_new))
    elif "_" in family:
        total = sum(p * _SIGNS[way] for way, p in zip(family.split("_"), percents, strict=True))
        found = [("percents_added", Fraction(whole * (100 + total), 100))]
        found.append(("as_money", Fraction(whole + total)))
    else:
        part, sign = Fraction(whole * percent, 100), _SIGNS[family]
        found = [("as_money", Fraction(whole + sign * percent)), ("part_alone", part)]
        found.append(("wrong_way", whole - sign * part))
    return [Slip(name, answer, _said(wrong)) for name, wrong in found if wrong > 0]
