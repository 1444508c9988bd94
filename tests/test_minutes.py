"""A budget in minutes decides which generation is the last, and nothing else."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import Learns, Sums, command, here

import stillroom
from stillroom import Context, Finding, Record, Task, UserError, files, minutes, store
from stillroom.fold import Watch
from stillroom.pipeline import Result
from stillroom.pipeline import result as result_of
from stillroom.stages.verify import verify

LONG = 50  # generations that no test has the time for
BUDGET = 0.6 / 60
QUICK = ("power.sample=0",)


class Slow(Learns):
    """Learns, 0.1 s a generation; its audit tells how many there were, and which state it saw."""

    name = "slow"
    generations: int = LONG

    def learn(
        self, state: Path | None, generations: Sequence[Iterable[Record]], ctx: Context
    ) -> Path:
        time.sleep(0.1)
        return super().learn(state, generations, ctx)

    def audit(self, generations: Sequence[Iterable[Record]], ctx: Context) -> list[Finding]:
        assert ctx.state is not None
        return [
            Finding("generations", len(generations)),
            Finding("asked for", self.generations),
            Finding("seen", float(ctx.state.read_text())),
        ]


SLOW = f"{Path(__file__).resolve()}:Slow"


def run(
    out: Path, budget: float | None = None, said: list[str] | None = None, **given: Any
) -> Result:
    budgets = () if budget is None else (f"make.minutes={budget}",)
    watch = Watch(say=(said if said is not None else []).append)
    world = given.pop("world", None) or Slow(generations=given.pop("generations", LONG))
    given = {"count": 6, "workers": 0, "watch": watch} | given
    settings = QUICK + budgets + given.pop("settings", ())
    return stillroom.run(world, out=out, settings=settings, **given)


def about(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def made(folder: Path) -> int:
    return len(json.loads((folder / "make" / "manifest.json").read_text())["generations"])


def made_folders(folder: Path) -> int:
    return len(list((folder / "make").glob("g*/manifest.json")))


def values(result: Result) -> dict[str, float]:
    return {one["name"]: one["value"] for one in result.findings}


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 50 generations that had 0.6 s."""
    folder = tmp_path_factory.mktemp("minutes") / "cut"
    said: list[str] = []
    run(folder, BUDGET, said)
    assert said == [f"{BUDGET:g} minutes are over: generation {made(folder) - 1} is the last"]
    return folder


@pytest.fixture
def copy(cut: Path, tmp_path: Path) -> Path:
    shutil.copytree(cut, tmp_path / "copy")
    return tmp_path / "copy"


def test_the_last_generation_is_pinned_and_the_root_is_that_of_so_many(
    cut: Path, tmp_path: Path
) -> None:
    several = made(cut)
    assert 1 <= several < LONG
    assert about(cut)["last"] == several - 1
    assert files.sealed(about(cut))
    asked = run(tmp_path / "asked", generations=several)
    result = result_of(cut)
    assert (asked.root, asked.counts) == (result.root, result.counts)
    assert values(asked) == values(result)
    assert values(result) == {"generations": several, "asked for": several, "seen": 6 * several}


def test_a_run_of_one_generation_is_cut_to_the_root_of_one(tmp_path: Path) -> None:
    result = run(tmp_path / "cut", 1e-6)
    assert made(tmp_path / "cut") == 1
    assert run(tmp_path / "asked", generations=1).root == result.root


