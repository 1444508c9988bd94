"""What a parsed lesson says: symbols and slots -> data, questions, and the slots of its words."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from stillroom.world import Data
from stillroom.worlds.lessons.content import Slots, content
from stillroom.worlds.lessons.locales import Locale
from stillroom.worlds.lessons.parsing import Found, Token
from stillroom.worlds.lessons.routes import Question
from stillroom.worlds.lessons.symbols import move_of, pattern_of

_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_LABELS = frozenset(("A", "B", "do", "why", "ask", "asked", "prove", "slip", "slip_why"))


class Lesson(NamedTuple):
    """A text taken apart: the data, and what its words say besides."""

    data: Data
    questions: list[Question]  # of the worked example, then of the exercises
    said: list[Slots | None]  # the slots in the words of each worked step; None: told in short
    proof: tuple[str, Slots]  # how the worked example is checked: its kind and its slots


def lesson(whole: Found, body: str, given: list[Token], locale: Locale, head: Data) -> Lesson:
    """The meaning of a parsed body under its head; raises ValueError where it makes no sense."""
    reader = _Reader(body, given, locale, content(head["concept"]).words)
    everything = _every(whole)
    reader.people(everything)
    worked = next(_all(whole, "worked"))
    steps = list(_steps(reader, worked))
    exercises, solutions = list(_all(whole, "exercise")), list(_all(whole, "solution"))
    if len(exercises) != len(solutions):
        raise ValueError(f"{len(exercises)} exercises and {len(solutions)} solutions")
    asked = [next(_all(one, "question")) for one in (worked, *exercises)]
    said = [reader.surface(asked[0]), *(reader.surface(one, 1) for one in exercises)]
    proof = reader.plain(worked.slots, "answer")
    data = head | {
        "moves": [move for found in everything if (move := move_of(found.name))],
        "worked": {
            "question": said[0],
            "steps": [step for step, _ in steps],
            "answer": _answer(worked),
            "proof": proof.get("proof", ""),
        },
        "mistake": _mistake(next(_all(whole, "counterexample", "history"))),
        "exercises": [
            {"question": question, "steps": _pairs(one.slots), "answer": _answer(one)}
            for question, one in zip(said[1:], solutions, strict=True)
        ],
    }
    return Lesson(
        data,
        [Question(one_label(one.slots, "ask", "asked"), reader.plain(one.slots)) for one in asked],
        [said for _, said in steps],
        (one_label(worked.slots, "prove"), proof),
    )


def asked(found: Found, body: str, given: list[Token], locale: Locale, concept: str) -> Question:
    """The one question in a parsed symbol."""
    one = next(_all(found, "question"))
    slots = _Reader(body, given, locale, content(concept).words).plain(one.slots)
    return Question(one_label(one.slots, "ask", "asked"), slots)


class _Reader(NamedTuple):
    """The text and the country it is written for."""

    body: str
    given: list[Token]
    locale: Locale
    words: dict[str, Any]  # what the concept's file allows in slots that are no formulas

    def people(self, everything: list[Found]) -> None:
        """Two people at most, who keep their names, which are names of the country."""
        names = {
            letter: {name for found in everything for name in found.slots.get(letter, ())}
            for letter in "AB"
        }
        named = [name for known in names.values() for name in known]
        if len(set(named)) != len(named) or any(len(known) > 1 for known in names.values()):
            raise ValueError(f"the two people change their names: {', '.join(sorted(set(named)))}")
        for name in named:
            if name not in self.locale.names:
                raise ValueError(f"{name} is no name of {self.locale.country}")

    def surface(self, found: Found, without: int = 0) -> str:
        """The text of a symbol as it stands, without some of its first tokens."""
        last = self.given[found.end - 1]
        return self.body[self.given[found.begin + without][2] : last[2] + len(last[1])]

    def plain(self, slots: dict[str, list[str]], *without: str) -> Slots:
        """Each slot's one value, numbers as plain digits."""
        out = {}
        for name, values in slots.items():
            if name in _LABELS or name in without:
                continue
            if len(set(values)) != 1:
                raise ValueError(f"two values for one thing: {', '.join(values)}")
            value = values[0]
            # Only words are written as in the country; numbers in formulas are plain.
            worded = value[0].isdigit() and pattern_of(self.words, name) is not None
            out[name] = self.locale.read(value) if worded else value
        return out


def _every(found: Found) -> list[Found]:
    """The symbol and all inside it, in the order of the text."""
    every = [found]
    for one in found.inner:
        every += _every(one) if one.inner else (one,)
    return every


def _all(found: Found, *names: str) -> Iterator[Found]:
    for one in found.inner:
        if one.name in names:
            yield one
        else:
            yield from _all(one, *names)


def one_label(slots: dict[str, list[str]], *names: str) -> str:
    """The one label that these symbols have; "" when there are none or several."""
    labels = {label for name in names for label in slots.get(name, ())}
    return labels.pop() if len(labels) == 1 else ""


def _steps(reader: _Reader, worked: Found) -> Iterator[tuple[dict[str, str], Slots | None]]:
    """Each worked step, and the slots of its words; told in short it has neither rule nor words."""
    for one in _all(worked, "step", "step_again"):
        if one.name == "step":
            step = {"rule": one_label(one.slots, "do", "why"), **_pairs(one.slots)[-1]}
            yield step, reader.plain(one.slots, "f", "trace")
        else:
            yield from (({"rule": "", **pair}, None) for pair in _pairs(one.slots))


def _mistake(found: Found) -> dict[str, str]:
    left, _, wrong = found.slots["contrast"][0].rpartition(" ≠ ")
    told = {wrong, *found.slots["wrong"]}
    if len(told) > 1:
        raise ValueError(f"the mistake gives {' and '.join(sorted(told))}")
    return {"name": one_label(found.slots, "slip", "slip_why"), "left": left, "wrong": wrong}


def _answer(found: Found) -> str:
    answers = found.slots.get("answer", [])
    if len(set(answers)) != 1:
        raise ValueError(f"expected one answer, found {', '.join(answers) or 'none'}")
    return answers[0]


def _pairs(slots: dict[str, list[str]]) -> list[dict[str, str]]:
    """Steps as before and after: of statements `a = b = c`, or of states one after the other."""
    states = [state for trace in slots.get("trace", []) for state in trace.split(" → ")]
    found = [{"before": a, "after": b} for a, b in pairwise(states)]
    for statement in slots.get("f", []):
        # A relation inside quotes is no relation.
        hidden = _QUOTED.sub(lambda quoted: "'" * len(quoted[0]), statement)
        places = [place.start() for place in re.finditer(" = ", hidden)]
        if not places or " → " in hidden:
            raise ValueError(f"no statement: `{statement}`")
        edges = [-3, *places, len(statement)]
        parts = [statement[a + 3 : b] for a, b in pairwise(edges)]
        found += [{"before": a, "after": b} for a, b in pairwise(parts)]
    return found
