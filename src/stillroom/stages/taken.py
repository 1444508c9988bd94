"""A teacher's answers, graded: what the arms learn from."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stillroom import files
from stillroom.engines.local import Local
from stillroom.errors import UserError
from stillroom.stages.distilling import Plan
from stillroom.stages.questions import Posed
from stillroom.students.settings import Taught


@dataclass
class Taken:
    """The teacher's graded answers, question by question in order, and what it is and took."""

    pool: list[Posed]
    answers: dict[str, list[dict[str, Any]]]
    about: dict[str, Any] = field(default_factory=dict)

    def accepted(self, question: Posed) -> dict[str, Any] | None:
        """The first answer to a question that passed the check, reasoning included."""
        return next((a for a in self.answers.get(question.id, ()) if a["whole"]), None)

    def first(self, question: Posed, sample: int) -> dict[str, Any] | None:
        """The answer of that number if it came to an end, whether right or wrong."""
        return next(
            (a for a in self.answers.get(question.id, ()) if a["sample"] == sample and a["ended"]),
            None,
        )


async def graded(plan: Plan, engine: Local, questions: Path, answers: Path) -> list[dict[str, Any]]:
    """Answers with their grades, through the world's `read` and `check`, in several workers."""
    count = pq.read_metadata(answers).num_rows
    size = max(500, -(-count // max(1, 2 * engine.workers)))
    jobs = []
    for begin in range(0, count, size):
        to = answers.with_name(f"{answers.stem}-graded-{begin:07d}-{size}.parquet")
        where = {"questions": str(questions), "answers": str(answers), "to": str(to)}
        world = {"spec": plan.spec, "config": plan.config}
        jobs.append({**world, **where, "begin": begin, "size": size})
    open_jobs = [job for job in jobs if not Path(job["to"]).exists()]
    await asyncio.gather(
        *(engine.call("stillroom.stages.grading:grade_file", job) for job in open_jobs)
    )
    return [row for job in jobs for row in files.read_parquet(Path(job["to"])).to_pylist()]


def pool_of(train: Sequence[Posed], after: int, settings: Taught) -> list[Posed]:
    pool = list(train[after : after + settings.questions])
    if not pool:
        raise UserError(
            f"no training question is left for the teacher: the run has {len(train)}, "
            f"{after} of them are gold",
            do="raise the run's count, or lower [distill.teacher] gold",
        )
    return pool


def by_question(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row)
    return found
