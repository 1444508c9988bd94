"""The verb `check`: a lesson's data and text -> a Verdict, without running any of the maker's code.

What can be computed is computed again from the text; what can't (the prose) has to be a sentence
that the content files know, so that no letter changes unseen.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from stillroom.world import Check, Data, Task, Verdict
from stillroom.worlds.lessons import content as contents
from stillroom.worlds.lessons.formula import parse, same, truth, value
from stillroom.worlds.lessons.planning import split_of_question
from stillroom.worlds.lessons.reading import read
from stillroom.worlds.lessons.routes import Question

FORMULA = re.compile(r"`([^`\n]+)`")
_LITERAL = re.compile(r"""\{[^{}]*\}|\[[^][]*\]|"[^"]*\"""")
_SIDES = ("before", "after")
_NUMBERED = re.compile(r"^(?:Level \d|\d+\. |\*\*Exercise \d+\.)", re.MULTILINE)


class _Fault(ValueError):
    """Something wrong; the message says what was found and what is right."""


@cache
def _route(concept: str) -> ModuleType:
    return import_module(f"stillroom.worlds.lessons.routes.{concept}")


def check(task: Task, data: Data) -> Verdict:
    """Judge a lesson by its text; the data must be exactly what the text says."""
    try:
        again = read(task, data["text"])
    except ValueError as wrong:
        return Verdict((Check("parses", False, str(wrong)),), 0.0)
    if again != data:
        field = next(name for name in again if again[name] != data.get(name))
        return Verdict((Check("parses", False, f"{field} is not what the text says"),), 0.0)
    told = contents.content(data["concept"])
    blocks = [("worked example", data["worked"])]
    blocks += [(f"exercise {n}", block) for n, block in enumerate(data["exercises"], 1)]
    questions: list[Question] = []

    def parsed() -> None:
        for where, block in blocks:
            found = told.question(block["question"])
            if found is None:
                raise _Fault(f"{where}: no question of this concept: {block['question']!r}")
            questions.append(Question(*found))

    checks = [Check("parses", True), _run("prose", lambda: _prose(told, data, parsed))]
    if len(questions) == len(blocks):
        pairs = [(where, block, q) for (where, block), q in zip(blocks, questions, strict=True)]
        checks += [
            _run("task", lambda: _task(told, task, data)),
            _run("structure", lambda: _structure(told, data)),
            _run("formulas", lambda: _formulas(data)),
            _run("steps", lambda: _steps(told, pairs)),
            _run("answers", lambda: _answers(told, pairs, data["worked"]["proof"])),
            _run("mistake", lambda: _mistake(told, pairs, data["mistake"])),
            _run("level", lambda: _level(told, data["level"], pairs)),
            _run("split", lambda: _split(told, task, pairs)),
        ]
    return Verdict(tuple(checks), score(data, [block["question"] for _, block in blocks]))


def _run(name: str, look: Callable[[], None]) -> Check:
    try:
        look()
    except (ValueError, KeyError, IndexError, ZeroDivisionError, OverflowError) as wrong:
        return Check(name, False, str(wrong))
    return Check(name, True)


def score(data: Data, questions: list[str]) -> float:
    """The share of characters that are formulas or sentences recomputed, the rest being prose."""
    text = data["text"]
    outside = FORMULA.sub("", text)
    inside = len(text) - len(outside)
    inside += sum(len(FORMULA.sub("", question)) for question in questions)
    return round(inside / len(text), 4)


def _prose(told: contents.Content, data: Data, parsed: Callable[[], None]) -> None:
    parsed()
    for part, known in (("why", told.why_texts), ("idea", told.idea_texts)):
        if len(data[part]) != 1 or data[part][0] not in known:
            raise _Fault(f"{part}: a paragraph that the content file does not have")
    for where, block in [("worked example", data["worked"])] + [
        (f"exercise {n}", block) for n, block in enumerate(data["exercises"], 1)
    ]:
        for n, step in enumerate(block["steps"], 1):
            if not step["rule"]:
                raise _Fault(
                    f"{where}, step {n}: no rule is told so: {step['says']!r} {step['why']!r}"
                )
    if not data["mistake"]["name"]:
        raise _Fault(f"mistake: no misconception is told so: {data['mistake']['says']!r}")
    outside = _NUMBERED.sub("", FORMULA.sub("", data["text"]))
    if not told.words_in_questions and re.search(r"\d", outside):
        raise _Fault("a digit outside of formulas")


def _task(told: contents.Content, task: Task, data: Data) -> None:
    if data["concept"] != task.get("concept"):
        raise _Fault(f"the lesson is about {data['concept']}, the task about {task.get('concept')}")
    if data["level"] != task.get("level"):
        raise _Fault(f"the lesson is of level {data['level']}, the task of {task.get('level')}")
    if data["subject"] != told.subject:
        raise _Fault(f"the subject is {told.subject!r}, and not {data['subject']!r}")


def _structure(told: contents.Content, data: Data) -> None:
    asked = [data["worked"]["question"], *(block["question"] for block in data["exercises"])]
    if not 2 <= len(data["exercises"]) <= 4:
        raise _Fault(f"{len(data['exercises'])} exercises; 2 to 4 are wanted")
    instances = [repr(told.question(sentence)) for sentence in asked]
    if len(set(instances)) != len(instances):
        raise _Fault("a question is asked twice")
    formulas = FORMULA.findall(data["text"])
    statements = sum(1 for formula in formulas if parse(formula).relations)
    if statements < told.min_equations:
        raise _Fault(f"{statements} statements; at least {told.min_equations} are wanted")


def _formulas(data: Data) -> None:
    """Every formula is readable, and every statement without x is true."""
    in_mistake = f"`{data['mistake']['left']} ≠ {data['mistake']['wrong']}`"
    for line in data["text"].split("\n"):
        if line.count("`") % 2:
            raise _Fault(f"a formula that does not end in {line!r:.80}")
        for text in FORMULA.findall(line):
            if parse(text).x:
                if data["concept"] != "linear_equations":
                    raise _Fault(f"`{text}`: x has no place here")
                continue
            if truth(text) is False and f"`{text}`" != in_mistake:
                raise _Fault(f"`{text}` is false, in {line!r:.120}")


def _steps(told: contents.Content, pairs: list[tuple[str, dict[str, Any], Question]]) -> None:
    route = _route(told.concept)
    for where, block, question in pairs:
        before = route.start(question)
        if not before:
            rules = tuple(step["rule"] for step in block["steps"])
            if rules != route.plan_of_steps(question):
                raise _Fault(f"{where}: the steps {rules} are not {route.plan_of_steps(question)}")
        for n, step in enumerate(block["steps"], 1):
            if before and step["before"] != before:
                raise _Fault(
                    f"{where}, step {n}: begins with `{step['before']}`, and `{before}` came before"
                )
            if step["before"] == step["after"]:
                raise _Fault(f"{where}, step {n}: `{step['before']}` stays as it is")
            before = step["after"] if before else ""
            slots = next(
                slots
                for frame in told.rules[step["rule"]].say
                if (slots := frame.match(step["says"])) is not None
            )
            fault = route.step_fault(question, step, slots)
            if fault:
                raise _Fault(f"{where}, step {n} ({step['rule']}): {fault}")
        if block["steps"][-1]["after"] != block["answer"]:
            raise _Fault(
                f"{where}: the steps end in `{block['steps'][-1]['after']}`, "
                f"and the answer is `{block['answer']}`"
            )


def _answers(
    told: contents.Content, pairs: list[tuple[str, dict[str, Any], Question]], proof: str
) -> None:
    route = _route(told.concept)
    for where, block, question in pairs:
        fault = route.answer_fault(question, block["answer"])
        if fault:
            raise _Fault(f"{where}: {fault}")
    for kind, frames in told.proofs.items():
        for frame in frames:
            slots = frame.match(proof)
            if slots is not None:
                _, block, question = pairs[0]
                _proof(slots, block["answer"].removeprefix("x = "), question, block["steps"])
                # Where the words name an operation, the route knows which.
                sign = getattr(route, "PROOF_SIGNS", {}).get(kind, "")
                if sign not in slots["proof"]:
                    raise _Fault(f"`{slots['proof']}` is not what the words say: no `{sign}`")
                return
    raise _Fault(f"the check of the worked example is told in unknown words: {proof!r}")


def _proof(
    slots: dict[str, str], answer: str, question: Question, steps: list[dict[str, Any]]
) -> None:
    if truth(slots["proof"]) is not True:
        raise _Fault(f"`{slots['proof']}` does not prove anything")
    if any(text not in slots["proof"] for name, text in slots.items() if name == "rest"):
        raise _Fault(f"`{slots['proof']}` does not use `{slots['rest']}`")
    known = {
        answer,
        f"[{answer}]",
        *question.slots.values(),
        *(step[side] for step in steps for side in _SIDES),
    }
    for literal in _LITERAL.findall(slots["proof"]):
        if not any(literal in text for text in known):
            raise _Fault(f"`{slots['proof']}`: {literal} has not occurred before")
    if answer not in slots["proof"] and question.slots.get("formula", "?") not in slots["proof"]:
        raise _Fault(f"`{slots['proof']}` is not about the answer `{answer}`")
    opposite = slots.get("opposite")
    if opposite and (
        not opposite.endswith(f" = {answer}")
        or slots["proof"] != f"{question.slots['formula']} = {opposite.partition(' = ')[0]}"
    ):
        raise _Fault(f"`{slots['proof']}` and `{opposite}` are not about the answer `{answer}`")


def _mistake(
    told: contents.Content,
    pairs: list[tuple[str, dict[str, Any], Question]],
    mistake: dict[str, str],
) -> None:
    _, block, question = pairs[0]
    answer = block["answer"]
    left, wrong = mistake["left"], mistake["wrong"]
    if answer.startswith("x = "):
        right, expected_left = answer.removeprefix("x = "), "x"
    else:
        right, expected_left = answer, question.slots.get("formula", answer)
    if left != expected_left:
        raise _Fault(f"`{left} ≠ {wrong}` is not about the worked example")
    given = value(wrong)
    if same(given, value(right)):
        raise _Fault(f"`{left} ≠ {wrong}` is false: here the misconception gives the right answer")
    wrongs = _route(told.concept).wrongs(question)
    name = mistake["name"]
    if name not in wrongs:
        raise _Fault(f"{name!r} can't happen with this question")
    computed = wrongs[name]
    if isinstance(computed, Fraction) and computed.denominator == 1:
        computed = int(computed)
    if not same(given, computed):
        raise _Fault(f"{name!r} gives {computed}, and not {wrong}")


def _level(
    told: contents.Content, level: int, pairs: list[tuple[str, dict[str, Any], Question]]
) -> None:
    if not 1 <= level <= len(told.levels):
        raise _Fault(f"there is no level {level}")
    limits = told.levels[level - 1]
    for where, _, question in pairs:
        for name, found in _route(told.concept).measure(question).items():
            allowed = limits[name]
            for one in found if isinstance(found, tuple) else (found,):
                fits = one in allowed if isinstance(one, str) else allowed[0] <= one <= allowed[-1]
                if not fits:
                    raise _Fault(f"{where}: {name} is {one}; level {level} has {allowed}")


def _split(
    told: contents.Content, task: Task, pairs: list[tuple[str, dict[str, Any], Question]]
) -> None:
    wanted = task.get("split")
    for where, _, question in pairs:
        found = split_of_question(told.concept, question.family, question.slots)
        if found != wanted:
            raise _Fault(f"{where}: the question belongs to {found}, and not to {wanted}")
