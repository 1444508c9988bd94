"""Parsing: text -> what it says. The reader's half of the grammar; it uses none of the teller.

Of each symbol the phrases that can begin with the next word are followed, in all their ways that
fit, each symbol at each place once (a recursive transition network, Woods 1970, with a chart).
Spaces, capitals and list numbers must be as the house writes them.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from stillroom.worlds.lessons.phrases import (
    Choice,
    Phrase,
    Repeat,
    Slot,
    Symbol,
    Words,
    phrase,
)

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


Entry = tuple[str, tuple[str, ...], Phrase]
"""A phrase: its label, the words it begins with (there may be none), and its other items."""


class Index:
    """A symbol's phrases by what they begin with: a word, a formula, or anything.

    labelled: which of the symbol's phrases it was is kept as a slot of the symbol's name.
    """

    def __init__(
        self,
        labelled: Iterable[tuple[str, str]],
        begins: Callable[[str], frozenset[str]],
        keep: bool = False,
        skip: int = 0,
    ) -> None:
        self.labelled = keep
        self.words: dict[str, list[tuple[str, str]]] = {}
        self.others: list[tuple[str, str]] = []
        self.numbered: Index | None = None  # list items, by what follows their number
        self.known: dict[tuple[str, str], list[Entry]] = {}
        entries = list(labelled)
        items = [] if skip else [one for one in entries if one[1].startswith("#. ")]
        if items and len(items) == len(entries):
            self.numbered = Index(items, begins, keep, skip=3)
            return
        for one in entries:
            starts = first_words(one[1][skip:], begins)
            for start in starts if "" not in starts else ():
                self.words.setdefault(start, []).append(one)
            if "" in starts:
                self.others.append(one)

    def fitting(self, text: str, raw: str) -> list[Entry]:
        """The phrases that may begin with a token."""
        if text[:1] == "`" and text not in self.words:
            text = raw = "`"  # any formula
        key = (text, raw)
        found = self.known.get(key)
        if found is None:
            fits = list(self.words.get(text, ()))
            fits += self.words.get("`", ()) if text[:1] == "`" != text else ()
            fits += self.words.get(raw, ()) if raw != text else ()
            found = self.known[key] = [_entry(*one) for one in (*fits, *self.others)]
        return found


def _entry(label: str, text: str) -> Entry:
    items = phrase(text)
    if items and isinstance(items[0], Words):
        return label, items[0].words, items[1:]
    return label, (), items


_WORD = re.compile(r"[^\W\d_][\w'’]*(?:-[\w'’]+)*")
_CHOICE = re.compile(r"\[([^\[\]<{`]+)\]")


def first_words(text: str, begins: Callable[[str], frozenset[str]]) -> frozenset[str]:
    """What a phrase can begin with: words; "`" stands for a formula, "" for anything else.

    `begins` says it of a symbol.
    """
    found = _WORD.match(text)
    if found:
        return frozenset((found[0],))
    options = _CHOICE.match(text)
    if options:  # the most frequent kind, which needs no full reading
        words = [_WORD.match(option.strip()) for option in options[1].split("|")]
        if all(words):
            return frozenset(word[0] for word in words if word)
    return frozenset(_first_words(phrase(text), begins))


def _first_words(items: Phrase, begins: Callable[[str], frozenset[str]]) -> set[str]:
    found: set[str] = set()
    for item in items:
        if isinstance(item, Choice):
            for option in filter(None, item.options):
                found |= _first_words(option, begins)
            if all(item.options):
                return found
        elif isinstance(item, Words):
            return found | {item.words[0]}
        elif isinstance(item, Slot) and item.kind in ("formula", "trace"):
            return found | {"`"}
        elif isinstance(item, Symbol | Repeat):
            return found | begins(item.name if isinstance(item, Symbol) else item.symbol)
        else:
            break
    return found | {""}


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


class _Reading:
    """One text being read: what each symbol gave at each place."""

    def __init__(self, grammar: Grammar, given: list[Token]) -> None:
        self.grammar, self.given = grammar, given
        self.texts = (*(token[0] for token in given), "")
        self.raws = (*(token[1] for token in given), "")
        self.known: dict[tuple[str, int], Ends] = {}
        self.furthest = 0

    def symbol(self, name: str, at: int) -> Ends:
        """All ends a symbol can have that begins at a place."""
        known = self.known.get((name, at))
        if known is not None:
            return known
        grammar, first, ends = self.grammar, at, list[tuple[int, Caps]]()
        index = grammar.indexes.get(name) or grammar.index(name)
        if index.numbered is not None and self.texts[at] == "#.":
            index, first = index.numbered, at + 1
        texts, raws = self.texts, self.raws
        for label, words, items in index.fitting(texts[first], raws[first]):
            begin = at + len(words)
            if texts[at:begin] != words:
                second = words[1:2]  # by far the most frequent place where phrases part
                if second and second != texts[at + 1 : at + 2] and second != raws[at + 1 : at + 2]:
                    continue
                if not self.run(words, at):
                    continue
            found = self.follow(items, begin) if items else [(begin, None)]
            if found and index.labelled:
                found = [(end, (caps, "slot", name, label)) for end, caps in found]
            ends += found
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

    def follow(self, items: Phrase, at: int, begin: int = 0, caps: Caps = None) -> Ends:
        """All ends of a phrase, from one of its items on, that goes on at a place."""
        texts = self.texts
        for n in range(begin, len(items)):
            item = items[n]
            if type(item) is Words:
                words = item.words
                end = at + len(words)
                if texts[at:end] != words and not self.run(words, at):
                    return []
                at = end
                continue
            ends = self.ways(item, at)
            if len(ends) != 1:
                return [
                    way
                    for end, inner in ends
                    for way in self.follow(items, end, n + 1, _link(caps, inner))
                ]
            at, inner = ends[0]
            caps = _link(caps, inner)
        return [(at, caps)]

    def ways(self, item: Any, at: int) -> Ends:
        """All ends of an item that is no run of words."""
        kind = type(item)
        if kind is Symbol:
            return self.symbol(item.name, at)
        if kind is Choice:
            text, raw, ends = self.texts[at], self.raws[at], list[tuple[int, Caps]]()
            if at > self.furthest:
                self.furthest = at
            for word, option in zip(item.firsts, item.options, strict=True):
                if not word or word == text or word == raw:  # noqa: SIM109, half the time
                    ends += self.follow(option, at)
            return ends
        if kind is Slot:
            taken, value = self.slot(item, at)
            return [(at + taken, (None, "slot", item.name, value))] if taken else []
        return self.repeat(item, at)

    def run(self, words: tuple[str, ...], at: int) -> int:
        """Where a run of words ends that begins at a place; 0 where they do not stand there."""
        end = at + len(words)
        here = self.texts[at:end]
        if here != words:
            raws = self.raws
            for n, word in enumerate(words):  # a name keeps its capital where a sentence begins
                if n >= len(here) or (here[n] != word and raws[at + n] != word):
                    if at + n > self.furthest:
                        self.furthest = at + n
                    return 0
        return end

    def slot(self, slot: Slot, at: int) -> tuple[int, str]:
        """How many tokens fill a slot from a place on, and with what; 0: none do."""
        text, raw = self.texts[at], self.raws[at]
        if at > self.furthest:
            self.furthest = at
        if slot.kind in ("formula", "trace"):
            fits = text[:1] == "`" and (" → " in text) is (slot.kind == "trace")
            return int(fits), text[1:-1]
        if slot.kind == "speaker":
            return int(text.endswith(":**")), text[2:-3]
        if slot.kind == "person":
            return int(raw[:1].isupper()), raw
        return self.grammar.allowed(slot.name, self.given, at) if raw else (0, "")

    def repeat(self, item: Repeat, at: int) -> Ends:
        """All ends of a symbol that is repeated, the longest first."""
        ends: Ends = []
        todo = [(end, _link(None, caps)) for end, caps in self.symbol(item.symbol, at)]
        while todo:
            end, caps = todo.pop()
            ends.append((end, caps))
            for middle, inner in self.follow(item.between, end):
                for after, more in self.symbol(item.symbol, middle):
                    todo.append((after, _link(_link(caps, inner), more)))
        return ends[::-1]


def _link(caps: Caps, inner: Caps) -> Caps:
    if inner is None:
        return caps
    if caps is None:
        return inner
    return (caps, "link", None, inner)
