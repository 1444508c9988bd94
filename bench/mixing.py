"""Figures of mixing: CPU-seconds and peak memory of a mix of a million records of 1 kB.

python bench/mixing.py [--quick]

The human anchor, a fresh pool and a run of synthetic records are made beforehand; measured is
`mix` alone, in a process of its own: reading, dating, ids, near-duplicates, writing, hashing.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from figures import Figure, apart, command_line

import stillroom
from stillroom import Check, Context, Data, Task, Verdict, View, World
from stillroom.stages.mix import mix

KIND = pa.struct([("kind", pa.string()), ("date", pa.string()), ("sha256", pa.string())])
SCHEMA = pa.schema([("text", pa.string()), ("source", pa.string()), ("evidence", pa.list_(KIND))])
LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
WORDS = 146  # of six letters and a blank: 1 kB
COPIES, NEAR = 0.01, 0.02  # of the human records: exact copies, and such with five other words


def vocabulary() -> Any:
    letters = LETTERS[np.random.default_rng(0).integers(0, 26, (20_000, 6))]
    return np.concatenate([letters, np.full((20_000, 1), 32, np.uint8)], axis=1)


def write_corpus(path: str, rows: int, seed: int) -> dict[str, float]:
    """A corpus of so many texts, each release's hash published; some of them twice."""
    words, rng = vocabulary(), np.random.default_rng(seed)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=1) as writer:
        for begin in range(0, rows, 10_000):
            size = min(10_000, rows - begin)
            drawn = rng.integers(0, len(words), (size, WORDS))
            copies, near = int(COPIES * size), int(NEAR * size)
            drawn[:copies] = drawn[size - copies :]
            drawn[copies : copies + near] = drawn[size - copies - near : size - copies]
            drawn[copies : copies + near, :5] = rng.integers(0, len(words), (near, 5))
            texts = [row.tobytes().decode() for row in words[drawn]]
            dates = [f"20{10 + n % 11}-{1 + n % 12:02d}-15" for n in range(begin, begin + size)]
            evidence = [[{"kind": "release", "date": one, "sha256": "ab" * 32}] for one in dates]
            sources = [f"package{n % 500}==1.{n % 9}" for n in range(begin, begin + size)]
            writer.write_table(pa.table([texts, sources, evidence], schema=SCHEMA))
    return {"bytes": Path(path).stat().st_size}


class Notes(World):
    """Texts of 1 kB at random, which nothing is wrong with."""

    name = "notes"
    schema = pa.struct([("text", pa.string())])
    shard = 256

    def plan(self, generation: int) -> Iterator[Task]:
        return ({"n": n} for n in count())

    def make(self, task: Task, ctx: Context) -> list[Data | Any]:
        raw = vocabulary_once()[ctx.rng.integers(0, 20_000, WORDS)]
        return [{"text": raw.tobytes().decode()}]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        return Verdict((Check("length", len(data["text"]) == 7 * WORDS),))

    def show(self, record: Any) -> View:
        return View(record.data["text"], tags={"turn": str(record.task["n"] % 10)})


_words: list[Any] = []


def vocabulary_once() -> Any:
    if not _words:
        _words.append(vocabulary())
    return _words[0]


def synthetic(folder: str, records: int) -> dict[str, float]:
    settings = ("power.sample=0", "audit.run=false")
    stillroom.run(f"{__file__}:Notes", out=folder, count=records, workers=0, settings=settings)
    return {"records": records}


def mixing(run: str, anchor: str, fresh: str) -> dict[str, float]:
    """One mix: CPU-seconds and gigabytes at the peak."""
    settings = (
        f'mix.human=[{{path="{anchor}"}}]',
        f'mix.fresh=[{{path="{fresh}"}}]',
        "mix.fresh_share=0.02",
        "mix.share=0.3",
    )
    began = time.process_time()
    report = mix(run, settings=settings, trust_code=True)
    spent = time.process_time() - began
    counts = report.figures["counts"]
    offered = sum(one["rows"] for one in report.figures["sources"])
    return {
        "cpu": spent,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "offered": offered,
        "mixed": counts["mix"],
        **report.figures["copies"],
    }


def copying(path: str, to: str) -> dict[str, float]:
    """The baseline: Arrow alone reads the anchor and writes it again, as the mix compresses it."""
    began = time.process_time()
    with (
        pq.ParquetFile(path) as file,
        pq.ParquetWriter(to, file.schema_arrow, compression="zstd", compression_level=1) as writer,
    ):
        for batch in file.iter_batches(4096):
            writer.write_batch(batch)
    return {"cpu": time.process_time() - began}


def figures(quick: bool) -> list[Figure]:
    whole = 20_000 if quick else 1_000_000
    anchor, fresh, made = (int(share * whole) for share in (0.86, 0.04, 0.1))
    with tempfile.TemporaryDirectory() as folder:
        home, script = Path(folder), str(Path(__file__).resolve())
        apart(script, "write_corpus", str(home / "anchor.parquet"), anchor, 1)
        apart(script, "write_corpus", str(home / "fresh.parquet"), fresh, 2)
        apart(script, "synthetic", str(home / "run"), made)
        copied = apart(script, "copying", str(home / "anchor.parquet"), str(home / "copy.parquet"))
        told = apart(script, "mixing", str(home / "run"), str(home / "anchor.parquet"),
                     str(home / "fresh.parquet"))  # fmt: skip
    planted = (COPIES + NEAR) * (anchor + fresh)
    found = round((told["exact"] + told["near"]) / planted, 4)
    n = int(told["offered"])
    print(told, file=sys.stderr)
    return [
        Figure("mix of a million records of 1 kB", round(told["cpu"], 1), "CPU-s", "<= 60", n,
               round(copied["cpu"], 1)),
        Figure("memory of it", round(told["gigabytes"], 2), "GB", "<= 2", n),
        Figure("planted copies that were dropped", found, "", ">= 0.95", int(planted)),
    ]  # fmt: skip


PARTS = {
    "write_corpus": write_corpus,
    "synthetic": synthetic,
    "mixing": mixing,
    "copying": copying,
}

if __name__ == "__main__":
    command_line("mixing", __doc__, PARTS, figures)
