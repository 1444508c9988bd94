"""A lesson's parts -> its text and its data; docs/lessons.md has the form.

The data are written down from the solutions as they were executed. `check` reads them again from
the text alone, so words that lost the meaning on the way are noticed.
"""

from itertools import groupby
from typing import Any, NamedTuple

from stillroom.world import Data, Task
from stillroom.worlds.lessons.content import Content, Slots, common
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.locales import Locale
from stillroom.worlds.lessons.phrases import Phrases
from stillroom.worlds.lessons.symbols import move_of, plain, voiced
from stillroom.worlds.lessons.telling import Scope, Teller, join


class Step(NamedTuple):
    """One executed step: the rule's name, its formulas as text, and the slots of what is said.

    joint: " → " where the formulas are two states, one turning into the other (equations in x).
    """

    rule: str
    formulas: tuple[str, ...]
    slots: Slots | None = None
    joint: str = ""


class Solution(NamedTuple):
    """A question's executed solution; `proof` names a phrase of the content and fills it."""

    steps: list[Step]
    answer: str
    proof: tuple[str, Slots]


class Block(NamedTuple):
    """A question (its family and slots) with its solution."""

    family: str
    slots: Slots
    solution: Solution


class Slip(NamedTuple):
    """A misconception, executed: its name, the true side, and the wrong answer it gives."""

    name: str
    left: str
    wrong: str


_MARKED = frozenset(("question", "exercise"))
_ASKED, _REQUEST = ("<asked>",), ("<request>",)


def lesson(
    content: Content,
    task: Task,
    locale: Locale,
    worked: Block,
    slip: Slip,
    exercises: list[Block],
    dice: Dice,
) -> Data:
    """Text and data; chance picks among the ways to say the same."""
    style, audience = task["style"], task["audience"]
    title = dice.pick(content.titles)
    people = dice.some(locale.names, 2)
    persons = {"A": people[0], "B": people[1]}
    table = voiced(style, audience) | plain(content.concept)
    teller = Teller(table, dice, locale.write, _MARKED)

    def scope(slots: Slots, **phrases: Phrases) -> Scope:
        return Scope({**persons, **slots}, phrases)

    asked = [_question(content, block, scope) for block in (worked, *exercises)]
    told = content.mistakes[slip.name]
    kind, slots = worked.solution.proof
    known = _known(worked.solution.steps)
    whole = asked[0]
    whole.slots |= slots | {
        "answer": worked.solution.answer,
        "wrong": slip.wrong,
        "contrast": f"{slip.left} ≠ {slip.wrong}",
    }
    whole.phrases |= {"slip": told.do, "slip_why": told.why, "prove": content.proofs[kind]}
    whole.items = {
        "item": _told(content, worked.solution.steps, known, scope),
        "exercise": asked[1:],
        "solution": [
            _short(block.solution.steps, scope, {"answer": block.solution.answer})
            for block in exercises
        ],
    }
    head = f"# {title}\n\n*Level {task['level']} · {audience} · {style} · {locale.country}*\n\n"
    body = join(teller.tell("lesson", whole))
    return {
        "concept": content.concept,
        "level": task["level"],
        "subject": content.subject,
        "audience": audience,
        "style": style,
        "locale": locale.country,
        "title": title,
        "text": f"{head}{body}\n",
        "moves": [move for symbol in teller.told if (move := move_of(symbol))],
        "worked": {
            "question": join(asked[0].said),
            "steps": [
                {"rule": "" if again else step.rule, "before": before, "after": after}
                for step, again in zip(worked.solution.steps, known, strict=True)
                for before, after in [sides(step)]
            ],
            "answer": worked.solution.answer,
            "proof": slots["proof"],
        },
        "mistake": {"name": slip.name, "left": slip.left, "wrong": slip.wrong},
        "exercises": [
            {
                "question": join(question.said[1:]),
                "steps": [
                    {"before": before, "after": after}
                    for before, after in map(sides, block.solution.steps)
                ],
                "answer": block.solution.answer,
            }
            for question, block in zip(asked[1:], exercises, strict=True)
        ],
    }


def sides(step: Step) -> tuple[str, str]:
    """What a step begins with, and what it ends in."""
    if step.joint:
        return step.formulas[0], step.formulas[-1]
    before, _, after = step.formulas[-1].rpartition(" = ")
    return before, after


def _question(content: Content, block: Block, scope: Any) -> Scope:
    found = content.questions[block.family]
    if block.family in content.sentences:
        return scope(block.slots, asked=found, question=_ASKED)  # type: ignore[no-any-return]
    return scope(block.slots, ask=found, question=_REQUEST)  # type: ignore[no-any-return]


def _told(content: Content, steps: list[Step], known: list[bool], scope: Any) -> list[Scope]:
    """The items of a worked example: a rule is told in full where it comes up first.

    Steps that need no new rule follow in one item, without the words that were said already.
    """
    items: list[Scope] = []
    for again, row in groupby(zip(steps, known, strict=True), key=lambda one: one[1]):
        some = [step for step, _ in row]
        if again:
            items.append(_short(some, scope, {}))
            items[-1].phrases["item"] = _AGAIN
        else:
            items += [_step(content, step, scope) for step in some]
    return items


def _known(steps: list[Step]) -> list[bool]:
    """Of each step, whether its rule has come up before."""
    return [step.rule in {before.rule for before in steps[:n]} for n, step in enumerate(steps)]


def _step(content: Content, step: Step, scope: Any) -> Scope:
    told = content.rules[step.rule]
    joined = _STATES if step.joint else _STATEMENT
    made: Scope = scope(step.slots or {}, do=told.do, why=told.why, shown=joined, item=_IN_FULL)
    made.slots["trace" if step.joint else "f"] = " → ".join(step.formulas)
    return made


_IN_FULL, _AGAIN = ("<step>",), ("<step_again>",)
_STATEMENT, _STATES = ("`{f}`",), ("`{trace}`",)
_CHAINS = {
    (False, True): ("<lines>",),
    (True, False): _STATES,
    (True, True): tuple(text for text in common()["chain"] if " " in text),
}


def _short(steps: list[Step], scope: Any, slots: Slots) -> Scope:
    """Steps in short: states one after the other, then statements.

    Statements that go on where the one before ended become one formula: `a = b = c`.
    """
    states: list[str] = []
    lines: list[str] = []
    for step in steps:
        before, after = sides(step)
        if step.joint:
            states += [after] if states else [before, after]
        elif lines and lines[-1].endswith(f" = {before}"):
            lines[-1] += f" = {after}"
        else:
            lines.append(step.formulas[-1])
    made: Scope = scope(slots, chain=_CHAINS[bool(states), bool(lines)])
    made.slots["trace"] = " → ".join(states)
    made.items = {"statement": [Scope({"f": line}) for line in lines]}
    return made
