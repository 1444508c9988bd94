"""Faults that need words: a worked step told anew, with the words or reason of another rule."""

from stillroom.world import Data
from stillroom.worlds.lessons.content import content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.locales import locales
from stillroom.worlds.lessons.phrases import Choice, Item, Phrases, Slot, phrase
from stillroom.worlds.lessons.pieces import (
    Spans,
    formulas_in,
    items,
    spans_of,
    step_lines,
    with_steps,
)
from stillroom.worlds.lessons.symbols import voiced
from stillroom.worlds.lessons.telling import Scope, Teller, join


def wrong_rule(data: Data, places: Spans, dice: Dice) -> str | None:
    """A step told in the words of another rule."""
    step = _pick(data, dice)
    others = [name for name in content(data["concept"]).rules if name != step["rule"]]
    other = dice.pick(others) if others else ""
    return _retold(data, places, dice, step, other, other) if others else None


def wrong_reason(data: Data, places: Spans, dice: Dice) -> str | None:
    """What was done, with the reason of another rule."""
    step, rules = _pick(data, dice), content(data["concept"]).rules
    own = rules[step["rule"]]
    others = [name for name, rule in rules.items() if not set(rule.why) & set(own.why)]
    if not others:
        return None
    return _retold(data, places, dice, step, step["rule"], dice.pick(others))


def _pick(data: Data, dice: Dice) -> dict[str, str]:
    """One of the steps that are told in full; the first always is."""
    return dice.pick([step for step in data["worked"]["steps"] if step["rule"]])


def _retold(
    data: Data, places: Spans, dice: Dice, step: dict[str, str], do: str, why: str
) -> str | None:
    """The lesson with a step in other rules' words; None where those need what is not known."""
    full = [one for one in data["worked"]["steps"] if one["rule"]]
    span = spans_of(places, "step")[full.index(step)]
    shown = [f"{step['before']}{joint}{step['after']}" for joint in (" = ", " → ")]
    formulas = [text for _, _, text in formulas_in(data, *span)]
    found = next((text for text in shown if text in formulas), None)
    if found is None or not data["text"][span[0]].isdigit():
        return None
    rules, names = content(data["concept"]).rules, locales()[data["locale"]].names
    slots = {"A": names[0], "B": names[1], "f": found, "trace": found}
    said = [text for text in formulas if text != found]
    if said:  # what the step's own words name stands in for what the other rule's words name
        slots |= dict.fromkeys(_slots(rules[do].do), said[0])
    joined = ("`{f}`" if found == shown[0] else "`{trace}`",)
    phrases = {"do": rules[do].do, "why": rules[why].why, "shown": joined}
    table = voiced(data["style"], data["audience"])
    teller = Teller(table, dice, lambda number: number, frozenset())
    try:
        told = teller.tell("step", Scope(slots, phrases))
    except KeyError:  # a slot of the other rule
        return None
    if do != why and "why" not in teller.told:
        return None
    lines = step_lines(data, places)
    lines[items(places).index(span)] = join(told).partition(". ")[2]
    return with_steps(data, places, lines)


def _slots(phrases: Phrases) -> set[str]:
    """The names of all formulas in some phrases."""
    found: set[str] = set()
    todo: list[Item] = [item for text in phrases for item in phrase(text)]
    while todo:
        item = todo.pop()
        if isinstance(item, Slot):
            found.add(item.name)
        elif isinstance(item, Choice):
            todo += [inner for option in item.options for inner in option]
    return found
