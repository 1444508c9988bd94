"""The verb `read`: a lesson's text -> its data. It takes text apart and judges nothing."""

import re
from functools import cache, partial

from stillroom.world import Data, Task
from stillroom.worlds.lessons import curriculum
from stillroom.worlds.lessons.content import common, content
from stillroom.worlds.lessons.locales import locales
from stillroom.worlds.lessons.meaning import Lesson, asked, lesson, one_label
from stillroom.worlds.lessons.networks import Index, first_words
from stillroom.worlds.lessons.parsing import Found, Grammar, Token, tokens
from stillroom.worlds.lessons.routes import Question
from stillroom.worlds.lessons.symbols import (
    AUDIENCES,
    MOVES,
    STYLES,
    pattern_of,
    symbols,
    variant,
)

_HEADER = re.compile(r"\*Level (\d+) · (\w+) · (\w+) · (\w+)\*")
_PARTS = ("question", "worked", "step", "step_again", "mistake", "exercise", "solution")
_STRUCTURE = frozenset((*_PARTS, *MOVES, *(f"{move}_move" for move in MOVES)))


def read(task: Task, text: str) -> Data:
    """Data of a lesson's text; ValueError says what part can't be read.

    A task {"foreign": true} takes any text as it is.
    """
    return foreign(text) if task.get("foreign") else take_apart(text).data


def take_apart(text: str) -> Lesson:
    """A lesson's text as data and the meaning of its words; raises ValueError."""
    text = text.strip() + "\n"
    head = _head(text)
    locale = locales()[head["locale"]]
    body = text.split("\n\n", 2)[2].removesuffix("\n")
    given = tokens(body)
    return lesson(_whole(head, given), body, given, locale, head | {"text": text})


def spans(text: str) -> list[tuple[str, int, int]]:
    """Where the parts of a lesson stand in its text: symbol, begin, end; the order of the text."""
    text = text.strip() + "\n"
    body = text.split("\n\n", 2)[2].removesuffix("\n")
    given, offset = tokens(body), len(text) - len(body) - 1
    found: list[tuple[str, int, int]] = []

    def visit(one: Found) -> None:
        last = given[one.end - 1]
        found.append((one.name, offset + given[one.begin][2], offset + last[2] + len(last[1])))
        for inner in one.inner:
            visit(inner)

    visit(_whole(_head(text), given))
    return found


def read_question(task: Task, text: str, exercise: bool) -> Question:
    """What a question alone asks, in the words of a concept's grammar; ValueError if it has none.

    An exercise may have a word before and after its question, a worked example has none.
    """
    body = f"1. {text}" if exercise else text
    given = tokens(body)
    grammar = _grammar(task["concept"], task["style"], task["audience"])
    found = grammar.parse("exercise" if exercise else "question", given)
    return asked(found, body, given, locales()[task["locale"]], task["concept"])


def _head(text: str) -> Data:
    """What title and the line below it say."""
    title, header = (*text.split("\n\n", 2), "", "")[:2]
    concept = curriculum.concept_of(title.removeprefix("# "))
    if not concept or not title.startswith("# "):
        raise ValueError(f"title: {title!r:.60} is the title of no concept")
    found = _HEADER.fullmatch(header)
    if (
        not found
        or found[2] not in AUDIENCES
        or found[3] not in STYLES
        or found[4] not in locales()
        or text.count("\n\n") < 2
    ):
        raise ValueError(
            "the line below the title: expected '*Level 3 · child · lesson · India*', got "
            f" {header!r:.90}"
        )
    return {
        "concept": concept,
        "level": int(found[1]),
        "subject": curriculum.entry(concept).subject,
        "audience": found[2],
        "style": found[3],
        "locale": found[4],
        "title": title[2:],
    }


def _whole(head: Data, given: list[Token]) -> Found:
    return _grammar(head["concept"], head["style"], head["audience"]).parse("lesson", given)


def foreign(text: str) -> Data:
    """Data of a text that is no lesson: nothing but the text."""
    names = ("concept", "subject", "audience", "style", "locale", "title")
    return {
        **dict.fromkeys(names, ""),
        "level": 0,
        "text": text,
        "moves": [],
        "worked": None,
        "mistake": None,
        "exercises": [],
    }


@cache
def _index(name: str) -> Index:
    return Index((("", text) for text in common()[name]), _begins)


@cache
def _begins(symbol: str) -> frozenset[str]:
    """What a symbol can begin with in any of its variants; anything, where a concept brings it."""
    known = [text for name in _variants().get(symbol, ()) for text in common()[name]]
    words = frozenset(word for text in known for word in first_words(text, _begins))
    return words if known and "" not in words else frozenset(("",))


@cache
def _variants() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in common():
        found.setdefault(name.partition(".")[0], []).append(name)
    return found


@cache
def _grammar(concept: str, style: str, audience: str) -> Grammar:
    return Grammar(
        lambda name: _index(variant(name, style, audience)),
        _own(concept),
        partial(_taken, concept),
        _STRUCTURE,
        _sound,
    )


@cache
def _own(concept: str) -> dict[str, Index]:
    return {
        name: Index(((label, text) for label, texts in found for text in texts), _begins, keep=True)
        for name, found in symbols(concept).items()
    }


def _taken(concept: str, slot: str, given: list[Token], at: int) -> tuple[int, str]:
    """How many tokens from here fill a slot of words (0: none do), and with what."""
    allowed = pattern_of(content(concept).words, slot)
    if isinstance(allowed, str):
        plain = re.sub(r"(?<=\d)[.,’\u202f](?=\d)", "", given[at][1])
        return int(re.fullmatch(allowed, plain) is not None), given[at][1]
    text, raw, _ = given[at]
    choices = _choices(concept, slot)
    known = choices.get(text, ())
    for rest, filled in known if raw == text else (*known, *choices.get(raw, ())):
        end = at + 1 + len(rest)
        if rest == [token[1] for token in given[at + 1 : end]]:
            return end - at, filled
    return 0, ""


@cache
def _choices(concept: str, slot: str) -> dict[str, list[tuple[list[str], str]]]:
    """What a slot may hold, by its first token: the others and the text; longest first."""
    allowed = pattern_of(content(concept).words, slot)
    found: dict[str, list[tuple[list[str], str]]] = {}
    for text in allowed if isinstance(allowed, list) else []:
        parts = [token[1] for token in tokens(f"{text[0].upper()}{text[1:]}")]
        found.setdefault(text[: len(parts[0])], []).append((parts[1:], text))
    return {first: sorted(some, key=lambda one: -len(one[0])) for first, some in found.items()}


def _sound(found: Found) -> bool:
    """Whether a step's words and its reason belong to one rule, and a mistake's to one slip."""
    if found.name == "step":
        return one_label(found.slots, "do", "why") != ""
    if found.name in ("counterexample", "history"):
        return one_label(found.slots, "slip", "slip_why") != ""
    return True
