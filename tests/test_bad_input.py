"""What a user can do wrong, and what then happens: an exit code, a sentence, and nothing lost."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import living
from worlds import CHECKS, FILE, SUMS, Sums, command, here, shell

import stillroom
from stillroom import UserError, dataset
from stillroom.errors import Stopped
from stillroom.pipeline import Result
from stillroom.stages.verify import verify
from stillroom.view.summary import summary


def make(out: Path, count: int = 40, workers: int = 0, **given: object) -> Result:
    settings = ("power.sample=0",)
    return stillroom.run(
        Sums(**given),  # type: ignore[arg-type]
        out=out,
        count=count,
        workers=workers,
        settings=settings,
    )


def words_of(out: Path, count: int = 40, how: str = "", **given: object) -> list[str]:
    """The command that does what `make` does, for a process of its own."""
    settings = {"power.sample": 0, "world.how": f'"{how}"', **given}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return ["run", SUMS, "--count", str(count), "--out", str(out), "--workers", "0", *sets]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that is the run's, without the lock and the diary."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (".lock", "events.jsonl")
    }


def root_in(out: str) -> str:
    found = re.search(r"Root ([0-9a-f]{64})", out)
    assert found is not None, out
    return found[1]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run that nothing happened to."""
    code, out, err = here(*words_of(tmp_path_factory.mktemp("calm") / "run"))
    assert code == 0, err
    return stillroom.pipeline.result(Path(re.findall(r"Folder (\S+)\.", out)[0]))


# The recipe.

MISTAKES = f"""
cuont = 5
seed = "seven"
[make]
wrokers = 2
[power]
sample = -1
[world]
use = "{SUMS}"
tsaks = 3
tasks = -3
"""


def test_all_mistakes_of_a_recipe_are_told_at_once(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(MISTAKES)
    code, out, err = here("run", recipe, "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    assert "6 mistakes" in err
    assert str(recipe) in err
    for key, words in {
        "cuont = 5": [
            "no such key",
            "did you mean 'count'",
            "allowed: audit, count, distill, guard, make, mix, name, power",
        ],
        "seed = 'seven'": ["valid integer"],
        "make.wrokers = 2": ["no such key", "did you mean 'workers'", "allowed: minutes, workers"],
        "power.sample = -1": ["greater than or equal to 0"],
        "world.tsaks = 3": ["no such key", "did you mean 'tasks'", "how, marker", "tasks"],
        "world.tasks = -3": ["greater than or equal to 0"],
    }.items():
        (line,) = [line for line in err.splitlines() if line.strip().startswith(key)]
        assert all(word in line for word in words), line
    assert list(tmp_path.iterdir()) == [recipe]


BAD_RECIPES = {
    "not TOML": ("count = [", ["not valid TOML", "mine.toml"]),
    "not text": (b"\xff\xfe\x00", ["not valid TOML", "mine.toml"]),
    "no world": ("count = 5", ["world: missing", "mine.toml"]),
    "world is a word": ('world = "sums"', ["world = 'sums'", "valid dictionary"]),
    "no use": ("[world]\ntasks = 3", ["world.use", "missing"]),
    "unknown world": ('[world]\nuse = "lesons"', ["'lesons'", "did you mean 'lessons'", "FILE.py"]),
    "no such file": ('[world]\nuse = "none.py"', ["there is no file none.py"]),
    "no such module": ('[world]\nuse = "nowhere.to:Be"', ["can't import nowhere.to"]),
    "no such class": (f'[world]\nuse = "{FILE}:Smus"', ["no class Smus", "Sums", "Learns"]),
    "make is a number": (f'make = 3\n[world]\nuse = "{SUMS}"', ["make = 3"]),
    "name with a slash": (f'name = "../x"\n[world]\nuse = "{SUMS}"', ["name = '../x'"]),
    "count is zero": (f'count = 0\n[world]\nuse = "{SUMS}"', ["count = 0", "greater than"]),
}


@pytest.mark.parametrize("given", [[], ["--workers", "0"]], ids=["", "workers"])
@pytest.mark.parametrize("mistake", BAD_RECIPES)
def test_a_bad_recipe_is_refused(mistake: str, given: list[str], tmp_path: Path) -> None:
    recipe, (text, words) = tmp_path / "mine.toml", BAD_RECIPES[mistake]
    recipe.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, _, err = here("run", recipe, "--out", tmp_path / "run", *given)
    assert code == 2
    assert all(word in err for word in words), err
    assert list(tmp_path.iterdir()) == [recipe]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("none.toml", ["there is no such recipe", "none.toml"]),
        ("folder.toml", ["folder.toml"]),
        ("lesson", ["no world is called 'lesson'", "did you mean 'lessons'"]),
        ("none.py", ["there is no file none.py"]),
        ("", ["no world is called ''"]),
    ],
)
def test_what_is_not_there_is_told(
    what: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.toml").mkdir()
    code, _, err = here("run", what, "--out", "run")
    assert code == 2
    assert all(word in err for word in words), err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("count", ["'count' is not KEY=VALUE"]),
        ("=3", ["'=3' is not KEY=VALUE"]),
        ("cuont=3", ["cuont = 3", "did you mean 'count'"]),
        ("count=many", ["count = 'many'", "valid integer"]),
        ("world.tsaks=3", ["world.tsaks = 3", "did you mean 'tasks'"]),
        ("world.use.it=3", ["'use' is not a table"]),
        ("name.it=3", ["'name' is not a table"]),
        ("make=3", ["make = 3"]),
    ],
)
@pytest.mark.parametrize("given", [[], ["--workers", "0"]], ids=["", "workers"])
def test_a_bad_setting_is_refused(
    setting: str, words: list[str], given: list[str], tmp_path: Path
) -> None:
    code, _, err = here("run", SUMS, "--out", tmp_path / "run", "--set", setting, *given)
    assert code == 2
    assert all(word in err for word in words), err
    assert not (tmp_path / "run").exists()


