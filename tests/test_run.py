"""What a run gives: the dataset, its root, growth, several records a task, wishes of the user."""

import json
from collections.abc import Iterator
from pathlib import Path

import datasets
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import stillroom
from stillroom import Check, Context, Data, Record, Task, UserError, Verdict, View, World
from stillroom.pipeline import Result
from stillroom.stages.verify import verify


class Powers(World):
    """n to the power p, wrong for n that end in 7; two records for even n, none for 5."""

    name = "powers"
    schema = pa.struct([("n", pa.int64()), ("value", pa.int64()), ("dice", pa.int64())])
    shard = 16

    power: int = 2

    def plan(self, generation: int) -> Iterator[Task]:
        n = 0
        while True:
            yield {"n": n}
            n += 1

    def make(self, task: Task, ctx: Context) -> list[Data]:
        n = task["n"]
        one = {"n": n, "value": n**self.power + (n % 10 == 7), "dice": int(ctx.rng.integers(6))}
        return [] if n == 5 else [one] * (2 if n % 2 == 0 else 1)

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        rooted = round(data["value"] ** (1 / self.power))
        return Verdict(
            (
                Check("task", data["n"] == task["n"]),
                Check("root", rooted == data["n"] and rooted**self.power == data["value"]),
                Check("dice", 0 <= data["dice"] < 6),
            )
        )

    def show(self, record: Record) -> View:
        return View(text=json.dumps(record.data), tags={"odd": str(record.data["n"] % 2)})


def run(out: Path, count: int = 50, workers: int = 0, **given: object) -> Result:
    world = given.pop("world", Powers())
    return stillroom.run(world, out=out, count=count, workers=workers, **given)  # type: ignore[arg-type]


def test_the_dataset_is_the_first_accepted_records_in_plan_order(tmp_path: Path) -> None:
    result = run(tmp_path / "a")
    data = [record.data["n"] for record in result.dataset]
    expected = [n for n in range(100) if n % 10 != 7 and n != 5 for _ in range(1 + (n % 2 == 0))]
    assert data == expected[:50]
    assert len(result.dataset) == result.counts["dataset"] == 50
    assert result.counts["refused"] > 0
    assert result.counts["failed"] == 0


def test_workers_change_nothing_and_the_seed_does(tmp_path: Path) -> None:
    roots = {run(tmp_path / f"w{workers}", workers=workers).root for workers in (0, 1, 2, 3)}
    assert len(roots) == 1
    assert run(tmp_path / "other", seed=1).root not in roots


def test_running_again_does_nothing(tmp_path: Path) -> None:
    first = run(tmp_path / "a")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*.parquet")}
    assert run(tmp_path / "a").root == first.root
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*.parquet")} == before


def test_growing_is_an_append_and_equals_a_fresh_run(tmp_path: Path) -> None:
    small = [r.id for r in run(tmp_path / "a", 50).dataset]
    grown = run(tmp_path / "a", 120)
    assert [r.id for r in grown.dataset][:50] == small
    assert grown.root == run(tmp_path / "fresh", 120).root
    assert verify(tmp_path / "a", trust_code=True).ok


def test_data_opens_in_other_readers(tmp_path: Path) -> None:
    result = run(tmp_path / "a", 40)
    folder = tmp_path / "a" / "data"
    values = [record.data["value"] for record in result.dataset]
    assert [row["value"] for row in pd.read_parquet(folder)["data"]] == values
    assert pl.read_parquet(folder / "*.parquet")["data"].struct.field("value").to_list() == values
    rows = duckdb.sql(
        f"SELECT data.value FROM '{folder}/*.parquet' ORDER BY filename, 1"
    ).fetchall()
    assert sorted(row[0] for row in rows) == sorted(values)
    hub = datasets.load_dataset("parquet", data_dir=str(folder), cache_dir=str(tmp_path / "hub"))
    assert [row["value"] for row in hub["train"]["data"]] == values
    assert result.dataset.to_pandas()["id"].tolist() == [r.id for r in result.dataset]


def test_filter_is_lazy_and_right(tmp_path: Path) -> None:
    odd = run(tmp_path / "a", 40).dataset.filter(lambda record: record.tags["odd"] == "1")
    assert {record.data["n"] % 2 for record in odd} == {1}
    assert len(odd) == odd.table().num_rows > 5


def test_chance_belongs_to_the_task(tmp_path: Path) -> None:
    dice = [r.data["dice"] for r in run(tmp_path / "a", 60).dataset]
    assert len(set(dice)) == 6
    assert dice == [r.data["dice"] for r in run(tmp_path / "b", 60, workers=2).dataset]


def test_config_is_part_of_identity(tmp_path: Path) -> None:
    run(tmp_path / "a")
    with pytest.raises(UserError, match=r"config.power was 2, now 3"):
        run(tmp_path / "a", world=Powers(power=3))


def test_no_clock_host_or_path_in_a_record(tmp_path: Path) -> None:
    run(tmp_path / "here", 20)
    run(tmp_path / "there", 20)
    for part in sorted((tmp_path / "here" / "data").iterdir()):
        assert part.read_bytes() == (tmp_path / "there" / "data" / part.name).read_bytes()


class Broken(Powers):
    """A checker that looks at the task only."""

    name = "broken"

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        return Verdict((Check("task", data["n"] == task["n"]),))


def test_power_tells_a_weak_checker(tmp_path: Path) -> None:
    strong, weak = run(tmp_path / "a").power, run(tmp_path / "b", world=Broken()).power
    assert strong["core"]["power"] > 0.7
    assert weak["core"]["power"] < strong["core"]["power"]
    assert weak["unchecked"] == ["dice", "value"]
    with pytest.raises(AssertionError, match="notices"):
        stillroom.check_world(Broken(), tmp_path / "c")


class Unsure(Powers):
    """A maker that is not deterministic."""

    name = "unsure"

    def make(self, task: Task, ctx: Context) -> list[Data]:
        import os

        return [{"n": task["n"], "value": task["n"] ** 2, "dice": os.urandom(1)[0] % 6}]


def test_the_contract_catches_a_maker_that_is_not_deterministic(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="root"):
        stillroom.check_world(Unsure(), tmp_path)


def test_an_audit_that_was_left_out_is_made_when_it_is_asked_for(tmp_path):
    quiet = ("audit.run=false", "power.sample=0")
    first = stillroom.run("lessons", out=tmp_path / "run", count=20, workers=0, settings=quiet)
    assert not first.findings
    assert not first.power
    again = stillroom.run("lessons", out=tmp_path / "run", count=20, workers=0)
    assert again.root == first.root
    assert again.findings
    assert again.power["records"] == 20
    less = stillroom.run("lessons", out=tmp_path / "run", count=20, workers=0, settings=quiet)
    assert less.findings == again.findings  # nothing is made anew, nothing is lost
