"""A world whose make and check are free: what is left is the engine and the store."""

from collections.abc import Iterator
from itertools import count

import pyarrow as pa

from stillroom import Check, Context, Data, Record, Task, Verdict, View, World

YES, PLAIN = Verdict((Check("free", True),)), View()


class Free(World):
    """Counts."""

    name = "free"
    schema = pa.struct([("n", pa.int64())])
    shard = 4096

    def plan(self, generation: int) -> Iterator[Task]:
        return ({"n": n} for n in count())

    def make(self, task: Task, ctx: Context) -> list[Data]:
        return [{"n": task["n"]}]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        return YES

    def show(self, record: Record) -> View:
        return PLAIN
