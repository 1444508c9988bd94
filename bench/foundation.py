"""Figures of the foundation: speed, checker power, overhead, start. `--quick` ends in a minute.

Each measurement runs in a process of its own; CPU-seconds are that process's.
"""

import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from figures import Figure, apart, command_line

BENCH = Path(__file__).parent
BARE = ("power.sample=0", "audit.run=false")
HEAVY = ("pydantic", "numpy", "pyarrow", "rich", "torch", "sympy")


def cpu_of_run(what: str, count: int, times: int, *settings: str) -> dict[str, float]:
    """CPU-seconds and peak memory (MB) of this process for a whole run: the least of some.

    On a shared machine other people's work can only add to a run's time.
    """
    import stillroom.pipeline
    import stillroom.shard

    with tempfile.TemporaryDirectory() as folder:
        warm = (*settings, *BARE)
        stillroom.run(what, count=8, out=f"{folder}/warm", workers=0, settings=warm)
        cpu = []
        for turn in range(times):
            began = time.process_time()
            stillroom.run(what, count=count, out=f"{folder}/{turn}", workers=0, settings=warm)
            cpu.append(time.process_time() - began)
            shutil.rmtree(f"{folder}/{turn}")
    return {"cpu": min(cpu), "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def power_of_lessons(spoils: int, records: int) -> dict[str, Any]:
    """The world's own spoils and all of the core's leaf faults on kept lessons."""
    import stillroom
    from stillroom import power
    from stillroom.checker import Checker
    from stillroom.worlds.lessons import Lessons

    with tempfile.TemporaryDirectory() as folder:
        result = stillroom.run("lessons", count=records, out=folder, workers=0, settings=BARE)
        world, kept = Lessons(), list(result.dataset)
        check = Checker(world, Path(folder), "")
        return power.measure(world, kept, check, spoils=-(-spoils // records), leaves=60)


def second_reader(lessons: int) -> dict[str, Any]:
    """What a reader written by another hand says of the same lessons, and how good its eyes are."""
    from reread import plant_digit, reread

    import stillroom
    from stillroom import dataset
    from stillroom.worlds.lessons import Lessons

    with tempfile.TemporaryDirectory() as folder:
        result = stillroom.run("lessons", count=lessons, out=folder, workers=2, settings=BARE)
        records = list(result.dataset)
        refused = [r.data["text"] for r in dataset.rest(Path(folder)) if r.data]
    # A digit is edited, and our own checker, not the second reader, says that a formula is wrong.
    chance, world = random.Random(1), Lessons()
    edited = [(r, plant_digit(r.data["text"], chance)) for r in records[:1500]]
    planted = [text for r, text in edited if text and _wrong_formula(world, r, text)]
    readings = [reread(record.data["text"]) for record in records]
    return {
        "equations": sum(reading.equations for reading in readings),
        "wrong": sum(len(reading.wrong) + len(reading.unreadable) for reading in readings),
        "refused": len(refused),
        "refused_right": sum(reread(text).ok for text in refused),
        "planted": len(planted),
        "found": sum(not reread(text).ok for text in planted),
    }


def _wrong_formula(world: Any, record: Any, text: str) -> bool:
    try:
        data = world.read(record.task, text)
    except ValueError:
        return False
    checks = world.check(record.task, data, None).checks
    return any(check.name == "formulas" and not check.ok for check in checks)


def start() -> dict[str, float]:
    """`--help`: CPU and heavy imports; and the time until the first shard of a 2-worker run."""
    probe = (
        "import resource, sys; sys.argv = ['stillroom', '--help']\n"
        "from stillroom.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(f'\\nPROBE {len(heavy)} {used.ru_utime + used.ru_stime}')"
    )
    runs = []
    for _ in range(5):
        out = subprocess.run(
            [sys.executable, "-c", probe], capture_output=True, text=True, check=True
        )
        _, heavy, cpu = out.stdout.rsplit("\n", 2)[-2].split()
        runs.append((float(cpu), int(heavy)))
    firsts = [_first_record() for _ in range(5)]
    return {"help_cpu": min(runs)[0], "heavy": max(runs)[1], "first": sorted(firsts)[2]}


def _first_record() -> float:
    """Seconds from the start of the command to the first shard on disk."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        command = "from stillroom.cli import main; main()"
        arguments = [
            "run",
            "lessons",
            "--count",
            "2000",
            "--workers",
            "2",
            "--out",
            f"{folder}/run",
        ]
        process = subprocess.Popen(
            [sys.executable, "-c", command, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        make = Path(folder, "run", "make", "g000")
        while not any(make.glob("[0-9]*.parquet")) and process.poll() is None:
            time.sleep(0.01)
        first = time.monotonic() - began
        process.terminate()
        process.wait()
    return first


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "cpu_of_run": cpu_of_run,
    "power_of_lessons": power_of_lessons,
    "second_reader": second_reader,
    "start": start,
}


def measure(quick: bool) -> list[Figure]:
    n = 400 if quick else 3000
    mix = apart(__file__, "cpu_of_run", "lessons", n, 2 if quick else 6)
    linear = apart(
        __file__, "cpu_of_run", "lessons", n // 2, 3, 'world.concepts=["linear_equations"]'
    )
    spoils = 300 if quick else 5000
    power = apart(__file__, "power_of_lessons", spoils, spoils // 20)
    lessons = 500 if quick else 10_000
    reader = apart(__file__, "second_reader", lessons)
    free, small, large = str(BENCH / "free_world.py"), 10_000, 50_000 if quick else 1_000_000
    little, much = (
        apart(__file__, "cpu_of_run", free, small, 3),
        apart(__file__, "cpu_of_run", free, large, 1),
    )
    began = apart(__file__, "start")
    own, core = power["own"], power["core"]
    rate = (large / much["cpu"]) / (small / little["cpu"])
    tried = lessons + reader["refused"]
    return [
        Figure("lessons made and checked, all concepts", n / mix["cpu"], "1/CPU-s", ">= 200", n),
        Figure("linear equations alone", n // 2 / linear["cpu"], "1/CPU-s", ">= 100", n // 2),
        Figure("own spoils noticed", 100 * own["power"], "%", ">= 99.5", own["planted"]),
        Figure("core's leaf faults noticed", 100 * core["power"], "%", ">= 95", core["planted"]),
        Figure("unchecked fields", power["unchecked"], "", "see docs/lessons.md", core["planted"]),
        Figure(
            "refused although right by the second reader",
            100 * reader["refused_right"] / tried, "%", "<= 0.1", tried,
        ),
        Figure(
            "wrong equations found by the second reader",
            reader["wrong"], "", "<= 0", reader["equations"],
        ),
        Figure(
            "planted wrong equations that the second reader finds",
            100 * reader["found"] / reader["planted"], "%", ">= 99", reader["planted"],
        ),
        Figure("engine and store overhead", 1e6 * much["cpu"] / large, "µs/record", "<= 40", large),
        Figure(f"records/s at {large} against {small}", rate, "ratio", ">= 0.9", large),
        Figure("growth of resident memory", much["rss"] - little["rss"], "MB", "<= 100", large),
        Figure("stillroom --help: heavy imports", began["heavy"], "", "<= 0", 5),
        Figure("stillroom --help: CPU", 1000 * began["help_cpu"], "ms", "<= 100", 5),
        Figure("2-worker run: first record after", began["first"], "s", "<= 2", 5),
    ]  # fmt: skip


if __name__ == "__main__":
    command_line("foundation", __doc__, PARTS, measure)
