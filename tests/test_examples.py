"""The example worlds pass the contract, and do what each of them is there to show."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from run_example import table

import stillroom
from stillroom import check_world, worlds
from stillroom.world import World

EXAMPLES = Path(__file__).parents[1] / "examples"


def world(name: str, **config: object) -> World:
    return worlds.build(worlds.find(str(EXAMPLES / f"{name}.py")), config)


def test_hello(tmp_path: Path) -> None:
    assert len((EXAMPLES / "hello.py").read_text().splitlines()) <= 30
    check_world(world("hello"), tmp_path)


def test_projectile_replays_whole_trajectories(tmp_path: Path) -> None:
    result = check_world(world("projectile"), tmp_path, count=12, own=1.0, core=0.95)
    record = next(iter(result.dataset))
    longest = max((v for v in record.data.values() if isinstance(v, list)), key=len)
    assert len(longest) > 10


def test_nim_finds_every_best_move_by_self_play(tmp_path: Path) -> None:
    result = check_world(world("nim"), tmp_path / "contract", count=30, own=1.0, core=0.95)
    result = stillroom.run(world("nim"), out=tmp_path / "run", count=200, workers=2)
    (finding,) = result.findings
    assert finding["name"] == "optimal moves found"
    assert finding["value"] == 1.0
    assert {record.origin.depth for record in result.dataset} == {1, 2, 3, 4, 5, 6}


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    sys.modules.pop("quiz", None)
    from quiz import Parrot

    return Parrot()


def test_quiz_asks_and_never_pays_twice(tmp_path: Path, parrot: object) -> None:
    result = check_world(world("quiz"), tmp_path, teacher=parrot)  # type: ignore[arg-type]
    assert result.counts["refused"] > 0  # the teacher is wrong now and then
    assert {record.origin.depth for record in result.dataset} == {None}
    assert all(record.usage for record in result.dataset)
    asked = 0

    class Silent:
        model = parrot.model  # type: ignore[attr-defined]

        async def ask(self, messages: object, **params: object) -> str:
            nonlocal asked
            asked += 1
            return ""

    for part in (result.folder / "make").rglob("*.parquet"):
        part.unlink()
    (result.folder / "make" / "g000" / "manifest.json").unlink()
    again = stillroom.run(
        world("quiz"),
        out=result.folder,
        count=40,
        teacher=Silent(),
        repair=True,
        workers=0,
        settings=("power.sample=0",),
    )
    assert again.root == result.root
    assert asked == 0  # every answer came from the ledger


@pytest.fixture
def private_run(tmp_path: Path) -> Path:
    """A run of the fitted world, with its page, export and a failing task behind it."""
    clinic = world("clinic", table=str(table(tmp_path)))
    folder = tmp_path / "run"
    stillroom.run(clinic, out=folder, count=300, workers=2)
    stillroom.export(folder, "text", tmp_path / "export", trust_code=True)
    stillroom.export(folder, "parquet", tmp_path / "export-p", trust_code=True)
    return folder


def test_clinic_fits_a_private_table(tmp_path: Path) -> None:
    check_world(world("clinic", table=str(table(tmp_path))), tmp_path, count=80)


def test_nothing_of_the_private_table_gets_out(private_run: Path, tmp_path: Path) -> None:
    secret = b"PLANTED"
    assert secret in (tmp_path / "patients.csv").read_bytes()
    for path in tmp_path.rglob("*"):
        if path.is_file() and private_run / "private" not in path.parents:
            assert (secret in path.read_bytes()) == (path.name == "patients.csv"), path
    state = json.loads((private_run / "run.json").read_text())
    assert state["private"] is True
    mode = (private_run / "private").stat().st_mode & 0o777
    assert mode == 0o700


LEAKY = """
import pyarrow as pa
from stillroom import Check, Verdict, View, World

class Leaky(World):
    name = "leaky"
    schema = pa.struct([("n", pa.int64()), ("word", pa.string())])
    private = True
    table: str
    where: str = "make"

    def plan(self, generation):
        return ({"n": n} for n in range(200))

    def start(self, ctx):
        secret = open(self.table).read()
        if self.where == "start":
            raise ValueError(secret)
        (ctx.scratch / "model.txt").write_text(secret)
        return ctx.scratch / "model.txt"

    def make(self, task, ctx):
        if self.where == "make" and task["n"] % 2:
            raise ValueError(ctx.state.read_text())
        return [{"n": task["n"], "word": "w"}]

    def check(self, task, data, ctx):
        if self.where == "check" and task["n"] % 3 == 0:
            raise ValueError(open(self.table).read())
        return Verdict((Check("n", data["n"] == task["n"]),))

    def show(self, record):
        return View(str(record.data["n"]))

    def audit(self, generations, ctx):
        raise ValueError(ctx.state.read_text())
"""


@pytest.mark.parametrize("where", ["start", "make", "check", "audit"])
@pytest.mark.parametrize("workers", [0, 2])
def test_no_exception_of_a_private_world_leaks(where: str, workers: int, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("name,PLANTED-STRING-77")
    (tmp_path / "leaky.py").write_text(LEAKY)
    command = "from stillroom.cli import main; main()"
    words = ["run", "leaky.py", "--out", "run", "--workers", str(workers), "--count", "50"]
    words += ["--set", "world.table='secret.csv'", "--set", f"world.where={where!r}"]
    done = subprocess.run(
        [sys.executable, "-c", command, *words], cwd=tmp_path, capture_output=True, timeout=120
    )
    assert done.returncode == 4, done.stderr
    assert b"ValueError" in done.stderr
    assert b"PLANTED" not in done.stdout + done.stderr
    inside = 0
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file() and b"PLANTED" in path.read_bytes():
            assert tmp_path / "run" / "private" in path.parents, path
            inside += 1
    assert inside, "the traceback is kept in RUN/private"


def test_the_loop_by_hand_learns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from distil_loop import main

    main(steps=61)
    *lines, question, answer = capsys.readouterr().out.splitlines()
    losses = [float(line.rpartition(" ")[2]) for line in lines]
    assert len(losses) == 4
    assert losses[-1] < 0.25 * losses[0]
    assert question.startswith("cups ")
    assert answer.startswith("<think>")
