"""Telling: a symbol and what is to be said -> text. The maker's half of the grammar."""

from collections.abc import Callable
from dataclasses import dataclass, field

from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.phrases import (
    BREAKS,
    MARKS,
    Choice,
    Phrase,
    Phrases,
    Repeat,
    Slot,
    Symbol,
    Words,
    phrase,
)

Table = dict[str, Phrases]


@dataclass
class Scope:
    """What can be said at one place.

    slots    the texts that fill `{slots}`
    phrases  symbols that mean something here alone: the words of one rule
    items    the scopes of what is repeated here, by symbol
    """

    slots: dict[str, str] = field(default_factory=dict)
    phrases: Table = field(default_factory=dict)
    items: dict[str, list["Scope"]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)  # tokens of the marked symbol, once told


class Teller:
    """Expands symbols by chance; the same phrase is not taken again while others are left."""

    def __init__(
        self,
        table: Table,
        dice: Dice,
        number: Callable[[str], str],
        marked: frozenset[str],
    ) -> None:
        self.table, self.dice = table, dice
        self.number, self.marked = number, marked
        self.told: list[str] = []  # symbols in the order of their telling
        self._used: set[tuple[str, int]] = set()

    def tell(self, symbol: str, scope: Scope) -> list[str]:
        """The tokens of a symbol."""
        out: list[str] = []
        self._symbol(symbol, scope, out)
        return out

    def _symbol(self, name: str, scope: Scope, out: list[str]) -> None:
        options = scope.phrases.get(name)
        if options is None:
            options = self.table[name]
        place = self.dice.between(0, len(options) - 1)
        for _ in range(3):
            if (name, place) not in self._used:
                break
            place = self.dice.between(0, len(options) - 1)
        self._used.add((name, place))
        self.told.append(name)
        begin = len(out)
        self._phrase(phrase(options[place]), scope, out)
        if name in self.marked:
            scope.said[:] = out[begin:]

    def _phrase(self, items: Phrase, scope: Scope, out: list[str]) -> None:
        for item in items:
            kind = type(item)
            if kind is Words:
                out += item.words  # type: ignore[union-attr]
            elif kind is Choice:
                if item.runs:  # type: ignore[union-attr]
                    out += self.dice.pick(item.runs)  # type: ignore[union-attr]
                else:
                    self._phrase(self.dice.pick(item.options), scope, out)  # type: ignore[union-attr]
            elif kind is Symbol:
                self._symbol(item.name, scope, out)  # type: ignore[union-attr]
            elif isinstance(item, Repeat):
                for n, inner in enumerate(scope.items[item.symbol]):
                    if n:
                        self._phrase(item.between, scope, out)
                    self._symbol(item.symbol, inner, out)
            elif isinstance(item, Slot):
                out.append(self._filled(item, scope))

    def _filled(self, slot: Slot, scope: Scope) -> str:
        text = scope.slots[slot.name]
        if slot.kind in ("formula", "trace"):
            return f"`{text}`"
        if slot.kind == "speaker":
            return f"**{text}:**"
        return self.number(text) if text[0].isdigit() else text


def join(tokens: list[str]) -> str:
    """Tokens as text: spaces, breaks, list numbers, and a capital at the start of a sentence."""
    out: list[str] = []
    start, space, item = True, False, 0
    for token in tokens:
        head = token[0]
        if head == "`" or head.isalpha():  # by far the most
            if space:
                out.append(" ")
            out.append(head.upper() + token[1:] if start else token)
            start, space = False, True
        elif token in BREAKS:
            out.append(BREAKS[token])
            item = item if token == "↵" else 0
            start, space = True, False
        elif token == "#.":
            item += 1
            out.append(f"{item}.")
            start = space = True
        else:
            out.append(f" {token}" if space and head not in MARKS else token)
            space = token != "("
            start = token in ".?!" or token.endswith(":**") or (start and head in "(#")
    return "".join(out)
