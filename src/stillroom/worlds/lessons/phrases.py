"""Phrases: the sentences of the content files as small grammars.

A phrase is text with choices `[a|b c|]` (the last one is empty; they nest), symbols `<name>` that
stand for any phrase of that name, repetitions `<name* ¶>` (once or more, with what follows the
star between them) and slots: "`{part}`" is a formula, "`{trace}`" states joined by arrows,
`{number}` what `words` allows, `{A}` and `{B}` are the two people of the lesson, `**{A}:**` is one
of them speaking. `¶` ends a paragraph, `↵` a line, `#.` is the number of a list item. A phrase
begins in lower case; capitals at the start of sentences are put in when it is told and taken off
when it is read.

telling.py expands phrases, parsing.py takes texts apart; they share these definitions, no code.
"""

import re
from functools import cache
from typing import NamedTuple

MARKS = frozenset(".,;:?!)")  # written without a space before them
BREAKS = {"¶": "\n\n", "↵": "\n"}


class Words(NamedTuple):
    """Words, punctuation marks, formulas as they stand, and breaks, one after the other."""

    words: tuple[str, ...]


class Choice(NamedTuple):
    """Options, and the word that each begins with; "" where it may be anything.

    runs: the options' words, where all of them are words and nothing else, as most are.
    """

    options: tuple["Phrase", ...]
    firsts: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...]


class Symbol(NamedTuple):
    name: str


class Repeat(NamedTuple):
    """`symbol` once or more, `between` in between."""

    symbol: str
    between: "Phrase"


class Slot(NamedTuple):
    """kind: formula, trace, person, speaker, or words (explained by the content file's `words`)."""

    kind: str
    name: str


Item = Words | Choice | Symbol | Repeat | Slot
Phrase = tuple[Item, ...]
Phrases = tuple[str, ...]
"""Phrases as they are written; each is read when it is needed."""

_PIECE = re.compile(
    r"\s*(?:(?P<repeat><\w+\*[^>]*>)|(?P<symbol><\w+>)|(?P<trace>`\{trace\}`)|(?P<formula>`\{\w+\}`)"
    r"|(?P<speaker>\*\*\{[AB]\}:\*\*)|(?P<person>\{[AB]\})|(?P<words>\{\w+\})"
    r"|(?P<word>`[^`]+`|\*\*[^*{}]+\*\*|\*\w+\*|#\.|##?|\d+|[^\W\d_][\w'’]*(?:-[\w'’]+)*|[.,;:?!()¶↵→·—–%°∪∩])"
    r"|(?P<mark>[][|]))"
)


class BadPhrase(ValueError):
    """A phrase that can't be read; the message says what is wrong with it."""


@cache
def phrase(text: str) -> Phrase:
    """The phrase of a text; raises BadPhrase."""
    pieces, at, end = [], 0, len(text.rstrip())
    while at < end:
        found = _PIECE.match(text, at)
        if not found:
            raise BadPhrase(f"{text!r}: can't read {text[at : at + 20]!r}")
        pieces.append((found.lastgroup or "", found[found.lastgroup or 0]))
        at = found.end()
    items, rest = _items(pieces, 0, text)
    if rest != len(pieces):
        raise BadPhrase(f"{text!r}: a {pieces[rest][1]!r} without its opening bracket")
    return items


def _items(pieces: list[tuple[str, str]], at: int, text: str) -> tuple[Phrase, int]:
    found: list[Item] = []
    while at < len(pieces):
        kind, piece = pieces[at]
        if kind == "mark":
            if piece != "[":
                break
            options = []
            while piece != "]":
                option, at = _items(pieces, at + 1, text)
                if at == len(pieces):
                    raise BadPhrase(f"{text!r}: a choice without its closing bracket")
                options.append(option)
                piece = pieces[at][1]
            runs = tuple(map(_run, options)) if all(map(_is_run, options)) else ()
            found.append(Choice(tuple(options), tuple(map(_first, options)), runs))
        elif kind == "word":
            run = [piece]
            while at + 1 < len(pieces) and pieces[at + 1][0] == "word":
                at += 1
                run.append(pieces[at][1])
            found.append(Words(tuple(run)))
        elif kind == "symbol":
            found.append(Symbol(piece[1:-1]))
        elif kind == "repeat":
            name, _, between = piece[1:-1].partition("*")
            found.append(Repeat(name, phrase(between)))
        else:
            found.append(Slot(kind, re.sub(r"\W", "", piece)))
        at += 1
    return tuple(found), at


def _first(items: Phrase) -> str:
    return items[0].words[0] if items and isinstance(items[0], Words) else ""


def _is_run(items: Phrase) -> bool:
    return not items or (len(items) == 1 and isinstance(items[0], Words))


def _run(items: Phrase) -> tuple[str, ...]:
    return items[0].words if items and isinstance(items[0], Words) else ()


def first_of(table: dict[str, Phrases], name: str, kinds: tuple[str, ...]) -> str:
    """The most special variant of a symbol that there is: `step.exam`, `step.child`, or `step`."""
    for kind in kinds:
        if f"{name}.{kind}" in table:
            return f"{name}.{kind}"
    return name
