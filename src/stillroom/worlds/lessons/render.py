"""A lesson's parts -> Markdown, as docs/lessons.md has it."""

from typing import NamedTuple

from stillroom.worlds.lessons.content import Content, Slots, mistake_frames
from stillroom.worlds.lessons.dice import Dice


class Step(NamedTuple):
    """One executed step: the rule's name, its formulas as text, and the slots of what is said."""

    rule: str
    formulas: tuple[str, ...]
    slots: Slots | None = None
    joint: str = " and "


class Solution(NamedTuple):
    """A question's executed solution; `proof` names a frame of the content and fills it."""

    steps: list[Step]
    answer: str
    proof: tuple[str, Slots]


class Block(NamedTuple):
    """A question as a sentence, with its solution."""

    sentence: str
    solution: Solution


class Slip(NamedTuple):
    """A misconception, executed: its name, the true side, and the wrong answer it gives."""

    name: str
    left: str
    wrong: str


def lesson(
    content: Content, level: int, worked: Block, slip: Slip, exercises: list[Block], dice: Dice
) -> str:
    """The whole text; chance picks among the ways to say the same."""
    told = content.mistakes[slip.name]
    kind, slots = worked.solution.proof
    parts = [
        f"# {dice.pick(content.titles)}",
        f"Level {level} · {content.subject}",
        "## Why",
        " ".join(dice.pick(pool) for pool in dice.pick(content.why)),
        "## Idea",
        " ".join(dice.pick(pool) for pool in dice.pick(content.idea)),
        "## Worked example",
        f"**Question.** {worked.sentence}",
        *_solution(content, worked.solution, dice),
        f"**Check.** {_fill(dice.pick(content.proofs[kind]).text, slots)}",
        "## A common mistake",
        dice.pick(mistake_frames()).text.format(
            says=dice.pick(told.say), left=slip.left, wrong=slip.wrong, why=dice.pick(told.why)
        ),
        "## Exercises",
        "\n".join(f"{n}. {block.sentence}" for n, block in enumerate(exercises, 1)),
        "## Solutions",
    ]
    for n, block in enumerate(exercises, 1):
        parts += [f"**Exercise {n}.**", *_solution(content, block.solution, dice)]
    return "\n\n".join(parts) + "\n"


def _fill(text: str, slots: Slots | None) -> str:
    return text.format(**slots) if slots else text


def _solution(content: Content, solution: Solution, dice: Dice) -> list[str]:
    lines, last = [], ("", "")
    for n, step in enumerate(solution.steps, 1):
        rule = content.rules[step.rule]
        said, why = dice.pick(rule.say).text, dice.pick(rule.why)
        if said == last[0]:  # the same words twice in a row tire the reader
            said = dice.pick(rule.say).text
        if why == last[1]:
            why = dice.pick(rule.why)
        last = said, why
        formulas = step.joint.join(f"`{formula}`" for formula in step.formulas)
        lines.append(f"{n}. {_fill(said, step.slots)}: {formulas}. {why}")
    return ["\n".join(lines), f"**Answer.** `{solution.answer}`"]
