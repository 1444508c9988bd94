"""Sums, drawn backwards and checked forwards: `stillroom run examples/hello.py --count 200`."""

import pyarrow as pa

from stillroom import Check, Verdict, View, World


class Sums(World):
    name = "sums"
    schema = pa.struct({"a": pa.int64(), "b": pa.int64(), "sum": pa.int64()})

    def plan(self, generation):
        return ({"sum": number} for number in range(10, 10_000))

    def make(self, task, ctx):
        a = int(ctx.rng.integers(1, task["sum"]))
        return [{"a": a, "b": task["sum"] - a, "sum": task["sum"]}]

    def check(self, task, data, ctx):
        right = data["a"] + data["b"] == data["sum"] == task["sum"]
        return Verdict((Check("adds up", right, "{a} + {b} = {sum}".format(**data)),))

    def show(self, record):
        ask, answer = "What is {a} + {b}?".format(**record.data), str(record.data["sum"])
        chat = {"role": "user", "content": ask}, {"role": "assistant", "content": answer}
        return View(f"{ask} {answer}", chat)

    def spoil(self, data, rng):
        return "forgotten carry", {**data, "sum": data["sum"] - 10}
