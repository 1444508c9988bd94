"""A teacher that writes lessons, right or wrong, and knows which: it has the solver's answers.

As a model behind the test server: `--mode python:lesson_teacher.py:answer`.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from stillroom.record import task_id, task_json, task_prefix
from stillroom.world import Message, Task, stream
from stillroom.worlds.lessons import making
from stillroom.worlds.lessons.formula import Unreadable, truth
from stillroom.worlds.lessons.written import Written

SLIPS = ("answer", "exchange", "statement", "fact", "code", "missing", "formula")


class LessonTeacher:
    """Writes what the world `written` asks for, with a slip in a share `wrong` of the lessons.

    slips      what it does wrong: some of SLIPS
    truth      question of the worked example -> its slip, or "" for a lesson that is right
    revisions  "same", "break" (a slip in every revision) or "mend" (none in any)
    """

    model = "lesson-teacher"
    in_flight = 32

    def __init__(
        self,
        world: Written,
        tasks: int,
        wrong: float = 0.3,
        seed: int = 0,
        revisions: str = "same",
        slips: Sequence[str] = SLIPS,
    ) -> None:
        self.wrong, self.revisions, self.slips = wrong, revisions, slips
        self.truth: dict[str, str] = {}
        self._lessons: dict[str, tuple[Task, dict[str, Any]]] = {}
        self._questions: dict[str, str] = {}
        prefix = task_prefix(world, seed)
        for index, task in enumerate(islice(world.plan(0), tasks)):
            tid = task_id(prefix, 0, index, task_json(task).encode())
            lesson = making.make(task, stream(tid))
            question = _flat(lesson["worked"]["question"])
            self._lessons[question] = (task, lesson)
            self._questions[task_json(task)] = question

    def slip(self, task: str) -> str:
        """What is wrong with the draft of a task (as JSON); "" for nothing."""
        return self.truth[self._questions[task]]

    async def ask(self, messages: Sequence[Message], **params: Any) -> dict[str, Any]:
        return {"text": self.answer(messages), "prompt_tokens": 100, "completion_tokens": 300}

    def answer(self, messages: Sequence[Message]) -> str:
        last = messages[-1]["content"]
        if last.startswith("Here is the lesson again"):
            return "The second step lacks a reason."
        question = _flat(messages[1]["content"].partition("):\n")[2].partition("\n\n")[0])
        task, lesson = self._lessons[question]
        rng = stream(question.encode() + b"teacher")
        slip = str(rng.choice(list(self.slips))) if rng.random() < self.wrong else ""
        if last.startswith("Now write the whole lesson again"):
            slip = {"same": slip, "break": "statement", "mend": ""}[self.revisions]
        else:
            self.truth[question] = slip
        return _written(task, lesson, slip, rng)


@cache
def _behind_the_server(count: int) -> LessonTeacher:
    return LessonTeacher(Written(), count, wrong=0.3, seed=7)


def answer(messages: Sequence[Message], params: dict[str, Any]) -> str:
    """For the test server: the first 200 tasks of `stillroom run lessons` with its seed."""
    if len(messages) < 2:
        return "word"  # a probe
    return _behind_the_server(200).answer(messages)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _written(task: Task, lesson: dict[str, Any], slip: str, rng: np.random.Generator) -> str:
    worked, exercises = lesson["worked"], lesson["exercises"]
    answers = [one["answer"] for one in exercises]
    if slip == "exchange":
        if answers[0] == answers[1]:
            slip = "answer"
        else:
            answers[:2] = answers[1::-1]
    if slip == "answer":
        at = int(rng.integers(len(answers)))
        answers[at] = _other(answers[at], rng)
    lines = [_dressed(text, rng) for text in answers]
    if slip == "missing":
        lines[-1] = "See above."
    a, b = (int(n) for n in rng.integers(11, 99, 2))
    off = int(rng.integers(1, 9))
    fact = 2 * a + (slip == "fact")
    code = ""
    if slip == "code" or rng.random() < 0.3:
        printed = a * b + off * (slip == "code")
        code = f"```python\nprint({a} * {b})\n```\n\n```\n{printed}\n```\n\n"
    formula = f"`{a} × {b} = {a * b + off * (slip == 'formula')}`"
    steps = "\n".join(
        f"{n}. {_step(step)}, since the rule says so." for n, step in enumerate(worked["steps"], 1)
    )
    questions = "\n".join(f"{n}. {_flat(one['question'])}" for n, one in enumerate(exercises, 1))
    answered = "\n".join(f"{n}. {line}" for n, line in enumerate(lines, 1))
    return (
        f"# {lesson['title']}\n\nA first look: {formula}, and {fact} is even. "
        f"{a} + {b} = {a + b + off * (slip == 'statement')}.\n\n{code}"
        f"## Worked example\n\n{_flat(worked['question'])}\n\n{steps}\n\n"
        f"**Answer:** {_dressed(worked['answer'], rng)}\n\n## A common mistake\n\n"
        f"Some write `{lesson['mistake']['wrong']}`, in haste.\n\n"
        f"## Exercises\n\n{questions}\n\n## Answers\n\n{answered}\n"
    )


def _step(step: dict[str, str]) -> str:
    try:
        equal = truth(f"{step['before']} = {step['after']}")
    except (Unreadable, ValueError, ArithmeticError, TypeError):
        equal = None
    return f"`{step['before']} {'=' if equal else '→'} {step['after']}`"


def _dressed(answer: str, rng: np.random.Generator) -> str:
    """The answer in one of the notations that models use."""
    kinds = [f"`{answer}`", f"**{answer}**", f"Answer: `{answer}`", f"`{answer}`, step by step.",
             answer]  # fmt: skip
    if re.fullmatch(r"-?\d+/\d+", answer):
        top, bottom = answer.split("/")
        kinds.append(rf"$\frac{{{top}}}{{{bottom}}}$")
    if answer.startswith("x = "):
        kinds += [f"`{answer[4:]}`", f"`x={answer[4:]}`"]
    if re.fullmatch(r"\d{4,}", answer):
        kinds.append(f"{int(answer):,}")
    if re.fullmatch(r"\{('\w+'(, )?)+\}", answer):
        kinds.append(answer.strip("{}").replace("'", ""))
    return str(rng.choice(kinds))


def _other(answer: str, rng: np.random.Generator) -> str:
    """A wrong answer of the same kind."""
    if answer in "TF":
        return "TF"[answer == "T"]
    digits = [i for i, c in enumerate(answer) if c.isdigit()]
    if digits:
        i = digits[-1]
        return f"{answer[:i]}{(int(answer[i]) + int(rng.integers(1, 9))) % 10}{answer[i + 1 :]}"
    return answer[:-2] + "qz" + answer[-2:]