def test_the_same_command_finds_it_complete(copy: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*") if path.is_file()}
    del before[copy / "recipe.toml"], before[copy / ".lock"]
    run(copy, BUDGET)
    run(copy, BUDGET / 2)  # fewer minutes are over too
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_looks_at_a_finished_run_takes_it_as_it_is(copy: Path) -> None:
    last = made(copy) - 1
    report = verify(copy, replay=1, relearn=[last], trust_code=True)
    assert report.ok, report.problems
    assert (report.records, report.relearned) == (6 * (last + 1), 1)
    assert len(stillroom.open(copy)) == 6 * (last + 1)
    code, _, err = here("view", copy, "--trust-code")
    assert code == 0, err
    told = about(copy)
    del told["seal"]
    files.write_json(copy / "run.json", files.seal(told | {"last": last + 1}))
    assert verify(copy, trust_code=True).problems == [
        "run.json: last is not the last generation of this run"
    ]


@pytest.mark.parametrize("budget", [2 * BUDGET, None])
def test_a_cut_run_goes_on(budget: float | None, copy: Path, tmp_path: Path) -> None:
    before, generations = made(copy), LONG if budget else made(copy) + 2
    result = run(copy, budget, generations=generations)
    assert made(copy) > before
    assert about(copy).get("last") == (made(copy) - 1 if budget else None)
    assert run(tmp_path / "asked", generations=made(copy)).root == result.root
    assert verify(copy, trust_code=True).ok
    with pytest.raises(UserError, match="a run can grow, not shrink"):
        run(copy, generations=before)


def test_killed_between_the_pin_and_the_manifest(copy: Path) -> None:
    root, several = result_of(copy).root, made(copy)
    (copy / "make" / "manifest.json").unlink()
    shutil.rmtree(copy / "data")
    (copy / "events.jsonl").unlink()  # so that the pin alone can tell
    assert run(copy, BUDGET).root == root
    assert made(copy) == several


def test_what_was_begun_is_no_less_than_what_is_asked_for(copy: Path, tmp_path: Path) -> None:
    (copy / "make" / "manifest.json").unlink()
    for budget in (BUDGET, None):
        with pytest.raises(UserError, match="a run can grow, not shrink"):
            run(copy, budget, generations=made_folders(copy) - 1)
    assert about(copy)["last"] == made_folders(copy) - 1
    asked = run(tmp_path / "asked", generations=made_folders(copy)).root
    assert run(copy, BUDGET, generations=made_folders(copy)).root == asked
    assert verify(copy, trust_code=True).ok


def test_a_pinned_run_is_made_whole_again_without_a_look_at_the_clock(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    root = run(folder, generations=3).root
    minutes.pin(folder, 2, 1e-6)
    (folder / "make" / "manifest.json").unlink()
    shutil.rmtree(folder / "make" / "g002")
    assert run(folder, 1e-6, repair=True).root == root


def test_what_was_begun_is_brought_to_its_end(tmp_path: Path) -> None:
    """Killed in a generation after the minutes: the sessions' time counts, its shards stay."""
    folder = tmp_path / "run"
    run(folder, generations=3)
    (folder / "make" / "manifest.json").unlink()
    (folder / "make" / "g002" / "manifest.json").unlink()
    shutil.rmtree(folder / "make" / "g002" / "state")
    run(folder, 1e-6)
    assert (made(folder), about(folder)["last"]) == (3, 2)
    assert verify(folder, trust_code=True).ok


def test_sessions_before_count_and_the_time_between_does_not(tmp_path: Path) -> None:
    for name, seconds, several in (("long", 700, 1), ("short", 1, 3)):
        out = tmp_path / name
        out.mkdir()
        told = [("begin", 0), ("start", seconds), ("begin", 10**8)]
        lines = [json.dumps({"time": 10**6 + at, "event": kind}) for kind, at in told]
        (out / "events.jsonl").write_text("\n".join(lines) + '\n{"time": 17')  # half a line
        run(out, 10, generations=3)
        assert made(out) == several
        assert seconds < minutes.worked(out) < seconds + 600


def test_a_killed_run_goes_on_until_its_minutes_are_over(tmp_path: Path) -> None:
    out, given = tmp_path / "run", ["--count", 6, "--workers", 0, "--set", "power.sample=0"]
    words = command("run", SLOW, "--out", out, *given, "--set", "make.minutes=0.02")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, env=env)
    events = out / "events.jsonl"
    while not events.exists() or '"learn"' not in events.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert minutes.worked(out) >= 0.1
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    last = about(out)["last"]
    assert f"0.02 minutes are over: generation {last} is the last" in done.stderr
    asked = run(tmp_path / "asked", world=SLOW, settings=(f"world.generations={last + 1}",))
    assert asked.root == result_of(out).root


def test_a_clock_that_is_set_back_costs_nothing(tmp_path: Path) -> None:
    told = [("begin", 100), ("shard", 103), ("shard", 50), ("shard", 52), ("begin", 10)]
    told += [("learn", 11), ("done", 400), ("mixed", 500), ("begin", 900), ("stopped", 901)]
    lines = [json.dumps({"time": at, "event": kind}) for kind, at in told]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    assert minutes.worked(tmp_path) == 3 + 2 + 1 + 1


def test_one_generation_is_never_cut(tmp_path: Path) -> None:
    result = run(tmp_path / "run", 1e-6, world=Sums(), count=40)
    assert result.counts["dataset"] == 40
    assert "last" not in about(tmp_path / "run")


def test_where_nothing_is_learnt_the_minutes_leave_two_generations(tmp_path: Path) -> None:
    """`count` is part of the identity of several generations, and not of one's."""
    cut = run(tmp_path / "cut", 1e-6, world=Sums(generations=5), count=40)
    assert (made(tmp_path / "cut"), about(tmp_path / "cut")["last"]) == (2, 1)
    assert run(tmp_path / "asked", world=Sums(generations=2), count=40).root == cut.root
    learnt = run(tmp_path / "learnt", 1e-6)
    assert made(tmp_path / "learnt") == 1
    assert run(tmp_path / "one", generations=1).root == learnt.root


def test_folders_beside_the_generations_are_none(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder, generations=2)
    for name in ("g001.bak", "g2", "gone", "g0001"):
        shutil.copytree(folder / "make" / "g001", folder / "make" / name)
    result = run(folder, generations=3)
    assert result.root == run(tmp_path / "asked", generations=3).root
    assert store.reasons(folder) == store.reasons(tmp_path / "asked")
    assert len(list(store.evidence(folder))) == len(list(store.evidence(tmp_path / "asked")))
    report = verify(folder, trust_code=True)
    added = ["g0001", "g001.bak", "g2", "gone"]
    assert report.problems == [f"make/{name}: added: no part of this run" for name in added]
    assert run(folder, generations=3, repair=True).root == result.root


def test_progress_tells_the_time_that_is_left(tmp_path: Path) -> None:
    told: list[dict[str, int]] = []
    watch = Watch(progress=lambda generation, numbers: told.append(numbers))
    run(tmp_path / "run", 10, generations=1, watch=watch)
    assert 590 <= told[-1]["seconds_left"] <= 600
    code, _, err = here(
        "run", SLOW, "--out", tmp_path / "cli", "--count", 6, "--set", "make.minutes=0.003"
    )
    assert code == 0
    assert "0.003 minutes are over: generation 0 is the last" in err


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", '"ten"'])
def test_minutes_that_are_none_are_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"make\.minutes"):
        stillroom.run(Sums(), out=tmp_path / "run", settings=(f"make.minutes={value}",))


