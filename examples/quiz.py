"""A quiz put to a language model: its answers are what the records hold, right or wrong.

    import stillroom
    from quiz import Parrot, Quiz  # in this folder

    stillroom.run(Quiz(), count=200, teacher=Parrot())

Shows a world with a teacher. `make` is async and waits for `ctx.teacher`; the run keeps every raw
answer in its ledger, so that nothing is asked, or paid for, twice. `check` counts the letters. The
teacher below is wrong about once in ten, and those records are refused. One of your own needs the
same two things: `model`, and `ask`.
"""

import asyncio
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa

from stillroom import Check, Context, Data, Record, Task, UserError, Verdict, View, World

QUESTION = 'How often does the letter "{letter}" occur in "{phrase}"? Answer with the number alone.'


class Quiz(World):
    """How often a letter occurs in a phrase, as the teacher says."""

    name = "quiz"
    schema = pa.struct({"question": pa.string(), "answer": pa.string()})
    words: tuple[str, ...] = (
        "strawberry",
        "mississippi",
        "balloon",
        "committee",
        "raspberry",
        "bookkeeper",
        "cinnamon",
        "parallel",
        "assessment",
        "occurrence",
    )

    def plan(self, generation: int) -> Iterator[Task]:
        for size in (1, 2, 3):
            for phrase in map(" ".join, permutations(self.words, size)):
                for letter in sorted(set(phrase) - {" "}):
                    yield {"letter": letter, "phrase": phrase}

    async def make(self, task: Task, ctx: Context) -> list[Data]:
        if ctx.teacher is None:
            raise UserError("the quiz has nobody to ask", do="give run() a teacher")
        question = QUESTION.format(**task)
        answer = await ctx.teacher.ask([{"role": "user", "content": question}])
        return [{"question": question, "answer": answer.text.strip()}]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        count = sum(letter == task["letter"] for letter in task["phrase"])
        asked = data["question"] == QUESTION.format(**task)
        plain = re.fullmatch("0|[1-9][0-9]*", data["answer"]) is not None
        said = f"{data['answer']!r:.60}"
        return Verdict(
            (
                Check("the question that was planned", asked, data["question"]),
                Check("answer is a number", plain, said),
                Check("answer is right", data["answer"] == str(count), f"{said}, counted {count}"),
            )
        )

    def show(self, record: Record) -> View:
        question, answer = record.data["question"], record.data["answer"]
        chat = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
        phrase, letter = record.task["phrase"], record.task["letter"]
        tags = {"difficulty": ("easy", "medium", "hard")[phrase.count(" ")], "letter": letter}
        features = {"length": len(phrase), "count": phrase.count(letter)}
        return View(f"{question}\n{answer}", chat, tags=tags, features=features)

    def read(self, task: Task, text: str) -> Data:
        return {"question": QUESTION.format(**task), "answer": text.strip()}

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        answers = {
            "one too many": str(int(data["answer"]) + 1),
            "one too few": str(int(data["answer"]) - 1),
            "words around it": f"It occurs {data['answer']} times.",
            "nothing said": "",
        }
        kind = str(rng.choice(list(answers)))
        return kind, {**data, "answer": answers[kind]}


class Parrot:
    """A teacher: a name and `ask`. This one counts, and is wrong on about one question in ten."""

    model = "parrot"

    async def ask(self, messages: Sequence[dict[str, str]], **params: Any) -> str:
        await asyncio.sleep(0.001)
        content = messages[-1]["content"]
        letter, phrase = re.findall('"(.+?)"', content)
        return str(phrase.count(letter) + (zlib.crc32(content.encode()) % 10 == 0))
