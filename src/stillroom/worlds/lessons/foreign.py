"""Texts from elsewhere: taken in by `adopt`, and checked for the arithmetic they hold.

Only what is plainly arithmetic is judged: two numbers, or sums and products of numbers, with a
relation between them. When in doubt a line is left out; a false alarm is worse than a gap.
"""

import re
from decimal import Decimal
from typing import Any

from stillroom.world import Check, Data, Task, Verdict
from stillroom.worlds.lessons.adoption import recorded
from stillroom.worlds.lessons.curriculum import concept_of
from stillroom.worlds.lessons.formula import Unreadable, truth, value
from stillroom.worlds.lessons.meaning import Lesson
from stillroom.worlds.lessons.planning import BEYOND, split_of_question
from stillroom.worlds.lessons.reading import foreign, take_apart


def adopt(row: dict[str, Any]) -> tuple[Task, Data]:
    """A row of our own export, a chat, a text, or a prompt with its completion."""
    task = row.get("task")
    if isinstance(task, dict) and isinstance(row.get("data"), dict):
        return recorded(row)
    text = _text(row)
    title = text.strip().split("\n", 1)[0].removeprefix("# ")
    if concept_of(title):
        try:
            lesson = take_apart(text)
        except ValueError:
            pass  # not one of our lessons after all; its arithmetic is checked all the same
        else:
            return _task(lesson), lesson.data
    return {"foreign": True}, foreign(text)


def _task(lesson: Lesson) -> Task:
    """The task that a lesson without one must have come from; its number is unknown."""
    task = {name: lesson.data[name] for name in ("concept", "level", "audience", "style", "locale")}
    family, slots = lesson.questions[0]
    split = "test"
    if task["level"] not in BEYOND:
        split = split_of_question(task["concept"], family, slots)
    return {**task, "split": split, "number": -1}


def _text(row: dict[str, Any]) -> str:
    messages = row.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        content = messages[-1].get("content")
        if isinstance(content, str):
            return content
    for name in ("text", "completion", "response", "output", "answer"):
        if isinstance(row.get(name), str):
            return str(row[name])
    raise ValueError(
        f"no text in this row: expected messages, text or completion, got {sorted(row)}"
    )


_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_OPERAND = rf"-?\(?\s*-?[$€£]?{_NUMBER}(?:\s?%)?!?(?:\s*\))?"
_SIGN = r"\s*(?:\+|-|−|–|×|\*\*|\*|÷|/|\^|·|(?<=[\s\d])x(?=[\s\d]))\s*"
_GROUP = r"\(*\s*"
# Atomic: a bracket could belong to the group or to the operand, and trying both for each of n
# operands would take 2^n steps.
_ITEM = rf"(?>{_GROUP}{_OPERAND}\)*)"
_EXPRESSION = rf"{_ITEM}(?:{_SIGN}{_ITEM})*"
_STATEMENT = re.compile(
    # Nothing before or after that would make it a part of something longer: a variable, a name.
    rf"(?<![\w.,$€£+\-−–×*÷/^·=≈<>!%)(&\\\]}}\"'])(?<![+\-−–×*÷/^·=≈<>] )(?!(?<=[\w)] )-)"
    rf"({_EXPRESSION})\s*(=|≠|<|>)\s*(?={_GROUP}[-$€£\d])({_EXPRESSION})"
    rf"(?:\s*=\s*({_EXPRESSION}))?(?:\s*=\s*({_EXPRESSION}))?"
    rf"(?!\s*[+\-−–×*÷/^·=≈<>!%(\[]|\.?\w|\s*\w+\s*[-+*/=^×÷]|\s*\(mod|[,:]\d|\s*\.\.\.|…|\s(?:or|to)\s\d)"
)
_LATEX = (
    (re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}"), r"(\1/\2)"),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "×"),
    (re.compile(r"\\div(?![a-zA-Z])"), "÷"),
    (re.compile(r"\\neq?(?![a-zA-Z])"), "≠"),
    (re.compile(r"\\[$%]"), lambda found: found[0][1]),
    (re.compile(r"\\[()\[\]]"), " "),
    (re.compile(r"\\(?:left|right|,|;|!)"), ""),
    (re.compile(r"<<([^<>]*)>>"), r" ; \1 ; "),
    (re.compile(r"\^\{(\d+)\}"), r"^\1"),
    (re.compile(r"\\text\{\s*[a-z]*\s*\}|\\boxed(?=\{)"), ""),
)
# "3 apples + 4 apples = 7 apples": the same noun behind every number.
_NOUNS = re.compile(
    r"(?<![\w.])\d[\d.,]* ([a-z]{3,})s?(?: [-+] \d[\d.,]* \1s?)+ = \d[\d.,]* \1s?\b"
)
_FUNCTION = re.compile(r"\b(?:log|ln|sqrt|sin|cos|tan|mod|lim)(?![a-z])|\\(?:sum|int|prod)|√|∑|∫")
_CODE = re.compile(r"^(?:```|~~~)")