def test_what_was_learnt_from_fixes_the_count(tmp_path: Path) -> None:
    """With more records a state would be another, in a run of one generation too."""
    run(tmp_path / "run", generations=1, count=6)
    with pytest.raises(UserError, match="count was 6, now 12"):
        run(tmp_path / "run", generations=1, count=12)


# How many records a task gives.


class Batches(Sums):
    """A task gives ten records at once, and notes that it was worked on."""

    name = "batches"
    shard = 1
    log: str = ""
    gives: int = 10

    def expected(self, task: Task) -> int:
        return self.gives

    def make(self, task: Task, ctx: Context) -> Any:
        with Path(self.log).open("a") as file:
            file.write(f"{task['a']}\n")
        if self.how == "first is odd" and task["a"] == 0:
            return [{"a": 0, "b": 0, "total": n, "dice": 0.5, "words": []} for n in range(1, 11)]
        if self.how == "first fails" and task["a"] == 0:
            raise ValueError("not today")
        made = super().make({"a": task["a"]}, ctx)[0]
        return [made | {"words": [str(n)]} for n in range(10)]


@pytest.mark.parametrize(("workers", "gives"), [(2, 10), (2, 1), (0, 10)])
def test_no_more_tasks_are_opened_than_count_is_likely_to_need(
    workers: int, gives: int, tmp_path: Path
) -> None:
    world = Batches(log=str(tmp_path / "log"), gives=gives)
    result = run(tmp_path / "run", world=world, count=20, workers=workers)
    assert result.counts["dataset"] == 20
    worked_on = (tmp_path / "log").read_text().split()
    assert len(worked_on) == len(set(worked_on))  # none is made for a trial alone
    assert (len(worked_on) == 2) == (gives == 10)


