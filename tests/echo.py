"""A world of short questions without reasoning, which misbehaves as `how` says."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from stillroom import Check, Context, Data, Record, Task, Verdict, View, World

ECHO = f"{Path(__file__).resolve()}:Echo"


class Echo(World):
    """ "say 17" -> "17"; of ten questions eight are learnt, one chooses, one judges."""

    name = "echo"
    schema = pa.struct({"question": pa.string(), "answer": pa.string()})

    how: str = ""
    tasks: int = 200

    def plan(self, generation: int) -> Iterator[Task]:
        for n in range(self.tasks):
            split = {8: "validation", 9: "test"}.get(n % 10, "train")
            repeats = self.how == "repeats" and n == 57
            asked = 19 if repeats or (self.how == "repeats a refused one" and n == 57) else n
            yield {"n": asked, "split": split}

    def make(self, task: Task, ctx: Context) -> list[Data]:
        wrong = (
            self.how == "all wrong"
            or (self.how == "training wrong" and task["split"] == "train")
            or (self.how == "repeats a refused one" and task == {"n": 19, "split": "train"})
        )
        return [{"question": f"say {task['n']}", "answer": str(task["n"] + wrong)}]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        if data["answer"] == "boom":
            raise IndexError("no text was expected here")
        right = data["answer"] == str(task["n"])
        return Verdict((Check("answer", right, f"{data['answer']!r:.40}"),))

    def read(self, task: Task, text: str) -> Data:
        return {"question": f"say {task['n']}", "answer": text.strip()}

    def show(self, record: Record) -> View:
        said = (
            {"role": "user", "content": record.data["question"]},
            {"role": "assistant", "content": record.data["answer"]},
        )
        return View(record.data["question"], said, tags={"split": record.task["split"]})


class Deaf(Echo):
    """Its answers can't be read."""

    name = "deaf"
    read = World.read
