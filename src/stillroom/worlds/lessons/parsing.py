"""Parsing: text -> what it says. The reader's half of the grammar; it uses none of the teller.

Of each symbol the phrases that can begin with the next word are walked, in all their ways that
fit, each symbol at each place once (a recursive transition network, Woods 1970, with a chart).
Spaces, capitals and list numbers must be as the house writes them.
"""

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from stillroom.worlds.lessons.networks import (
    CHOICE,
    END,
    FORK,
    FORMULA,
    PICK,
    REPEAT,
    SYMBOL,
    WORDS,
    Index,
    Node,
)
from stillroom.worlds.lessons.phrases import Slot

_TOKEN = re.compile(
    r"( ?)(\n\n|\n|`[^`\n]+`|\*\*[^*\n]+\*\*|\*\w+\*|#+|^\d+\.(?= )"
    r"|\d+(?:[.,’\u202f]\d+)*|[^\W\d_][\w'’]*(?:-[\w'’]+)*|[^\s\w])",
    re.MULTILINE,
)
_BREAKS = {"\n\n": "¶", "\n": "↵"}
_CLOSE = frozenset(".,;:?!)\n")  # no space before these

Token = tuple[str, str, int]
"""A token as phrases have it (in lower case where a sentence begins), as it stands, and where."""


class Found(NamedTuple):
    """A symbol that was found: its name, slots, the symbols inside it, and where it stands."""

    name: str
    slots: dict[str, list[str]]
    inner: list["Found"]
    begin: int
    end: int


def tokens(text: str) -> list[Token]:
    """The tokens of a text; ValueError when it is not spaced, numbered or capitalised rightly."""
    found: list[Token] = []
    at, item, start, glued = 0, 0, True, True
    for gap, raw in _TOKEN.findall(text):
        head, begin = raw[0], at + len(gap)
        at = begin + len(raw)
        if gap and not (glued or start) and (head == "`" or head.isalpha()):  # by far the most
            found.append((raw, raw, begin))
            continue
        if (gap == "") is not (glued or head in _CLOSE):
            raise ValueError(f"odd spacing before {text[begin : begin + 30]!r}")
        if head == "\n":
            found.append((_BREAKS[raw], raw, begin))
            item = item if raw == "\n" else 0
            start = glued = True
            continue
        glued = raw == "("
        if head.isdigit() and raw[-1] == ".":
            item += 1
            if raw != f"{item}.":
                raise ValueError(f"the list goes {item}., not {raw}")
            found.append(("#.", raw, begin))
            start = True
            continue
        if not start:
            found.append((raw, raw, begin))
            start = raw in ".?!" or raw.endswith(":**")
        elif head.isalpha():
            if head.islower():
                raise ValueError(f"a sentence begins with a small letter: {text[begin:at]!r}")
            found.append((head.lower() + raw[1:], raw, begin))
            start = False
        else:
            found.append((raw, raw, begin))
            start = head in "(#" or raw in ".?!" or raw.endswith(":**")
    if at != len(text):
        raise ValueError(f"odd spacing or signs in {text!r:.60}")
    return found


Caps = Any  # a chain (before, kind, name, value) of what was found, or None
Ends = list[tuple[int, Caps]]


class Grammar:
    """Symbols of the house's own table and of one concept, for one style and audience.

    common      a symbol's index in the house's table
    own         the concept's symbols; their labels are kept, so that the rule whose words were
                used is known
    allowed     how many tokens from a place on fill a slot of words, and with what
    structure   the symbols that stand in what is found; what others hold counts as their parent's
    sound       whether a symbol of the structure makes sense
    """

    def __init__(
        self,
        common: Callable[[str], Index],
        own: dict[str, Index],
        allowed: Callable[[str, list[Token], int], tuple[int, str]],
        structure: frozenset[str],
        sound: Callable[[Found], bool],
    ) -> None:
        self.common, self.indexes = common, dict(own)
        self.allowed, self.structure, self.sound = allowed, structure, sound

    def index(self, name: str) -> Index:
        found = self.indexes.get(name)
        if found is None:
            found = self.indexes[name] = self.common(name)
        return found

    def parse(self, symbol: str, given: list[Token]) -> Found:
        """The whole text as one symbol; ValueError says where nothing fitted any more."""
        reading = _Reading(self, given)
        for end, caps in reading.symbol(symbol, 0):
            if end == len(given):
                return _found(symbol, caps, 0, end)
        at = reading.furthest
        near = " ".join(token[1] for token in given[max(0, at - 6) : at + 4]).replace("\n", " ")
        raise ValueError(f"no phrase goes on like this: {near!r}")


