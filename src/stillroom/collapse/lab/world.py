"""The World `collapse`: a fold whose makers are students of what the makers before them wrote.

A task is one arm and one seed of a generation. Its maker learns from a corpus of people and of
earlier makers, is asked what it can do, and samples what the next one learns from. What becomes of
the rare types is predicted in `start`, before anything is trained.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from stillroom.collapse.lab import (
    checking,
    corpora,
    findings,
    measuring,
    policies,
    predictions,
    showing,
    spoiling,
)
from stillroom.collapse.lab.documents import Documents
from stillroom.collapse.lab.policies import ARMS
from stillroom.collapse.lab.rules import BOOKS, Rules
from stillroom.collapse.lab.sampling import gather
from stillroom.collapse.lab.students import Learnt
from stillroom.errors import UserError
from stillroom.record import Record
from stillroom.world import Context, Data, Draft, Finding, Task, Verdict, View, World

INTS, DOUBLES, TEXTS = pa.list_(pa.int32()), pa.list_(pa.float64()), pa.list_(pa.string())
CELL = {"types": pa.int32(), "present": pa.int32(), "predicted": pa.float64(), "count": pa.int32()}


class Collapse(World):
    """Small students that learn from their own samples, with and without human data."""

    name: ClassVar[str] = "collapse"
    schema: ClassVar[pa.StructType] = pa.struct(
        [
            ("arm", pa.string()),
            ("seed", pa.int32()),
            ("generation", pa.int32()),
            # What was learnt from: stretches of the seed's human items, and the count of each type.
            ("human", pa.list_(pa.struct({"first": pa.int64(), "stop": pa.int64()}))),
            ("learnt", INTS),
            # What was sampled: the items, packed, and what was left out on the way.
            ("items", TEXTS),
            ("drawn", pa.int32()),
            ("malformed", pa.int32()),
            ("held_out", pa.int32()),
            ("refused", pa.int32()),
            ("again", pa.int32()),
            ("tried", INTS),  # by type, what a verifier was shown
            ("sampled", INTS),
            ("right", INTS),
            # What the student can do.
            ("answers", TEXTS),
            ("accuracy", pa.struct({"rare": pa.float64(), "mean": pa.float64()})),
            ("foretold", pa.struct({"rare": pa.float64(), "mean": pa.float64()})),
            ("nats", DOUBLES),
            ("perplexity", pa.struct({"all": pa.float64(), "rare": pa.float64()})),
            # Which types were in what was learnt from, beside the prediction.
            ("law", pa.string()),
            (
                "cells",
                pa.list_(pa.struct({"bin": pa.string(), **CELL, "expected": pa.float64()})),
            ),
        ]
    )
    shard: ClassVar[int] = 1  # a training is long: each is worked on alone

    generations: int = Field(default=6, ge=1, le=50)
    data: Literal["rules", "rules-2", "text"] = "rules"
    student: Literal["neural", "table", "cells", "ngram"] = "neural"
    arms: tuple[str, ...] = ("replace", "same", "fresh", "anchor-fresh")
    seeds: tuple[int, ...] = (1, 2, 3)
    n: int | None = Field(default=None, ge=20, le=100_000)
    """Items of a generation; by default as many as suit the data."""
    share: float = Field(default=0.2, gt=0, lt=1)
    """The human share of the arms that have one, of n."""
    temperature: float = Field(default=0.9, gt=0)
    """Of the arm `cool`."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Of the arm `top-p`."""
    rare_pass: float = Field(default=0.9, ge=0, le=1)
    """The share of rare samples that a biased verifier lets pass."""
    shunned: float = Field(default=0.3, gt=0, lt=1)
    """The mass of the slices that a biased verifier takes for rare."""
    tries: int = Field(default=8, ge=1)
    """How often the arm `exact-again` asks a question anew."""
    steps: int = Field(default=200, ge=1)
    """Of each neural student: the same for every arm, however much it learns from."""
    base_steps: int = Field(default=400, ge=1)
    rare_below: float = Field(default=5, gt=0)
    """A type is rare below this expected count."""
    within: float = Field(default=0.1, gt=0)
    """How far from its prediction a cell may be."""
    corpus: str = "docstrings"
    """Human documents for `text`: the name of a corpus that ships, or a Parquet file's path."""

    @field_validator("arms")
    @classmethod
    def _known(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [arm for arm in arms if arm not in ARMS]
        if unknown:
            raise ValueError(f"no arm {unknown[0]!r} (there are {', '.join(ARMS)})")
        if not arms or len(set(arms)) != len(arms):
            raise ValueError("name at least one arm, and each once")
        return arms

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError("name at least one seed, each once, none below 0")
        return seeds

    @model_validator(mode="after")
    def _fitting(self) -> "Collapse":
        if (self.data == "text") != (self.student == "ngram"):
            raise ValueError(
                f"student {self.student!r} can't learn {self.data!r}: ngram learns text"
            )
        beyond = [arm for arm in self.arms if self.data == "text" and ARMS[arm].needs_rules]
        if beyond:
            raise ValueError(f"the arm {beyond[0]!r} needs items that are right or wrong")
        return self

    @property
    def source(self) -> Rules | Documents:
        """Where human items come from."""
        return Documents(self.corpus) if self.data == "text" else BOOKS[self.data]

    @property
    def size(self) -> int:
        """How many items one generation's corpus is made of."""
        return self.n or self.source.n

    def plan(self, generation: int) -> Iterator[Task]:
        return (
            {"arm": arm, "seed": seed, "generation": generation}
            for seed in self.seeds
            for arm in self.arms
        )

    def start(self, ctx: Context) -> Path:
        """The predictions first; then, for neural students, what each seed's students begin with.

        All arms of a seed share the student of generation 0: they differ in nothing yet.
        """
        home = ctx.scratch / "lab"
        corpora.clear(home)
        told = predictions.written(self)
        (home / "predictions.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        if self.student == "neural":
            self._begin(home / "weights", ctx.rng)
        return home

    def _begin(self, folder: Path, rng: np.random.Generator) -> None:
        try:
            from stillroom.collapse.lab import neural
        except ModuleNotFoundError as wrong:
            raise UserError(
                f"neural students need {wrong.name}",
                do="pip install 'stillroom[distill]', or world.student = \"table\"",
            ) from None
        data = self.source
        assert isinstance(data, Rules)
        folder.mkdir()
        for seed in self.seeds:
            base = folder / f"base-{seed}.safetensors"
            neural.first(data, self.base_steps, rng, base)
            student = neural.learn(data, base, data.human(seed, 0, self.size), self.steps, rng)
            neural.save(student, folder / f"first-{seed}.safetensors")

    def make(self, task: Task, ctx: Context) -> list[Draft | Data]:
        arm, seed, generation = task["arm"], task["seed"], task["generation"]
        assert ctx.state is not None
        policy, data, n = ARMS[arm], self.source, self.size
        corpus = corpora.read(ctx.state, arm, seed, n)
        items = [i for first, stop in corpus.human for i in data.human(seed, first, stop)]
        items += data.unpack(corpus.synthetic) if corpus.synthetic else []
        student = self._student(ctx.state, seed, generation, items, ctx.rng)
        said = student.answer(data.questions, None) if isinstance(data, Rules) else []
        nats = student.nats().round(6).tolist()
        wanted = policies.samples(policy, n, self.share)
        got = gather(self, policy, student, wanted, ctx.rng)
        learnt = data.counts(seed, n, items).tolist()
        told = predictions.tell(self, arm, seed, generation)
        exact = isinstance(data, Rules) and bool(got.items)
        made = {
            "arm": arm,
            "seed": seed,
            "generation": generation,
            "human": [{"first": first, "stop": stop} for first, stop in corpus.human],
            "learnt": learnt,
            "items": data.pack(got.items),
            **{k: v for k, v in vars(got).items() if k not in ("items", "tried")},
            "tried": got.tried.tolist(),
            "sampled": measuring.sampled(self, seed, got.items).tolist(),
            "right": measuring.right(self, got.items).tolist() if exact else got.tried.tolist(),
            "answers": data.pack_answers(said) if isinstance(data, Rules) else [],
            "accuracy": measuring.accuracies(self, seed, said),
            "foretold": told.accuracy,
            "nats": nats,
            "perplexity": measuring.perplexities(self, seed, nats),
            "law": told.law,
            "cells": measuring.cells(self, seed, learnt, told.presence),
        }
        source = self.corpus if self.data == "text" else None
        return [Draft(made, tuple(corpus.parents), source)]

    def _student(
        self,
        state: Path,
        seed: int,
        generation: int,
        items: list[str],
        rng: np.random.Generator,
    ) -> Learnt:
        """A student of these items."""
        data = self.source
        if isinstance(data, Documents):
            from stillroom.collapse.lab.trigrams import Trigrams

            return Trigrams(data, seed, self.size, self.rare_below, items)
        if self.student != "neural":
            from stillroom.collapse.lab.tables import CellTable, RuleTable, Table

            return Table(data, items, RuleTable if self.student == "table" else CellTable)
        from stillroom.collapse.lab import neural

        weights = state / "weights"
        if generation == 0:
            return neural.load(data, weights / f"first-{seed}.safetensors")
        return neural.learn(data, weights / f"base-{seed}.safetensors", items, self.steps, rng)

    def learn(
        self, state: Path | None, generations: Sequence[Iterable[Record]], ctx: Context
    ) -> Path:
        """The corpora that the next generation learns from."""
        assert state is not None
        return corpora.write(self, state, generations[-1], ctx.scratch / "lab")

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        """By the rule book and the record alone: items, answers, shares, measures, predictions.

        Score: all or none.
        """
        return checking.check(self, task, data)

    def audit(self, generations: Sequence[Iterable[Record]], ctx: Context) -> list[Finding]:
        assert ctx.state is not None
        written = orjson.loads((ctx.state / "predictions.json").read_bytes())
        return findings.audit(self, [record for one in generations for record in one], written)

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        return spoiling.spoil(self, data, rng)

    def show(self, record: Record) -> View:
        return showing.show(self, record)
