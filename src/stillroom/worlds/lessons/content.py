"""The content files: what a concept says, and how hard its levels are.

A concept is one file of phrases (phrases.py has their notation); common.toml holds the phrases that
all concepts share. Mistakes in a file are named with file and line, all at once.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from stillroom.worlds.lessons.curriculum import (
    CONCEPTS,
    OWN,
    SUBJECTS,
    Entry,
    adopt,
    entry,
    own_text,
)
from stillroom.worlds.lessons.phrases import BadPhrase, Phrases, phrase

__all__ = ["CONCEPTS", "OWN", "BadContent", "Content", "Slots", "common", "content"]

Slots = dict[str, str]

POOLS = ("need", "idea", "first", "then", "finally", "picture", "shows", "likeness")
LEVELS = 10  # eight levels, then `wider` and `deeper`: beyond what is trained on


class BadContent(ValueError):
    """Mistakes in content files, each as "file, line n: what is wrong"."""


class Told(NamedTuple):
    """How a rule or a misconception is told: what one does, and why (or why not)."""

    do: Phrases
    why: Phrases


class Content(NamedTuple):
    concept: str
    titles: tuple[str, ...]
    subject: str
    needs: tuple[str, ...]
    min_equations: int
    levels: tuple[dict[str, tuple[Any, ...]], ...]
    pools: dict[str, Phrases]
    questions: dict[str, Phrases]  # families
    sentences: frozenset[str]  # families that are whole sentences, not "work out ..."
    rules: dict[str, Told]
    mistakes: dict[str, Told]
    proofs: dict[str, Phrases]
    classes: tuple[str, ...]  # the answers, where there are only a few
    words: dict[str, Any]
    data: dict[str, Any]


class _File:
    """One file's tables, with the lines on which things stand.

    strict: every phrase is read at once, not when it is needed; for files that no test has seen.
    """

    def __init__(self, name: str, text: str, strict: bool = False) -> None:
        self.name, self.text, self.strict, self.wrong = name, text, strict, list[str]()
        try:
            self.raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as bad:
            line = re.search(r"line (\d+)", str(bad))
            raise BadContent(f"{name}, line {line[1] if line else 1}: {bad}") from None

    def line(self, *path: str) -> int:
        """The line of a key, by its table's header and its name; else of what comes nearest."""
        lines, start = self.text.split("\n"), 0
        for n in range(len(path), 0, -1):
            header = f"[{'.'.join(path[:n])}]"
            found = [i for i, line in enumerate(lines) if line.strip() == header]
            if found:
                start = found[0]
                break
        for i in range(start, len(lines)):
            if re.match(rf"\s*{re.escape(path[-1])}\s*=", lines[i]):
                return i + 1
        return start + 1

    def no(self, what: str, *path: str) -> None:
        self.wrong.append(f"{self.name}, line {self.line(*path)}: {what}")

    def phrases(self, found: Any, *path: str) -> Phrases:
        if not (isinstance(found, list) and found and all(isinstance(t, str) for t in found)):
            self.no(f"{'.'.join(path)}: a list of phrases is missing", *path)
            return ()
        for text in found if self.strict else ():
            try:
                phrase(text)
            except BadPhrase as bad:
                self.no(f"{'.'.join(path)}: {bad}", *path)
        return tuple(found)

    def told(self, kind: str) -> dict[str, Told]:
        table = self.raw.get(kind)
        if not isinstance(table, dict) or not table:
            self.no(f"the tables [{kind}.NAME] are missing", kind)
            return {}
        return {
            name: Told(
                self.phrases(one.get("do"), kind, name, "do"),
                self.phrases(one.get("why"), kind, name, "why"),
            )
            for name, one in table.items()
        }

    def lists(self, kind: str) -> dict[str, Phrases]:
        table = self.raw.get(kind)
        if not isinstance(table, dict) or not table:
            self.no(f"the table [{kind}] is missing", kind)
            return {}
        return {name: self.phrases(found, kind, name) for name, found in table.items()}

    def done(self) -> None:
        if self.wrong:
            raise BadContent("\n".join(self.wrong))


