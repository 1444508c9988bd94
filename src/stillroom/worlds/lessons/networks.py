"""A symbol's phrases as networks that a reader walks, one for each word they can begin with.

Phrases that begin alike share their first nodes, so that what they have in common is read once. A
network is built when a text first needs it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from stillroom.worlds.lessons.phrases import (
    Choice,
    Item,
    Phrase,
    Repeat,
    Slot,
    Symbol,
    Words,
    phrase,
)

Node = tuple[int, Any, Any]
"""What kind of node it is, what is to be read there, and the node after it."""

END, WORDS, PICK, FORMULA, SYMBOL, SLOT, REPEAT, FORK, CHOICE = range(9)
"""What a node holds, by its kind:

END      the place of the phrase among its symbol's, and (for the node after) its label
WORDS    a run of words
PICK     a choice among runs of words: all of them, and which can begin with a word
FORMULA  the name of a slot for a formula
SYMBOL   a name
SLOT     any other slot
REPEAT   a repeated symbol, and the node of what stands between
FORK     where phrases part: nodes by the words they begin with, and nodes that may with any
CHOICE   any other choice: of each option its first word and its node; what follows is in them
"""


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
        self.known: dict[tuple[str, str], Node | None] = {}
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

    def fitting(self, text: str, raw: str) -> Node | None:
        """The network of the phrases that may begin with a token; None: none may."""
        words = self.words
        if text[:1] == "`" and text not in words:
            text = raw = "`"  # any formula
        key = text if text in words else "", raw if raw != text and raw in words else ""
        try:
            return self.known[key]
        except KeyError:
            fits = list(words.get(text, ()))
            fits += words.get("`", ()) if text[:1] == "`" != text else ()
            fits += words.get(key[1], ())
            self.known[key] = network([*fits, *self.others])
            return self.known[key]


def network(entries: list[tuple[str, str]]) -> Node | None:
    """One network of some labelled phrases; None where there are none."""
    tree: dict[Any, Any] = {}
    for place, (label, text) in enumerate(entries):
        here = tree
        for item in phrase(text):
            for key in item.words if isinstance(item, Words) else (item,):
                here = here.setdefault(key, {})
        here[place] = label
    return _node(tree) if tree else None


def _node(tree: dict[Any, Any]) -> Node:
    """The node of a tree whose keys are words, other items, and (where phrases end) places."""
    run: list[str] = []
    while len(tree) == 1 and isinstance(key := next(iter(tree)), str):
        run.append(key)
        tree = tree[key]
    if run:
        return WORDS, tuple(run), _node(tree)
    nodes = [_arc(key, rest) for key, rest in tree.items()]
    return nodes[0] if len(nodes) == 1 else _fork(nodes)


def _arc(key: Any, rest: Any) -> Node:
    if isinstance(key, str):
        return _node({key: rest})
    return (END, key, rest) if isinstance(key, int) else _item(key, _node(rest))


def _fork(nodes: list[Node]) -> Node:
    table: dict[str, tuple[Node, ...]] = {}
    others: tuple[Node, ...] = ()
    for node in nodes:
        starts = _starts(node)
        for start in starts:
            table[start] = (*table.get(start, ()), node)
        others += () if starts else (node,)
    return FORK, (table, others), None


def _starts(node: Node) -> set[str]:
    """The words that a node can begin with; none where it may be anything."""
    kind, what, _ = node
    if kind == WORDS:
        return {what[0]}
    starts = {run[0] if run else "" for run in what[0]} if kind == PICK else {""}
    return set() if "" in starts else starts


def _item(item: Item, after: Node) -> Node:
    if isinstance(item, Words):
        return WORDS, item.words, after
    if isinstance(item, Choice):
        return _choice(item, after)
    if isinstance(item, Symbol):
        return SYMBOL, item.name, after
    if isinstance(item, Repeat):
        return REPEAT, (item.symbol, _chain(item.between, (END, 0, ""))), after
    return (FORMULA, item.name, after) if item.kind == "formula" else (SLOT, item, after)


def _chain(items: Phrase, after: Node) -> Node:
    for item in reversed(items):
        after = _item(item, after)
    return after


def _choice(choice: Choice, after: Node) -> Node:
    if not choice.runs:
        options = zip(choice.firsts, choice.options, strict=True)
        return CHOICE, [(first, _chain(option, after)) for first, option in options], None
    fits = {
        first: tuple(run for run in choice.runs if not run or run[0] == first)
        for first in ("", *choice.firsts)
    }
    return PICK, (choice.runs, fits), after


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