def test_bad_options_are_refused(tmp_path: Path) -> None:
    for words in (["--count", "0"], ["--seed", "-1"], ["--colour", "red"], ["--workers", "two"]):
        code, _, err = here("run", SUMS, "--out", tmp_path / "run", *words)
        assert code == 2
        assert words[0] in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "given",
    [{"count": 0}, {"seed": -1}, {"workers": -1}, {"settings": ("cuont=3",)}],
    ids=["count", "seed", "workers", "settings"],
)
def test_mistakes_in_python_are_user_errors(given: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(UserError) as wrong:
        stillroom.run(Sums(), out=tmp_path / "run", **given)  # type: ignore[arg-type]
    assert wrong.value.code == 2
    assert not (tmp_path / "run").exists()


def test_a_setting_for_a_world_made_in_python_counts_or_is_refused(tmp_path: Path) -> None:
    settings = ("world.tasks=5", "power.sample=0")
    try:
        stillroom.run(Sums(), out=tmp_path / "run", count=40, workers=0, settings=settings)
    except UserError:
        return
    assert len(stillroom.open(tmp_path / "run")) == 5


# The run folder.


@pytest.fixture
def finished(calm: Result, tmp_path: Path) -> Path:
    shutil.copytree(calm.folder, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (["--seed", "7"], ["seed was 0, now 7"]),
        (["--set", "world.tasks=99"], ["config.tasks was 0, now 99"]),
        (["--seed", "7", "--set", "world.tasks=99"], ["seed was 0, now 7", "config.tasks was 0"]),
    ],
    ids=["seed", "config", "both"],
)
def test_a_run_of_another_recipe_is_refused(
    other: list[str], words: list[str], finished: Path
) -> None:
    before = contents(finished)
    code, _, err = here(*words_of(finished), *other)
    assert code == 2
    assert "another recipe" in err
    assert str(finished) in err
    assert "--out" in err
    assert all(word in err for word in words), err
    assert contents(finished) == before
    assert verify(finished, trust_code=True).ok