@cache
def content(concept: str) -> Content:
    """The content of one concept; raises BadContent."""
    text = own_text(concept)
    ours = text is None
    file = _File(f"{concept}.toml", text or _read(f"content/{concept}"), strict=not ours)
    raw, known = file.raw, entry(concept)
    if known.subject not in SUBJECTS:
        file.no(f"unknown subject {known.subject!r}; there are {', '.join(SUBJECTS)}", "subject")
    questions = file.lists("questions")
    made = Content(
        concept=concept,
        titles=known.titles,
        subject=known.subject,
        needs=known.needs,
        min_equations=raw.get("min_equations", 0),
        levels=tuple(_levels(file)),
        pools={name: file.phrases(raw.get(name), name) for name in POOLS},
        questions=questions,
        sentences=frozenset(
            family
            for family, texts in raw.get("questions", {}).items()
            if texts and texts[0][-1:] in (".", "?")
        ),
        rules=file.told("rules"),
        mistakes=file.told("mistakes"),
        proofs=file.lists("proofs"),
        classes=tuple(raw.get("classes", ())),
        words=raw.get("words", {}),
        data=raw.get("data", {}) | {"words": raw.get("words", {}), "slips": _slips(raw)},
    )
    file.done()
    return made


def _slips(raw: dict[str, Any]) -> dict[str, str]:
    """The formulas of misconceptions, in concepts that are a file alone."""
    return {n: one["formula"] for n, one in raw.get("mistakes", {}).items() if "formula" in one}


def take_in(text: str, name: str) -> str:
    """Take in a concept of the user's own, a file's text; returns its name. Raises BadContent."""
    file = _File(name, text, strict=True)
    raw = file.raw
    for key, kind in (("concept", str), ("subject", str), ("needs", list), ("titles", list)):
        if not isinstance(raw.get(key), kind):
            file.no(f"{key} is missing", key)
    file.phrases(raw.get("topic"), "topic")
    file.done()
    if raw["subject"] not in SUBJECTS:
        file.no(f"unknown subject {raw['subject']!r}; there are {', '.join(SUBJECTS)}", "subject")
    for n, level in enumerate(raw.get("levels", ()), 1):
        letters = set(re.findall(r"\{(\w+)\}", " ".join(level.get("shape", ()))))
        for key in sorted({"shape", *letters} - set(level)):
            file.no(f"levels: level {n} has no {key}", "levels")
    file.done()
    found = Entry(raw["subject"], tuple(raw["needs"]), tuple(raw["titles"]), tuple(raw["topic"]))
    try:
        adopt(raw["concept"], text, found)
    except ValueError as wrong:
        file.no(str(wrong), "needs" if "need" in str(wrong) else "concept")
        file.done()
    try:
        content(raw["concept"])
    except BadContent as wrong:
        OWN.pop(raw["concept"])
        raise BadContent(str(wrong).replace(f"{raw['concept']}.toml", name)) from None
    return str(raw["concept"])


def _levels(file: _File) -> Iterator[dict[str, tuple[Any, ...]]]:
    levels = file.raw.get("levels")
    if not isinstance(levels, list) or len(levels) != LEVELS:
        file.no(f"levels: {LEVELS} are wanted: eight, then a wider and a deeper one", "levels")
        return
    for n, level in enumerate(levels, 1):
        for name, allowed in level.items():
            numbers = [one for one in allowed if not isinstance(one, str)]
            if not allowed or (numbers and (len(numbers) != 2 or numbers[0] > numbers[1])):
                file.no(f"levels: in level {n}, {name} = {allowed} is no range", "levels")
        if n > 8 and not any(_beyond(levels[:8], level, name) for name in level):
            file.no(f"levels: level {n} goes beyond the first eight in nothing", "levels")
        yield {name: tuple(allowed) for name, allowed in level.items()}


def _beyond(trained: list[dict[str, Any]], level: dict[str, Any], name: str) -> bool:
    """Whether every question of a level differs in `name` from all that are trained on."""
    allowed = level[name]
    known = [one.get(name, []) for one in trained]
    if isinstance(allowed[0], str):
        return not any(set(allowed) & set(one) for one in known)
    return all(one and allowed[0] > one[-1] for one in known)


def _read(name: str) -> str:
    return (files(__package__) / f"{name}.toml").read_text("utf-8")


@cache
def common() -> dict[str, Phrases]:
    """The phrases that all concepts share, by symbol."""
    file = _File("common.toml", _read("common"))
    table = {}
    for name, found in file.raw.items():
        if isinstance(found, dict):  # [step] lesson = [...] is the symbol step.lesson
            for kind, texts in found.items():
                symbol = name if kind == "any" else f"{name}.{kind}"
                table[symbol] = file.phrases(texts, name, kind)
        else:
            table[name] = file.phrases(found, name)
    file.done()
    return table
