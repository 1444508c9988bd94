"""The symbols that one concept brings to the common phrases, each with what it stands for."""

from functools import cache
from typing import Any

from stillroom.worlds.lessons.content import common, content
from stillroom.worlds.lessons.curriculum import entry
from stillroom.worlds.lessons.phrases import Phrases, first_of

AUDIENCES = {"child": "a child", "teen": "a teenager", "adult": "an adult"}
STYLES = ("lesson", "dialogue", "exam")
MOVES = (
    *("before", "need", "idea", "method", "picture", "analogy", "question"),
    *("counterexample", "history"),
)
"""The discourse moves: each is a symbol of its own, NAME_move or NAME, and stands in the data."""

_NOTHING = ("plain counting", "careful reading", "everyday words")  # for concepts that need none

Symbols = dict[str, list[tuple[str, Phrases]]]


@cache
def move_of(symbol: str) -> str:
    """The move that a symbol is, or ""."""
    name = symbol.removesuffix("_move")
    return name if name in MOVES and (name != symbol or f"{name}_move" not in common()) else ""


def kinds(style: str, audience: str) -> tuple[str, ...]:
    """The variants of a common symbol that count here, the most special first."""
    return (f"{style}.{audience}", style, audience)


@cache
def symbols(concept: str) -> Symbols:
    """Symbol -> (label, phrases); a label is the rule, family or kind that words stand for."""
    told = content(concept)
    own: Symbols = {name: [("", phrases)] for name, phrases in told.pools.items()}
    own["topic"] = [("", entry(concept).topic)]
    known = [text for before in told.needs for text in entry(before).topic]
    own["known"] = [("", tuple(known) or _NOTHING)]
    families = told.questions.items()
    own["ask"] = [(name, texts) for name, texts in families if name not in told.sentences]
    own["asked"] = [(name, texts) for name, texts in families if name in told.sentences]
    for first, second, table in (("do", "why", told.rules), ("slip", "slip_why", told.mistakes)):
        own[first] = [(name, one.do) for name, one in table.items()]
        own[second] = [(name, one.why) for name, one in table.items()]
    own["prove"] = list(told.proofs.items())
    return own


def variant(name: str, style: str, audience: str) -> str:
    return first_of(common(), name, kinds(style, audience))


@cache
def voiced(style: str, audience: str) -> dict[str, Phrases]:
    """The common symbols, each in the variant that counts for a style and an audience."""
    names = {name.partition(".")[0] for name in common()}
    found = {name: variant(name, style, audience) for name in names}
    return {name: common()[special] for name, special in found.items() if special in common()}


@cache
def plain(concept: str) -> dict[str, Phrases]:
    """A concept's symbols that stand for one thing."""
    return {name: found[0][1] for name, found in symbols(concept).items() if len(found) == 1}


def pattern_of(words: dict[str, Any], slot: str) -> Any:
    """What a file's `words` allow in a slot: a list, a pattern, or None."""
    return words.get(slot, words.get(slot.rstrip("0123456789")))