def test_a_changed_world_file_is_another_recipe(tmp_path: Path) -> None:
    mine, out = tmp_path / "mine.py", tmp_path / "run"
    mine.write_text(FILE.read_text())
    asked = ["run", f"{mine}:Sums", "--count", "9", "--workers", "0", "--out", out]
    assert here(*asked)[0] == 0
    before = contents(out)
    mine.write_text(mine.read_text() + "\n# another thought\n")
    stillroom.worlds._modules.clear(), stillroom.worlds._kept.clear()  # a new process
    code, _, err = here(*asked)
    assert code == 2
    assert "another recipe" in err
    assert "world.sha256 was" in err
    assert contents(out) == before
    assert verify(out, trust_code=True).ok


def test_a_run_does_not_shrink(finished: Path) -> None:
    before = contents(finished)
    code, _, err = here(*words_of(finished, count=39))
    assert code == 2
    assert "40 records" in err
    assert "39" in err
    assert "grow, not shrink" in err
    assert contents(finished) == before  # recipe.toml too
    assert verify(finished, trust_code=True).ok


def test_a_folder_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    """`--out .` in a project that has a folder `data` must not cost it."""
    mine = tmp_path / "data" / "thesis.csv"
    mine.parent.mkdir()
    mine.write_text("years of work")
    code, _, err = here(*words_of(tmp_path, count=9))
    assert mine.exists(), f"the user's data/ is gone (exit {code})"
    assert mine.read_text() == "years of work"
    assert code == 2, err


def test_records_without_run_json_are_refused(finished: Path) -> None:
    (finished / "run.json").unlink()
    before = contents(finished)
    code, _, err = here(*words_of(finished))
    assert code == 2
    assert str(finished) in err
    assert "--out" in err
    assert contents(finished) == before


