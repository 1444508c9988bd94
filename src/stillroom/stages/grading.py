"""Texts of models, judged as records are: through the world's own `read` and `check`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from stillroom import files
from stillroom.answer import turn
from stillroom.checker import Checker
from stillroom.shard import world_of
from stillroom.world import Task, World


@dataclass(frozen=True, slots=True)
class Grade:
    """How an answer stands: the final answer alone, and all of it, reasoning included."""

    right: bool
    whole: bool
    reason: str = ""


def grade(checker: Checker, task: Task, text: str, ended: bool = True) -> Grade:
    """A text's grade; one that was cut off is wrong, whatever stands in it."""
    if not ended:
        return Grade(False, False, "cut off: it did not come to an end")
    whole = checker.text(task, text)
    if whole.ok:
        return Grade(True, True)
    answer = turn(text)["content"]
    right = answer != text and checker.text(task, answer).ok
    return Grade(right, False, whole.reason)


def grade_file(job: dict[str, Any]) -> dict[str, int]:
    """What the engine calls: grade a file of answers to a file of questions, into job["to"].

    Both are Parquet (arm.answer, distilling.write_questions); one row a sample comes of it.
    """
    world: World = world_of(job["spec"], job["config"])
    checker = Checker(world, Path(), "")
    asked = files.read_parquet(Path(job["questions"])).to_pylist()
    tasks = {row["id"]: orjson.loads(row["task"]) for row in asked}
    rows = []
    answers = files.read_parquet(Path(job["answers"])).slice(job["begin"], job["size"])
    for said in answers.to_pylist():
        found = grade(checker, tasks[said["id"]], said["text"], said["ended"])
        rows.append({**said, **asdict(found)})
    table = pa.Table.from_pylist(rows)
    files.write_file(Path(job["to"]), files.parquet_bytes(table))
    return {"right": sum(row["right"] for row in rows), "answers": len(rows)}
