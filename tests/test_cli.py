"""The command line as a person uses it: every verb, `--json`, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from stillroom.cli import main; main()"]
HEAVY = ("pydantic", "numpy", "pyarrow", "rich", "torch", "sympy", "altair", "vl_convert")


def call(*words: object, code: int = 0, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, cwd=cwd, timeout=120
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a world as `stillroom new` writes it, and a run of it."""
    folder = tmp_path_factory.mktemp("home")
    call("new", "rome", cwd=folder)
    call("run", "rome.py", "--count", 70, cwd=folder)
    return folder


def test_help_imports_nothing_heavy() -> None:
    probe = (
        "import sys; sys.argv = ['stillroom', '--help']\n"
        "from stillroom.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"
    for verb in (
        "run",
        "check",
        "show",
        "view",
        "verify",
        "export",
        "mix",
        "worlds",
        "new",
        "demo",
    ):
        assert f"\n  {verb} " in out.stdout


def test_a_new_world_is_short_and_passes_its_test(home: Path) -> None:
    assert len((home / "rome.py").read_text().splitlines()) <= 30
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_rome.py"],
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert "1 passed" in done.stdout, done.stdout
    assert "there already" in call("new", "rome", cwd=home, code=2)
    assert "can't name a world" in call("new", "Big-World", cwd=home, code=2)


def test_run_shows_three_and_the_numbers(home: Path) -> None:
    out = call("run", "rome.py", "--count", 70, cwd=home)
    assert [f"── kept {n} " in out for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert "the dataset is the first 70 of them" in out
    assert "Checker power: own faults" in out


def test_show_json_is_one_object(home: Path) -> None:
    one = json.loads(call("show", "runs/rome", "--json", cwd=home))
    assert {"kept", "refused", "failed", "root", "power"} <= set(one)
    assert one["records"] == 70
    assert one["root"] in call("show", "runs/rome", cwd=home)


def test_show_one_record(home: Path) -> None:
    whole = json.loads((home / "runs/rome/make/g000/manifest.json").read_text())
    assert whole["counts"]["dataset"] == 70
    record = first_id(home)
    row = json.loads(call("show", "runs/rome", record[:10], "--json", cwd=home))
    assert row["id"] == record
    assert row["data"] == {"number": 1, "roman": "I"}
    assert "1 = I" in call("show", "runs/rome", record, "--trust-code", cwd=home)
    assert "no record has the id" in call("show", "runs/rome", "zzz", cwd=home, code=2)


def first_id(home: Path) -> str:
    import stillroom

    return next(iter(stillroom.open(home / "runs/rome"))).id


def test_verify_and_its_root(home: Path) -> None:
    said = json.loads(call("verify", "runs/rome", "--trust-code", "--json", cwd=home))
    assert said["ok"]
    assert said["checked"] >= 70
    assert "--trust-code" in call("verify", "runs/rome", cwd=home)
    call("verify", "runs/rome", "--root", said["root"], cwd=home)
    assert "as you were told" in call("verify", "runs/rome", "--root", "00", cwd=home, code=3)


def test_view_writes_the_page(home: Path) -> None:
    page = Path(home, call("view", "runs/rome", "--trust-code", cwd=home).strip()).read_text()
    assert "the dataset is the first 70 of them" in page
    assert "All 70 records kept" in page
    assert 'http-equiv="Content-Security-Policy"' in page


def test_export_from_the_command_line(home: Path) -> None:
    folder = home / call("export", "runs/rome", "--to", "text", "--trust-code", cwd=home).strip()
    rows = [json.loads(line) for part in folder.glob("*/*.jsonl") for line in part.open()]
    assert len(rows) == 70
    assert {"text", "origin", "id"} <= set(rows[0])


def test_preview_keeps_nothing(home: Path) -> None:
    before = sorted((home / "runs").iterdir())
    out = call("run", "rome.py", "--preview", 2, "--seed", 5, cwd=home)
    assert "── kept 2 " in out
    assert sorted((home / "runs").iterdir()) == before


def test_unknown_words_are_the_users_mistake(home: Path) -> None:
    call("rnu", code=2)
    call("run", code=2)
    call("run", "rome.py", "--count", "0", cwd=home, code=2)
    assert "no run is there" in call("show", "nowhere", cwd=home, code=2)
