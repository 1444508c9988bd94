"""Patients like those of a protected table: what leaves the table is noisy counts, never a row.

    stillroom run examples/clinic.py --count 200 --set world.table=patients.csv

Shows a private world. `start` counts the adults of a CSV file by age, sex and blood pressure, adds
noise to each count and keeps nothing else; other columns, free text above all, are not used.
`check` is a rule book that never sees the table. A sketch of the shape, not a promise of privacy.
"""

import csv
import json
import random
import re
from bisect import bisect
from collections.abc import Iterator
from functools import partial
from itertools import count, pairwise, product
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field

from stillroom import Check, Context, Data, Record, Task, UserError, Verdict, View, World

AGES, PRESSURES = (18, 40, 60, 75, 100), (80, 120, 130, 140, 160, 220)  # years, mmHg
WORDS = {"F": "woman", "M": "man"}
# The cells are fixed beforehand: edges taken from the table would tell of it.
CELLS = list(product(pairwise(AGES), WORDS, pairwise(PRESSURES)))
# Stages by systolic pressure alone (ACC/AHA 2017), each with its lowest and highest.
STAGES = {"normal": (80, 119), "elevated": (120, 129), "stage 1": (130, 139), "stage 2": (140, 219)}
SENTENCE = r"(\d+)-year-old (\w+), systolic pressure (\d+) mmHg: (.+)\."
NUMBERS, TEXTS = ("patient", "age", "systolic"), ("sex", "stage", "note")


class Clinic(World):
    """Adult patients and their systolic blood pressure."""

    name, private = "clinic", True
    schema = pa.struct({**dict.fromkeys(NUMBERS, pa.int64()), **dict.fromkeys(TEXTS, pa.string())})
    table: str = ""  # a CSV file of adults with the columns age, sex (F or M) and systolic
    epsilon: float = Field(default=1.0, gt=0)  # the noise on a count is about 1 / epsilon

    def plan(self, generation: int) -> Iterator[Task]:
        return ({"patient": number} for number in count(1))

    def start(self, ctx: Context) -> Path:
        if not Path(self.table).is_file():
            raise UserError("there is no table", repr(self.table), "set `table` to a CSV file")
        # Discrete Laplace noise, and not from ctx.rng: whoever knows the seed could take it away.
        draw = partial(random.SystemRandom().expovariate, self.epsilon)
        noisy = [max(0, number + int(draw()) - int(draw())) for number in count_rows(self.table)]
        path = ctx.scratch / "cells.json"
        path.write_text(json.dumps(noisy))
        return path

    def make(self, task: Task, ctx: Context) -> list[Data]:
        upto = np.cumsum(json.loads(ctx.state.read_text()))
        ages, sex, pressures = CELLS[np.searchsorted(upto, ctx.rng.integers(upto[-1]), "right")]
        age, systolic = int(ctx.rng.integers(*ages)), int(ctx.rng.integers(*pressures))
        stage = list(STAGES)[bisect((120, 130, 140), systolic)]
        note = f"{age}-year-old {WORDS[sex]}, systolic pressure {systolic} mmHg: {stage}."
        row = {"age": age, "systolic": systolic, "sex": sex, "stage": stage, "note": note}
        return [{**task, **row}]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        age, systolic, stage = data["age"], data["systolic"], data["stage"]
        lowest, highest = STAGES.get(stage, (1, 0))
        told = re.fullmatch(SENTENCE, data["note"])
        same = told and told.groups() == (str(age), WORDS.get(data["sex"]), str(systolic), stage)
        return Verdict(
            (
                Check("as asked", data["patient"] == task["patient"], f"patient {data['patient']}"),
                Check("adult", AGES[0] <= age < AGES[-1], f"{age} years"),
                Check("stage fits", lowest <= systolic <= highest, f"{stage} at {systolic} mmHg"),
                Check("note tells the same", bool(same), data["note"]),
            )
        )

    def show(self, record: Record) -> View:
        data = record.data
        ask = "Note for a patient: {age} years, sex {sex}, systolic {systolic} mmHg.".format(**data)
        chat = ({"role": "user", "content": ask}, {"role": "assistant", "content": data["note"]})
        tags = {"sex": data["sex"], "stage": data["stage"], "age": f"{data['age'] // 10 * 10}s"}
        return View(data["note"], chat, tags=tags, features={"systolic": data["systolic"]})

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        faults = {
            "another sex": {"sex": "M" if data["sex"] == "F" else "F"},
            "another age": {"age": data["age"] + 10},
            "wrong stage": {"stage": "normal" if data["systolic"] > 119 else "elevated"},
        }
        kind = str(rng.choice(list(faults)))
        return kind, {**data, **faults[kind]}


def count_rows(table: str) -> list[int]:
    """Rows in each cell. No error quotes the table, be it a header: without one, that is a row."""
    counts = dict.fromkeys(product(range(1, len(AGES)), WORDS, range(1, len(PRESSURES))), 0)
    with open(table, newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.DictReader(file)
        if lacking := {"age", "sex", "systolic"} - set(rows.fieldnames or ()):
            raise UserError(f"the table has no column {' and no '.join(sorted(lacking))}", table)
        for row in rows:
            try:
                age, sex, systolic = float(row["age"]), row["sex"].upper(), float(row["systolic"])
                counts[bisect(AGES, age), sex, bisect(PRESSURES, systolic)] += 1
            except (AttributeError, KeyError, TypeError, ValueError):
                raise UserError(f"line {rows.line_num}: wrong age, sex or pressure") from None
    return list(counts.values())