def test_a_guess_of_what_a_task_gives_changes_no_record(tmp_path: Path) -> None:
    worlds = [Batches(log=str(tmp_path / "log")) for _ in range(2)]
    few = run(tmp_path / "few", world=worlds[0], count=35, workers=0)
    Batches.expected, right = lambda self, task: 1000, Batches.expected  # type: ignore[method-assign]
    try:
        many = run(tmp_path / "many", world=worlds[1], count=35, workers=0)
    finally:
        Batches.expected = right  # type: ignore[method-assign]
    assert few.root == many.root


def test_a_first_task_that_fails_is_told_at_once_though_it_is_a_shard(tmp_path: Path) -> None:
    said: list[str] = []
    order: list[object] = []
    watch = Watch(
        say=lambda line: (said.append(line), order.append("said"))[0],  # type: ignore[func-returns-value]
        progress=lambda generation, numbers: order.append(numbers["tasks"]),
    )
    world = Batches(log=str(tmp_path / "log"), how="first fails")
    run(tmp_path / "run", world=world, watch=watch)
    (line,) = said
    assert line.startswith("the first task went wrong: failed: exception: make: ValueError")
    assert order[:2] == ["said", 1]


def test_a_first_task_that_went_wrong_is_told_once_and_in_few_words(tmp_path: Path) -> None:
    world = Batches(log=str(tmp_path / "log"), how="first is odd")
    told: list[list[str]] = []
    for count in (20, 40):  # begun, then gone on with: the first shard is there already
        told.append([])
        run(tmp_path / "run", world=world, count=count, said=told[-1])
    assert len(told[0]) == len(set(told[0])) == 5
    assert all(line.startswith("the first task went wrong: refused: ") for line in told[0])
    assert told[1] == []


# Findings.


class Finds(Sums):
    """Findings as numpy gives them."""

    name = "finds"

    def audit(self, generations: Sequence[Iterable[Record]], ctx: Context) -> list[Finding]:
        if self.how == "always right":
            return [Finding("mean", float("nan"))]
        if self.how in ("low", "high"):
            return [Finding("mean", 1.0, **{self.how: np.float64("inf")})]  # type: ignore[arg-type]
        return [
            Finding("mean", np.float64(0.1), "%", np.bool_(True)),  # type: ignore[arg-type]
            Finding("n", np.int64(3)),
            Finding("single", np.float32(0.5), low=np.float32(0.25)),  # type: ignore[arg-type]
        ]


@pytest.mark.parametrize("workers", [0, 2])
def test_findings_of_numpy_are_plain_numbers(workers: int, tmp_path: Path) -> None:
    result = run(tmp_path / "run", world=Finds(), count=20, workers=workers)
    assert values(result) == {"mean": 0.1, "n": 3, "single": 0.5}
    assert [one["ok"] for one in result.findings] == [True, None, None]
    assert verify(tmp_path / "run", trust_code=True).ok


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("always right", "the value of 'mean' is nan"),
        ("low", "the low of 'mean' is inf"),
        ("high", "the high of 'mean' is inf"),
    ],
)
def test_a_finding_that_is_no_number_is_told(how: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{words}, not a number"):
        run(tmp_path / "run", world=Finds(how=how), count=20)
