"""The content files: what a concept says, as frames with slots.

A frame is a sentence with slots: "Add `{term}` to both sides". A slot between backticks holds a
formula; any other slot holds one of the words, or the pattern, that `words` in the file allows.
Paragraphs and reasons have no slots, so that every letter of them can be compared.
"""

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files
from itertools import product
from typing import Any, NamedTuple

CONCEPTS = (
    "order_of_operations",
    "multiplication_by_parts",
    "adding_fractions",
    "linear_equations",
    "unit_conversion",
    "date_arithmetic",
    "truth_values",
    "set_operations",
    "strings_and_lists",
    "probability_by_counting",
)

Slots = dict[str, str]


class Frame(NamedTuple):
    text: str
    pattern: str

    def match(self, said: str) -> Slots | None:
        found = _compiled(self.pattern).fullmatch(said)
        return found.groupdict() if found else None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compiled when first used: all of them at once would take half of a worker's start."""
    return re.compile(pattern)


class Rule(NamedTuple):
    """What may be said of one kind of step, and the reasons for it; `side`: not in the chain."""

    say: tuple[Frame, ...]
    why: tuple[str, ...]


class Mistake(NamedTuple):
    say: tuple[str, ...]
    why: tuple[str, ...]


class Content(NamedTuple):
    concept: str
    titles: tuple[str, ...]
    subject: str
    flavour: str
    words_in_questions: bool  # digits may stand outside of formulas there
    min_equations: int
    levels: tuple[dict[str, tuple[Any, ...]], ...]
    why: tuple[tuple[tuple[str, ...], ...], ...]  # ways of pools of sentences
    idea: tuple[tuple[tuple[str, ...], ...], ...]
    questions: dict[str, tuple[Frame, ...]]
    rules: dict[str, Rule]
    mistakes: dict[str, Mistake]
    proofs: dict[str, tuple[Frame, ...]]
    data: dict[str, Any]
    why_texts: frozenset[str]
    idea_texts: frozenset[str]

    def question(self, sentence: str) -> tuple[str, Slots] | None:
        """The family and the slots of a question's sentence, or None."""
        for family, frames in self.questions.items():
            for frame in frames:
                slots = frame.match(sentence)
                if slots is not None:
                    return family, slots
        return None


def _frame(text: str, words: dict[str, Any]) -> Frame:
    parts = re.split(r"\{(\w+)\}", text)
    pattern, seen = "", set()
    for place, part in enumerate(parts):
        if place % 2 == 0:
            pattern += re.escape(part)
        elif part in seen:
            pattern += f"(?P={part})"
        else:
            seen.add(part)
            allowed = words.get(part.rstrip("0123456789"), words.get(part))
            if "".join(parts[:place:2]).count("`") % 2:  # between backticks: a formula
                inside = "[^`]+?"
            elif isinstance(allowed, list):
                inside = "|".join(re.escape(w) for w in sorted(allowed, key=len, reverse=True))
            elif isinstance(allowed, str):
                inside = allowed
            else:
                raise ValueError(f"{text!r}: slot {part} is no formula and words has no {part}")
            pattern += f"(?P<{part}>{inside})"
    return Frame(text, pattern)


@cache
def content(concept: str) -> Content:
    """The content of one concept, compiled."""
    raw = _read(concept)
    words = raw.get("words", {})

    def frames(texts: list[str]) -> tuple[Frame, ...]:
        return tuple(_frame(text, words) for text in texts)

    def pools(ways: list[list[list[str]]]) -> tuple[tuple[tuple[str, ...], ...], ...]:
        return tuple(tuple(tuple(pool) for pool in way) for way in ways)

    why, idea = pools(raw["why"]), pools(raw["idea"])
    return Content(
        concept=concept,
        titles=tuple(raw["titles"]),
        subject=raw["subject"],
        flavour=raw["flavour"],
        words_in_questions=raw.get("words_in_questions", False),
        min_equations=raw["min_equations"],
        levels=tuple({k: tuple(v) for k, v in level.items()} for level in raw["levels"]),
        why=why,
        idea=idea,
        questions={family: frames(texts) for family, texts in raw["questions"].items()},
        rules={n: Rule(frames(r["say"]), tuple(r["why"])) for n, r in raw["rules"].items()},
        mistakes={n: Mistake(tuple(m["say"]), tuple(m["why"])) for n, m in raw["mistakes"].items()},
        proofs={name: frames(texts) for name, texts in raw["proofs"].items()},
        data=raw.get("data", {}) | {"words": words},
        why_texts=_all_texts(why),
        idea_texts=_all_texts(idea),
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "content" / f"{name}.toml").read_text("utf-8"))


def _all_texts(ways: tuple[tuple[tuple[str, ...], ...], ...]) -> frozenset[str]:
    return frozenset(" ".join(said) for way in ways for said in product(*way))


@cache
def mistake_frames() -> tuple[Frame, ...]:
    """How a common mistake is told, the same for all concepts."""
    raw = _read("common")
    return tuple(_frame(text, raw["words"]) for text in raw["mistake"])


@cache
def concept_of_title() -> dict[str, str]:
    return {title: concept for concept in CONCEPTS for title in content(concept).titles}


@lru_cache(maxsize=20_000)
def rule_of(concept: str, said: str, why: str) -> str:
    """The name of the rule a step's words belong to; "" when no rule says so for that reason."""
    for name, rule in content(concept).rules.items():
        if why in rule.why and any(frame.match(said) is not None for frame in rule.say):
            return name
    return ""


@cache
def _mistake_names(concept: str) -> dict[tuple[str, str], str]:
    return {
        (say, why): name
        for name, mistake in content(concept).mistakes.items()
        for say in mistake.say
        for why in mistake.why
    }


def mistake_of(concept: str, says: str, why: str) -> str:
    """The name of a misconception by its words; "" when none is told so for that reason."""
    return _mistake_names(concept).get((says, why), "")
