"""The verb `check`: a lesson's data and text -> a Verdict, without running any of the maker's code.

The text is taken apart by the grammar, and what it says has to be the data. What can be computed is
computed again; the words have to be phrases of the content files, so no letter changes unseen.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from stillroom.world import Check, Data, Task, Verdict
from stillroom.worlds.lessons.content import Content, Slots, content
from stillroom.worlds.lessons.formula import parse, same, truth
from stillroom.worlds.lessons.meaning import Lesson
from stillroom.worlds.lessons.planning import BEYOND, split_of_question
from stillroom.worlds.lessons.reading import take_apart
from stillroom.worlds.lessons.routes import Question, route_of

FORMULA = re.compile(r"`([^`\n]+)`")
_LITERAL = re.compile(r"""\{[^{}]*\}|\[[^][]*\]|"[^"]*\"""")
_SIDES = ("before", "after")
_WORKED = "worked example"


def states(text: str) -> list[str]:
    """The states of a trace `a → b → c`; of any other formula the formula alone."""
    return text.split(" → ")


class _Fault(ValueError):
    """Something wrong; the message says what was found and what is right."""


Pairs = list[tuple[str, dict[str, Any], Question]]  # where, a block, its question


def check(task: Task, data: Data) -> Verdict:
    """Judge a lesson by its text; the data must be exactly what the text says."""
    try:
        lesson = take_apart(data["text"])
    except ValueError as wrong:
        return Verdict((Check("parses", False, str(wrong)),), 0.0)
    if lesson.data != data:
        field = next(name for name in lesson.data if lesson.data[name] != data.get(name))
        return Verdict((Check("parses", False, f"{field} is not what the text says"),), 0.0)
    told = content(data["concept"])
    blocks = [(_WORKED, data["worked"])]
    blocks += [(f"exercise {n}", block) for n, block in enumerate(data["exercises"], 1)]
    pairs: Pairs = [
        (where, block, question)
        for (where, block), question in zip(blocks, lesson.questions, strict=True)
    ]
    looks: dict[str, Callable[[], None]] = {
        "task": lambda: _task(told, task, data),
        "structure": lambda: _structure(told, data, lesson),
        "formulas": lambda: _formulas(data),
        "steps": lambda: _steps(told, pairs, lesson),
        "answers": lambda: _answers(told, pairs, lesson.proof),
        "mistake": lambda: _mistake(told, pairs, data["mistake"]),
        "level": lambda: in_level(told, data["level"], pairs),
        "split": lambda: in_split(told, task, pairs),
    }
    checks = [Check("parses", True), *(_run(name, look) for name, look in looks.items())]
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


def _task(told: Content, task: Task, data: Data) -> None:
    for name in ("concept", "level", "audience", "style", "locale"):
        if data[name] != task.get(name):
            raise _Fault(f"the lesson's {name} is {data[name]!r}, the task's {task.get(name)!r}")


def _structure(told: Content, data: Data, lesson: Lesson) -> None:
    if not 2 <= len(data["exercises"]) <= 4:
        raise _Fault(f"{len(data['exercises'])} exercises; 2 to 4 are wanted")
    if len({repr(question) for question in lesson.questions}) != len(lesson.questions):
        raise _Fault("a question is asked twice")
    formulas = FORMULA.findall(data["text"])
    statements = sum(len(parse(part).relations) for text in formulas for part in states(text))
    if statements < told.min_equations:
        raise _Fault(f"{statements} statements; at least {told.min_equations} are wanted")


def _formulas(data: Data) -> None:
    """Every formula is readable, and every statement without x is true."""
    in_mistake = f"`{data['mistake']['left']} ≠ {data['mistake']['wrong']}`"
    for line in data["text"].split("\n"):
        if line.count("`") % 2:
            raise _Fault(f"a formula that does not end in {line!r:.80}")
        for text in (part for found in FORMULA.findall(line) for part in states(found)):
            if parse(text).x:
                if fault := route_of(data["concept"]).x_fault(text):
                    raise _Fault(f"`{text}`: {fault}")
                continue
            if truth(text) is False and f"`{text}`" != in_mistake:
                raise _Fault(f"`{text}` is false, in {line!r:.120}")


def _steps(told: Content, pairs: Pairs, lesson: Lesson) -> None:
    for where, block, question in pairs:
        said = lesson.said if where == _WORKED else [None] * len(block["steps"])
        _chain(route_of(told.concept), where, block["steps"], question, said)
        if block["steps"][-1]["after"] != block["answer"]:
            raise _Fault(
                f"{where}: the steps end in `{block['steps'][-1]['after']}`, "
                f"and the answer is `{block['answer']}`"
            )


def _chain(
    route: Any,
    where: str,
    steps: list[dict[str, Any]],
    question: Question,
    said: Sequence[Slots | None],
) -> None:
    """Each step goes on from the one before, and does what it says; or the plan is followed."""
    before = route.start(question)
    rules = () if before else route.plan_of_steps(question)
    if rules and len(rules) != len(steps):
        raise _Fault(f"{where}: {len(steps)} steps, and not {rules}")
    for n, step in enumerate(steps, 1):
        here = f"{where}, step {n}"
        # The last step may read the answer off a state that stands in it.
        off = n == len(steps) and before in step["before"]
        if before and step["before"] != before and not off:
            raise _Fault(f"{here} begins with `{step['before']}`, after `{before}`")
        if step["before"] == step["after"]:
            raise _Fault(f"{here}: `{step['before']}` stays as it is")
        before = step["after"] if before else ""
        rule = step.get("rule") or (rules[n - 1] if rules else "")
        if rules and rule != rules[n - 1]:
            raise _Fault(f"{here}: {rule!r} is done, and not {rules[n - 1]!r}")
        if rule:
            given = {**step, "rule": rule, "number": n}
            fault = route.step_fault(question, given, said[n - 1] or {})
        else:  # told in short; statements are judged with all formulas
            fault = route.link_fault(question, step)
        if fault:
            raise _Fault(f"{here} ({rule or 'told in short'}): {fault}")


def _answers(told: Content, pairs: Pairs, proof: tuple[str, dict[str, str]]) -> None:
    route = route_of(told.concept)
    for where, block, question in pairs:
        fault = route.answer_fault(question, block["answer"])
        if fault:
            raise _Fault(f"{where}: {fault}")
    kind, slots = proof
    _, block, question = pairs[0]
    if fault := route.proof_fault(question, slots["proof"]):
        raise _Fault(f"`{slots['proof']}`: {fault}")
    _proof(route, slots, block["answer"].removeprefix("x = "), question, block["steps"])
    # Where the words name an operation, the route knows which.
    sign = route.PROOF_SIGNS.get(kind, "")
    if sign not in slots["proof"]:
        raise _Fault(f"`{slots['proof']}` is not what the words say: no `{sign}`")


def _proof(
    route: Any,
    slots: dict[str, str],
    answer: str,
    question: Question,
    steps: list[dict[str, Any]],
) -> None:
    if route.truth(slots["proof"]) is not True:
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


def _mistake(told: Content, pairs: Pairs, mistake: dict[str, str]) -> None:
    _, block, question = pairs[0]
    right, left, wrong = block["answer"], mistake["left"], mistake["wrong"]
    expected_left = question.slots.get("formula", right)
    if right.startswith("x = "):
        right, expected_left = right.removeprefix("x = "), "x"
    if left != expected_left:
        raise _Fault(f"`{left} ≠ {wrong}` is not about the worked example")
    route = route_of(told.concept)
    given = route.value(wrong)
    if same(given, route.value(right)):
        raise _Fault(f"`{left} ≠ {wrong}` is false: here the misconception gives the right answer")
    wrongs = route.wrongs(question)
    name = mistake["name"]
    if name not in wrongs:
        raise _Fault(f"{name!r} can't happen with this question")
    computed = wrongs[name]
    if isinstance(computed, Fraction) and computed.denominator == 1:
        computed = int(computed)
    if not same(given, computed):
        raise _Fault(f"{name!r} gives {computed}, and not {wrong}")


def in_level(told: Content, level: int, pairs: Pairs) -> None:
    if not 1 <= level <= len(told.levels):
        raise _Fault(f"there is no level {level}")
    limits = told.levels[level - 1]
    for where, _, question in pairs:
        for name, found in route_of(told.concept).measure(question).items():
            allowed = limits[name]
            for one in found if isinstance(found, tuple) else (found,):
                fits = one in allowed if isinstance(one, str) else allowed[0] <= one <= allowed[-1]
                if not fits:
                    raise _Fault(f"{where}: {name} is {one}; level {level} has {allowed}")


def in_split(told: Content, task: Task, pairs: Pairs) -> None:
    wanted = task.get("split")
    if task.get("level") in BEYOND:
        if wanted != "test":
            raise _Fault(f"level {task['level']} is for tests alone")
        return
    for where, _, question in pairs:
        found = split_of_question(told.concept, question.family, question.slots)
        if found != wanted:
            raise _Fault(f"{where}: the question belongs to {found}, and not to {wanted}")
