"""A world whose answers are uncertain by nature: sentences of a stochastic grammar.

Twenty words; after each word five may come, with the probabilities in ODDS, which ones is drawn
once and for all. Who knows the grammar still can't say the next word, only how likely each is.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyarrow as pa

from stillroom import Check, Context, Data, Record, Task, Verdict, View, World
from stillroom.world import stream

WORDS = "abcdefghijklmnopqrst"
ODDS = (0.5, 0.25, 0.15, 0.07, 0.03)
SHOWN, LENGTH = 3, 12
_rng = stream("the grammar of the bench")
NEXT = {word: [WORDS[i] for i in _rng.permutation(len(WORDS))[: len(ODDS)]] for word in WORDS}


class Grammar(World):
    """Questions show a sentence's first three words, answers are its other nine."""

    name: ClassVar[str] = "grammar"
    schema: ClassVar[pa.StructType] = pa.struct([("shown", pa.string()), ("rest", pa.string())])
    shard: ClassVar[int] = 256

    def plan(self, generation: int) -> Iterator[Task]:
        number = 0
        while True:
            shown = _sentence(stream(f"question {number}"), SHOWN)
            split = ("train",) * 8 + ("validation", "test")
            yield {"number": number, "shown": f"{number}:{shown}", "split": split[number % 10]}
            number += 1

    def make(self, task: Task, ctx: Context) -> list[Data]:
        shown = task["shown"]
        return [{"shown": shown, "rest": _sentence(ctx.rng, LENGTH - SHOWN, shown[-1])}]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        words = data["shown"][-1] + data["rest"]
        wrong = [a + b for a, b in pairwise(words) if b not in NEXT.get(a, ())]
        whole = len(data["rest"]) == LENGTH - SHOWN
        return Verdict(
            (
                Check("shown", data["shown"] == task["shown"]),
                Check("grammar", not wrong, " ".join(wrong)),
                Check("length", whole, f"{len(data['rest'])} words"),
            )
        )

    def show(self, record: Record) -> View:
        data = record.data
        return View(
            text=data["shown"] + data["rest"],
            messages=(
                {"role": "user", "content": data["shown"]},
                {"role": "assistant", "content": data["rest"]},
            ),
            tags={"split": record.task["split"]},
        )

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        place = int(rng.integers(len(data["rest"])))
        before = (data["shown"] + data["rest"])[len(data["shown"]) + place - 1]
        wrong = next(word for word in WORDS if word not in NEXT[before])
        rest = data["rest"][:place] + wrong + data["rest"][place + 1 :]
        return "a word that can't follow", {**data, "rest": rest}

    def read(self, task: Task, text: str) -> Data:
        return {"shown": task["shown"], "rest": text}


def _sentence(rng: np.random.Generator, length: int, before: str = "") -> str:
    words = before or WORDS[int(rng.integers(len(WORDS)))]
    while len(words) < length + len(before):
        words += NEXT[words[-1]][int(rng.choice(len(ODDS), p=ODDS))]
    return words[len(before) :]