def _found(name: str, caps: Caps, begin: int, end: int) -> Found:
    slots: dict[str, list[str]] = {}
    inner: list[Found] = []
    chain = []
    todo = [caps]
    while todo:
        cap = todo.pop()
        while cap is not None:
            before, kind, key, value = cap
            if kind == "link":  # a symbol without a node of its own: what it found is ours
                todo.append(before)
                cap = value
                continue
            chain.append((kind, key, value))
            cap = before
    for kind, key, value in reversed(chain):
        if kind == "slot":
            slots.setdefault(key, []).append(value)
        else:
            inner.append(value)
    return Found(name, slots, inner, begin, end)


Way = tuple[int, int, Caps, str]
"""How a phrase can be read: its place among its symbol's, its end, what was found, its label."""

_PLACE = itemgetter(0)


class _Reading:
    """One text being read: what each symbol gave at each place."""

    def __init__(self, grammar: Grammar, given: list[Token]) -> None:
        self.grammar, self.given = grammar, given
        texts, raws, _ = zip(*given, strict=True) if given else ((), (), ())
        self.texts: tuple[str, ...] = (*texts, "")
        self.raws: tuple[str, ...] = (*raws, "")
        self.known: dict[tuple[str, int], Ends] = {}
        self.furthest = 0

    def symbol(self, name: str, at: int) -> Ends:
        """All ends a symbol can have that begins at a place."""
        known = self.known.get((name, at))
        if known is not None:
            return known
        grammar, first, ends = self.grammar, at, Ends()
        index = grammar.indexes.get(name) or grammar.index(name)
        if index.numbered is not None and self.texts[at] == "#.":
            index, first = index.numbered, at + 1
        node = index.fitting(self.texts[first], self.raws[first])
        ways: list[Way] = []
        if node is not None:
            self.walk(node, at, None, ways)
        if ways:
            ways.sort(key=_PLACE)  # as the file has them, whatever they share
            if index.labelled:
                ends = [(end, (caps, "slot", name, label)) for _, end, caps, label in ways]
            else:
                ends = [(end, caps) for _, end, caps, _ in ways]
            if name in grammar.structure:
                ends = self.structured(name, at, ends)
        self.known[name, at] = ends
        return ends

    def structured(self, name: str, at: int, ends: Ends) -> Ends:
        """Of each end the first way that makes sense, as one thing that was found."""
        best: dict[int, Caps] = {}
        for end, caps in ends:
            if end not in best:
                found = _found(name, caps, at, end)
                if self.grammar.sound(found):
                    best[end] = (None, "found", name, found)
        return list(best.items())

    def walk(self, node: Node, at: int, caps: Caps, ways: list[Way]) -> None:
        """Adds all ways in which a network can be read that goes on at a place.

        A loop as long as there is one way, as nearly always; this is where reading spends its time.
        """
        texts, raws = self.texts, self.raws
        while True:
            kind, what, after = node
            if kind == WORDS:
                end = at + len(what)
                if texts[at:end] != what and not self.run(what, at):
                    return
                at = end
            elif kind == PICK:
                runs, table = what
                text = texts[at]
                fits = table.get(text) or table[""]
                if raws[at] is not text:
                    fits = [run for run in runs if not run or run[0] in (text, raws[at])]
                if len(fits) != 1:
                    return self.picked(fits, after, at, caps, ways)
                end = at + len(fits[0])
                if texts[at:end] != fits[0] and not self.run(fits[0], at):
                    return
                at = end
            elif kind == FORMULA:
                text = texts[at]
                if text[:1] != "`" or " → " in text:
                    return self.stuck(at)
                at, caps = at + 1, (caps, "slot", what, text[1:-1])
            elif kind == END:
                ways.append((what, at, caps, after))
                return
            elif kind >= FORK:
                nodes = self.parted(kind, what, at)
                if len(nodes) != 1:
                    for one in nodes:
                        self.walk(one, at, caps, ways)
                    return
                after = nodes[0]
            else:
                ends = self.symbol(what, at) if kind == SYMBOL else self.other(kind, what, at)
                if len(ends) != 1:
                    for end, inner in ends:
                        self.walk(after, end, _link(caps, inner), ways)
                    return
                at, inner = ends[0]
                caps = _link(caps, inner)
            node = after

    def picked(
        self, runs: Sequence[tuple[str, ...]], after: Node, at: int, caps: Caps, ways: list[Way]
    ) -> None:
        """Goes on after each of some runs of words that stand at a place."""
        self.stuck(at)
        for run in runs:
            if not run or self.run(run, at):
                self.walk(after, at + len(run), caps, ways)

    def parted(self, kind: int, what: Any, at: int) -> Sequence[Node]:
        """The nodes that may go on with the next token."""
        text, raw = self.texts[at], self.raws[at]
        if at > self.furthest:
            self.furthest = at
        if kind == CHOICE:
            return [option for first, option in what if first in ("", text, raw)]
        table, others = what
        nodes: Sequence[Node] = table.get(text, ()) + others
        if raw is text:
            return nodes
        return [*nodes, *(node for node in table.get(raw, ()) if node not in nodes)]

    def other(self, kind: int, what: Any, at: int) -> Ends:
        """All ends of a slot that is no formula, or of what is repeated."""
        if kind == REPEAT:
            symbol, between = what
            return self.repeat(symbol, between, at)
        taken, value = self.slot(what, at)
        return [(at + taken, (None, "slot", what.name, value))] if taken else []

    def stuck(self, at: int) -> None:
        """Remember where nothing fitted any more, to say so."""
        if at > self.furthest:
            self.furthest = at

    def run(self, words: tuple[str, ...], at: int) -> int:
        """Where a run of words ends that begins at a place; 0 where they do not stand there."""
        texts, raws, end = self.texts, self.raws, at
        for word in words:  # a name keeps its capital where a sentence begins
            if word not in (texts[end], raws[end]):
                self.stuck(end)
                return 0
            end += 1
        return end

    def slot(self, slot: Slot, at: int) -> tuple[int, str]:
        """How many tokens fill a slot from a place on, and with what; 0: none do."""
        text, raw = self.texts[at], self.raws[at]
        self.stuck(at)
        if slot.kind == "trace":
            return int(text[:1] == "`" and " → " in text), text[1:-1]
        if slot.kind == "speaker":
            return int(text.endswith(":**")), text[2:-3]
        if slot.kind == "person":
            return int(raw[:1].isupper()), raw
        return self.grammar.allowed(slot.name, self.given, at) if raw else (0, "")

    def repeat(self, symbol: str, between: Node, at: int) -> Ends:
        """All ends of a symbol that is repeated, the longest first."""
        ends: Ends = []
        todo = [(end, _link(None, caps)) for end, caps in self.symbol(symbol, at)]
        while todo:
            end, caps = todo.pop()
            ends.append((end, caps))
            middles: list[Way] = []
            self.walk(between, end, None, middles)
            for _, middle, inner, _ in middles:
                for after, more in self.symbol(symbol, middle):
                    todo.append((after, _link(_link(caps, inner), more)))
        return ends[::-1]


def _link(caps: Caps, inner: Caps) -> Caps:
    if inner is None:
        return caps
    if caps is None:
        return inner
    return (caps, "link", None, inner)