def statements(text: str) -> list[tuple[int, str, bool, int]]:
    """Checkable statements: line (from 1), as found, whether it is true, characters covered."""
    found, fenced = [], False
    for number, line in enumerate(text.split("\n"), 1):
        if _CODE.match(line.strip()):
            fenced = not fenced
        if fenced or not re.search(r"\d.*(?:[=≠<>]|\\ne)", line) or _FUNCTION.search(line):
            continue
        plain = line
        for pattern, new in _LATEX:
            plain = pattern.sub(new, plain)
        for mark in ("$$", "**"):
            if mark == "$$" or not re.search(r"\d\s*\*\*\s*\d", plain):
                plain = plain.replace(mark, "")
        # Between dollar signs stands a formula, unless the second one opens an amount of money.
        plain = re.sub(r"\$([^$]*[=≠<>][^$]*)\$(?!\d)", r" \1 ", plain)
        plain = re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", plain)
        plain = _NOUNS.sub(lambda m: m[0].replace(f" {m[1]}s", "").replace(f" {m[1]}", ""), plain)
        plain = plain.replace("`", " ; ")
        for match in _STATEMENT.finditer(plain):
            judged = _judge(match[0])
            if judged is not None:
                found.append((number, match[0].strip(), judged, len(match[0].strip())))
    return found


def _judge(text: str) -> bool | None:
    """Whether a statement is true; None when it is no arithmetic, or claims nothing."""
    if not re.search(r"[+×*÷/^·!%]|\d\s*[-−–x]|[<>≠]", text):
        return None  # "7 = 7" says nothing
    if re.search(r"\d{4}-\d\d|\d+/\d+/\d+|\d-\d+-\d", text):
        return None  # dates, phone numbers
    plain = _plain(text)
    try:
        true = truth(plain)
    except Unreadable:
        return None
    if true is False and _rounded(plain):
        return None
    return true


def _plain(text: str) -> str:
    """The statement in the notation of our own formulas."""
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    plain = re.sub(r"[$€£]", "", plain)
    plain = re.sub(rf"({_NUMBER})\s?%", r"(\1 ÷ 100)", plain)
    plain = plain.replace("**", "^").translate(str.maketrans("*·x−–", "×××--"))
    return re.sub(r"(?<=\d)/(?=\d)", " / ", plain).strip()


def _correction(said: str) -> str:
    """What the left side really is."""
    left = re.split("[=≠<>]", _plain(said))[0].strip()
    return f"{said}, but {left} is {value(left)}"


def _rounded(text: str) -> bool:
    """Whether a side with decimals is the other one rounded: "10 / 3 = 3.33" is no false alarm."""
    sides = text.split("=")
    if len(sides) != 2:
        return False
    right = sides[1].strip().strip("()")
    if not re.fullmatch(r"-?\d+(?:\.\d+)?", right) or not re.search(r"[/÷^]", sides[0]):
        return False
    places = len(right.partition(".")[2])
    if not places:
        return False
    gap = Decimal(1).scaleb(-places)
    low, high = Decimal(right) - gap, Decimal(right) + gap
    try:
        return bool(
            truth(f"{sides[0].strip()} > ({low:f})") and truth(f"{sides[0].strip()} < {high:f}")
        )
    except Unreadable:
        return False


def check(data: Data) -> Verdict:
    """Recompute every statement that can be; a text with none gets a "no": nothing was checked."""
    text = data["text"]
    found = statements(text)
    same = data == foreign(text)
    if not found:
        return Verdict((Check("checkable", False, "no arithmetic statement to check"),), 0.0)
    wrong = [f"line {line}: {_correction(said)}" for line, said, true, _ in found if not true]
    checks = (
        Check("parses", same, "" if same else "data hold more than the text"),
        Check("checkable", True, f"{len(found)} statements"),
        Check("statements", not wrong, "; ".join(wrong)),
    )
    covered = sum(size for _, _, _, size in found)
    return Verdict(checks, round(min(1.0, covered / max(1, len(text))), 4))