@pytest.mark.parametrize("name", ["run.json", "make/manifest.json", "make/g000/manifest.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_a_run_with_a_broken_file_is_refused_in_words(name: str, text: str, finished: Path) -> None:
    (finished / name).write_text(text)
    if name.startswith("make/g"):
        (finished / "make" / "manifest.json").unlink()  # so that the broken one is read
    code, _, err = here(*words_of(finished, count=60))
    if code == 0:  # or mended
        assert verify(finished, trust_code=True).ok
        return
    assert code == 2
    assert Path(name).name in err


def test_a_second_process_is_told_who_holds_the_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    slow = start(out, workers=0)
    try:
        code, _, err = shell(*words_of(out))
        assert code == 2
        assert f"locked by process {slow.pid}" in err
        assert "--out" in err
        assert "Traceback" not in err
        assert slow.poll() is None
    finally:
        slow.kill()
        slow.communicate()
    code, words, _ = here(*words_of(out))  # the dead hold no lock
    assert code == 0, words


# A world that goes wrong.


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raises", ["make: ZeroDivisionError", "worlds.py, line"]),
        ("check raises", ["check: ZeroDivisionError", "worlds.py, line"]),
        ("check says True", ["check returned bool, not a Verdict"]),
        ("check says nothing", ["check returned NoneType, not a Verdict"]),
        ("checks are text", ["check: "]),
        ("detail is a number", ["check", "detail"]),
        ("score is nan", ["check", "score"]),
        ("score is text", ["check", "score"]),
        ("unknown field", ["data.colour", "not in the schema"]),
        ("missing field", ["data.total", "missing"]),
        ("wrong type", ["data.total", "expected int64", "'twelve'"]),
        ("fraction", ["data.total", "expected int64", "1.5"]),
        ("not finite", ["data.dice", "not finite"]),
        ("set", ["data.words", "set"]),
        ("text for a list", ["data.words", "expected a list", "'abc'"]),
        ("not a dict", ["data", "expected fields"]),
        ("not a list", ["make returned dict, not a list"]),
        ("nothing at all", ["make returned NoneType, not a list"]),
        ("parents not text", ["parents"]),
    ],
)
def test_a_world_that_always_fails_is_stopped(how: str, words: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, _, err = here(*words_of(out, how=how))
    assert code == 4, err
    # Past max(20, 5 %), seen shard by shard of 8 tasks.
    assert "too many failures: 24 tasks used, 0 kept, 0 refused, 24 failed" in err
    assert "the commonest reason (24 times)" in err
    assert all(word in err for word in words), err
    assert "Traceback" not in err
    assert all(record.outcome == "failed" for record in dataset.rest(out))
    assert not (out / "make" / "manifest.json").exists()
    assert not (out / "data").exists()
    assert verify(out).problems


@pytest.mark.parametrize("how", ["raises", "unknown field"])
def test_tracebacks_are_where_they_are_said_to_be(how: str, tmp_path: Path) -> None:
    _, _, err = here(*words_of(tmp_path / "run", how=how))
    told = re.search(r"tracebacks are in (\S+?);", err)
    assert told is None or list(Path(told[1]).glob("*.txt"))


@pytest.mark.parametrize("how", ["numpy bool", "numpy score"])
def test_numpy_in_a_verdict_is_taken_or_a_failure_in_words(how: str, tmp_path: Path) -> None:
    assert how in CHECKS
    code, _, err = here(*words_of(tmp_path / "run", how=how))
    assert code in (0, 4), err
    assert code == 0 or "too many failures" in err


def test_a_few_failures_are_counted_and_stand_among_the_evidence(tmp_path: Path) -> None:
    result = make(tmp_path / "run", count=200, how="sometimes fails")
    assert result.counts["failed"] == 5  # 13, 63, 113, 163, 213 of 227
    assert result.counts["dataset"] == 200
    failed = [r for r in dataset.rest(result.folder) if r.outcome == "failed"]
    assert [r.task["a"] for r in failed] == [13, 63, 113, 163, 213]
    assert "ValueError: no 13 today" in failed[0].verdict.reason
    assert failed[0].data is None
    numbers = summary(result.folder)
    assert numbers["failed"] == 5
    assert numbers["reasons"]["failed: exception"] == 5
    assert verify(result.folder, trust_code=True, replay=300).ok


def test_a_plan_of_nothing(tmp_path: Path) -> None:
    code, _, err = here(*words_of(tmp_path / "run", how="plans nothing"))
    assert code == 4
    assert "nothing was kept" in err
    assert "0 tasks used" in err
    assert "Sums.plan(0) gave no task" in err
    assert not (tmp_path / "run" / "data").exists()


@pytest.mark.parametrize(
    "how",
    [
        "plans text",
        "plans a set",
        "plans an object",
        "plans nan",
        "plans numbers as keys",
    ],
)
def test_a_plan_that_is_not_json(how: str, tmp_path: Path) -> None:
    code, _, err = here(*words_of(tmp_path / "run", how=how))
    assert code == 2, err
    assert "a task is not JSON" in err
    assert "Sums.plan(0)" in err


def test_numpy_numbers_in_a_plan_stay_numbers_or_are_refused(tmp_path: Path) -> None:
    code, _, err = here(*words_of(tmp_path / "run", how="plans numpy"))
    if code == 2:
        assert "a task is not JSON" in err
        return
    assert code == 0, err
    assert [record.task for record in stillroom.open(tmp_path / "run")] == [{"a": 1}]


def test_a_plan_for_ever_without_acceptance_is_stopped(tmp_path: Path) -> None:
    code, _, err = here(*words_of(tmp_path / "run", 60, "never right"))
    assert code == 4
    told = "too few were kept: 1200 tasks used, 0 kept, 1200 refused, 0 failed; 60 are wanted"
    assert told in err  # 20 times 60
    assert re.search(r"the commonest reason \(\d+ times\): taste: bland", err)


def test_making_nothing_for_ever_is_stopped_with_a_reason(tmp_path: Path) -> None:
    code, _, err = here(*words_of(tmp_path / "run", how="none of it"))
    assert code == 4
    assert "too few were kept: 1000 tasks used, 0 kept, 0 refused, 0 failed" in err
    assert "make" in err.partition("where:")[2].partition("\n")[2], "no reason is given"


def test_an_empty_result_has_a_reason(tmp_path: Path) -> None:
    code, _, err = here(*words_of(tmp_path / "a", 9, "never right", **{"world.tasks": 20}))
    assert code == 4
    assert "nothing was kept" in err
    assert "20 tasks used, 0 kept, 20 refused" in err
    assert "taste: bland" in err
    code, _, err = here(*words_of(tmp_path / "b", 9, "none of it", **{"world.tasks": 20}))
    assert code == 4
    assert "20 tasks used, 0 kept" in err
    assert "gave no task" not in err  # it gave twenty
    assert "make" in err.partition("where:")[2].partition("\n")[2], "no reason is given"


def test_a_plan_shorter_than_count_ends_with_what_there_is(tmp_path: Path) -> None:
    result = make(tmp_path / "run", count=500, tasks=30)
    assert result.counts["tasks"] == 30
    assert result.counts["dataset"] == len(result.dataset) == 27
    assert make(tmp_path / "run", count=500, tasks=30).root == result.root
    assert verify(result.folder, trust_code=True).ok


def test_three_records_a_task(tmp_path: Path) -> None:
    result = make(tmp_path / "run", count=40, how="three each")
    records = list(result.dataset)
    assert len(records) == len({r.id for r in records}) == 40
    assert [r.data["words"] for r in records[:4]] == [["0"], ["1"], ["2"], ["0"]]
    report = verify(result.folder, trust_code=True, replay=20)
    assert report.ok, report.problems


@pytest.mark.parametrize("how", ["check edits", "show edits"])
def test_a_world_that_edits_what_it_is_shown_does_no_harm(how: str, tmp_path: Path) -> None:
    code, _, err = here(*words_of(tmp_path / "run", 9, how))
    if code == 0:
        report = verify(tmp_path / "run", trust_code=True)
        assert report.problems == []
    else:
        assert code == 4, err


def test_a_worker_that_dies_is_told_and_nothing_hangs(tmp_path: Path) -> None:
    began = time.monotonic()
    code, _, err = shell(*words_of(tmp_path / "run", how="dies"), "--workers", "2")
    assert code == 4
    assert "a worker process died twice (exit code 3)" in err
    assert "shard 0 of generation 0" in err
    assert "Traceback" not in err
    assert time.monotonic() - began < 30


def test_failures_are_remade_once_the_cause_is_gone(tmp_path: Path) -> None:
    marker, out = tmp_path / "marker", tmp_path / "run"
    asked = words_of(out, **{"world.marker": f'"{marker}"'})
    code, _, err = here(*asked)
    assert code == 4
    assert "the marker is not there" in err
    assert list((out / "make" / "g000").glob("*.rest.parquet"))
    marker.touch()
    code, words, err = here(*asked)
    assert code == 0, err
    calm = words_of(tmp_path / "calm", **{"world.marker": f'"{marker}"'})
    root = root_in(here(*calm)[1])
    assert root_in(words) == root
    assert summary(out)["failed"] == 0
    assert verify(out, root=root, trust_code=True, replay=50).ok
    # From then on it is the run's, whatever becomes of the cause.
    marker.unlink()
    assert root_in(here(*asked)[1]) == root


# The disk.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True) if shutil.which("mount") else None
    if done is None or done.returncode:
        pytest.skip(f"can't mount a small disk here: {done.stderr if done else 'no mount'}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_stops_the_run_wherever_it_was(calm: Result, small_disk: Path) -> None:
    """Room is made page by page, so that the disk is full at every place in turn."""
    ballast, out, stops = small_disk / "ballast", small_disk / "run", 0
    room = os.statvfs(small_disk)
    size = (room.f_bavail - 2) * room.f_frsize
    ballast.write_bytes(b"\x01" * size)
    while True:
        code, words, err = here(*words_of(out))
        if code == 0:
            break
        assert code == 4 if (out / "run.json").exists() else code in (2, 4), err
        assert "the disk is full" in err
        assert "make room and run the same command" in err
        assert size > 0, err
        stops, size = stops + 1, max(0, size - 8192)
        os.truncate(ballast, size)
    assert stops > 10
    assert root_in(words) == calm.root
    report = verify(out, root=calm.root, trust_code=True, replay=10)
    assert report.ok, report.problems
    assert {str(f.relative_to(out)) for f in out.rglob("*.part")} == set()


def test_a_full_disk_in_a_worker(calm: Result, small_disk: Path) -> None:
    ballast, out = small_disk / "ballast", small_disk / "run"
    room = os.statvfs(small_disk)
    ballast.write_bytes(b"\x01" * (room.f_bavail - 15) * room.f_frsize)
    code, _, err = shell(*words_of(out), "--workers", "2")
    assert code == 4
    assert "the disk is full" in err
    assert "Traceback" not in err
    ballast.unlink()
    assert root_in(here(*words_of(out))[1]) == calm.root


def test_files_that_may_not_grow(calm: Result, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))

    code, _, err = shell(*words_of(out), preexec_fn=limit)
    assert code == 4
    assert "the disk is full" in err
    assert str(out) in err
    assert "Traceback" not in err
    assert root_in(here(*words_of(out))[1]) == calm.root


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    for out in (tmp_path / "run", tmp_path / "run" / "below", Path("/proc/nowhere/run")):
        code, _, err = here(*words_of(out))
        assert code == 2
        assert str(out) in err
        assert "--out" in err
    assert (tmp_path / "run").read_text() == "mine"


def test_a_read_only_disk(calm: Result, small_disk: Path) -> None:
    shutil.copytree(calm.folder, small_disk / "run")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for out in (small_disk / "new", small_disk / "run"):
        code, _, err = here(*words_of(out, count=60))
        assert code == 2
        assert "read-only" in err.lower()
        assert "--out" in err
    # Reading needs no writing.
    verbs = ["verify", small_disk / "run", "--workers", "0", "--trust-code"]
    assert here(*verbs)[0] == 0
    assert here(*verbs, "--replay", "9")[0] == 0
    assert here("show", small_disk / "run")[0] == 0


# The user's own file.

HEAD = "import pyarrow as pa\nimport stillroom\nfrom worlds import Sums\n"
WORLD = "class Mine(Sums):\n    name = 'mine'\n"
CALL = "stillroom.run({what}, out={out!r}, count=9, workers=2)\n"

BAD_FILES = {
    "a syntax error": (HEAD + "class Mine(:\n", "", ["syntax error", "mine.py, line 4"]),
    "bad bytes": ("x = '\udcff'\n", "", ["mine.py"]),
    "an exception at import": (HEAD + WORLD + "1 / 0\n", "", ["ZeroDivisionError", "line 6"]),
    "an exit at import": (HEAD + WORLD + "raise SystemExit(5)\n", "", ["mine.py", "5"]),
    "a missing module": ("import nowhere_at_all\n", "", ["nowhere_at_all", "mine.py, line 1"]),
    "no world": ("x = 3\n", "", ["no World is defined there", "mine.py"]),
    "two worlds": (
        HEAD + WORLD + WORLD.replace("Mine", "Other"),
        "",
        ["several worlds", "Mine", "Other", "FILE.py:Mine"],
    ),
    "no such class": (HEAD + WORLD, ":Mien", ["no class Mien", "Mine"]),
    "not a world": (HEAD + WORLD + "class Other: pass\n", ":Other", ["Other is not a World"]),
    "no schema": (
        "import stillroom\nclass Mine(stillroom.World):\n    name = 'mine'\n",
        "",
        ["Mine has no", "schema"],
    ),
    "no plan": (
        HEAD + "class Mine(stillroom.World):\n    name, schema = 'mine', Sums.schema\n",
        "",
        ["Mine has no", "plan()"],
    ),
    "a run at import": (
        HEAD + WORLD + CALL.format(what="Mine()", out="inner"),
        "",
        ["starts a run while it is being imported", "mine.py", '__name__ == "__main__"'],
    ),
    "a run of itself at import": (
        HEAD + WORLD + CALL.format(what="__file__", out="inner"),
        "",
        ["starts a run while it is being imported", "mine.py"],
    ),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_bad_world_file_is_told_in_words(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, cls, words = BAD_FILES[fault]
    (tmp_path / "mine.py").write_text(text, errors="surrogateescape")
    code, _, err = here("run", f"mine.py{cls}", "--out", "run", "--workers", "0")
    assert code == 2, err
    assert all(word in err for word in words), err
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["mine.py"]


@pytest.mark.parametrize("call", ["Mine()", "__file__"])
def test_an_unguarded_file_never_hangs(call: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(HEAD + WORLD + CALL.format(what=call, out="inner"))
    env = {**os.environ, "PYTHONPATH": str(FILE.parent)}
    where = {"cwd": tmp_path, "env": env}
    code, _, err = shell("run", "mine.py", "--count", "9", "--workers", "2", "--out", "o", **where)
    assert code == 2
    assert "starts a run while it is being imported" in err
    assert "Traceback" not in err
    assert not (tmp_path / "o").exists()
    done = subprocess.run(
        [sys.executable, "mine.py"], capture_output=True, text=True, timeout=60, **where
    )
    if call == "Mine()":
        assert done.returncode == 0, done.stderr
        assert len(stillroom.open(tmp_path / "inner")) == 9
        again = subprocess.run([sys.executable, "mine.py"], timeout=60, **where)
        assert again.returncode == 0
    else:
        assert "starts a run while it is being imported" in done.stderr
        assert not (tmp_path / "inner").exists()


# Ctrl-C.


def start(
    out: Path, workers: int, event: str = "shard", pause: float = 0.06
) -> "subprocess.Popen[str]":
    """A slow run in a process group of its own, once it has told of the event."""
    words = command(*words_of(out), "--workers", workers)
    env = {**os.environ, "SUMS_PAUSE": str(pause)}
    process = subprocess.Popen(
        words, env=env, text=True, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 30
    events = out / "events.jsonl"
    while not events.exists() or f'"{event}"' not in events.read_text():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    workers: int, calm: Result, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start(out, workers)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped cleanly" in err
    assert re.search(r"after shard \d", err)
    assert "run the same command to go on" in err
    assert "Traceback" not in err
    assert living(group=process.pid) == []
    assert not (out / "make" / "manifest.json").exists()
    kept = (out / "make" / "g000" / "00000.parquet").stat().st_mtime_ns
    code, words, err = here(*words_of(out))
    assert code == 0, err
    assert root_in(words) == calm.root
    assert (out / "make" / "g000" / "00000.parquet").stat().st_mtime_ns == kept
    assert verify(out, root=calm.root, trust_code=True).ok


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_before_the_first_shard(workers: int, calm: Result, tmp_path: Path) -> None:
    process = start(tmp_path / "run", workers, event="begin", pause=1)
    time.sleep(0.7)  # workers start, task 0 is tried
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same command to go on" in err
    assert "Traceback" not in err, err
    assert living(group=process.pid) == []
    assert root_in(here(*words_of(tmp_path / "run"))[1]) == calm.root


# What was asked of another verb.


@pytest.mark.parametrize("verb", ["show", "verify", "view"])
def test_a_verb_on_what_is_no_run(verb: str, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        code, _, err = here(verb, folder)
        assert code == 2
        assert "no run is there" in err
        assert str(folder) in err
    assert list(tmp_path.iterdir()) == []


def test_a_verb_on_an_unfinished_run(tmp_path: Path) -> None:
    with pytest.raises(Stopped) as stop:
        make(tmp_path / "run", how="raises")
    assert stop.value.code == 4
    for verb in ("show", "view"):
        code, _, err = here(verb, tmp_path / "run")
        assert code == 2
        assert "not finished" in err
