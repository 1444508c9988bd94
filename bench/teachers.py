"""Figures of teachers: asking a server beside three rivals, its bad weather, kills, memory; what a
wrong teacher gets past the checks; the sandbox.

Rivals run where their environments are (bench/rivals/venvs.py builds them; `--rivals FOLDER`, by
default .venvs); without them those figures are null. `--quick` ends in a minute.
"""

import asyncio
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import Figure, apart, command_line

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
IN_FLIGHT = 256
QUICK = ("power.sample=0", "audit.run=false")
RIVALS = {
    "curator": "with_curator.py",
    "data_designer": "with_data_designer.py",
    "distilabel": "with_distilabel.py",
}


def _endpoint(url: str, **settings: Any) -> Any:
    from stillroom.teachers.endpoint import Endpoint
    from stillroom.teachers.settings import Settings

    table = {
        "url": url,
        "model": "m",
        "in_flight": IN_FLIGHT,
        "params": {"max_tokens": 64, "temperature": 0},
    }
    return Endpoint(Settings.model_validate(table | settings))


def asked(url: str, count: int, out: str) -> dict[str, Any]:
    """A whole run of `count` prompts: ledger, limits, parsing, records, checks."""
    from worlds import Asked

    import stillroom

    teacher = _endpoint(url)
    wall, cpu = time.monotonic(), time.process_time()
    run = stillroom.run(Asked(), count=count, out=out, workers=0, teacher=teacher, settings=QUICK)
    return {
        "wall": time.monotonic() - wall,
        "cpu": time.process_time() - cpu,
        "records": run.counts["dataset"],
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "root": run.root,
    }


def speed(count: int, rounds: int, environments: str) -> dict[str, Any]:
    """Ours and the rivals' in turns against one server; of each the best round.

    As the rivals' scripts do, what a run of two prompts takes is taken off.
    """
    from endpoint_server import Server

    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        with Server() as server, tempfile.TemporaryDirectory() as folder:
            asked(server.url, 2, f"{folder}/warm")
            few = asked(server.url, 2, f"{folder}/few")
            server.control(reset=True)
            many = asked(server.url, count + 2, f"{folder}/many")
            peak = server.stats()["peak_in_flight"]
            ours = _rate(count, many["wall"] - few["wall"], many["cpu"] - few["cpu"])
            _keep(best, "stillroom", ours | {"peak": peak})
            for name, script in RIVALS.items():
                python = Path(environments).resolve() / name / "bin" / "python"
                if not python.exists():
                    continue
                server.control(reset=True)
                command = [str(python), str(HERE / "rivals" / script), "--url", server.url,
                           "--prompts", str(count), "--in-flight", str(IN_FLIGHT)]  # fmt: skip
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                try:
                    said = json.loads(done.stdout.strip().splitlines()[-1])
                except (IndexError, ValueError):
                    print(f"{name} failed: {done.stderr[-500:]}", file=sys.stderr)
                    continue
                theirs = _rate(said["answered"], said["wall_s"], said["cpu_s"])
                _keep(best, name, theirs | {"peak": server.stats()["peak_in_flight"]})
    print(json.dumps(best, indent=1), file=sys.stderr)
    return best


def _rate(count: int, wall: float, cpu: float) -> dict[str, float]:
    return {"per_s": count / wall, "cpu_ms": 1000 * cpu / count}


def _keep(best: dict[str, dict[str, float]], name: str, one: dict[str, float]) -> None:
    known = best.setdefault(name, dict(one))
    known["per_s"] = max(known["per_s"], one["per_s"])
    known["cpu_ms"] = min(known["cpu_ms"], one["cpu_ms"])
    known["peak"] = max(known["peak"], one["peak"])


def weather(admitted: int, seconds: int) -> dict[str, Any]:
    """A server that admits so many a second and refuses the rest with a 429."""
    from endpoint_server import Server

    from stillroom.ledger import Ledger, TaskTeacher

    warm, count = 5, admitted * seconds

    async def ask(url: str, folder: str, server: Any) -> dict[str, Any]:
        teacher, ledger = _endpoint(url), Ledger(Path(folder) / "ledger.sqlite")
        seen: list[tuple[float, dict[str, int]]] = []

        async def watch() -> None:
            for pause in (warm, seconds - warm - 3):  # while there is enough to ask
                await asyncio.sleep(pause)
                stats = await asyncio.to_thread(server.stats)
                seen.append((time.monotonic(), stats["by_status"]))

        watching = asyncio.create_task(watch())
        tasks = (
            TaskTeacher(ledger, teacher.model, str(i), teacher).ask(
                [{"role": "user", "content": f"Question {i}"}]
            )
            for i in range(count)
        )
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await watching
        await teacher.close()
        ledger.close()
        (begin, before), (end, after) = seen
        good = after["200"] - before["200"]
        refused = after.get("429", 0) - before.get("429", 0)
        return {
            "goodput": good / (end - begin) / admitted,
            "refused": refused / (good + refused),
            "failed": sum(isinstance(answer, BaseException) for answer in answers),
            "count": count,
        }

    with Server(admit_per_s=admitted) as server, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(ask(server.url, folder, server))


def kills(times: int, count: int) -> dict[str, Any]:
    """kill -9 at random moments, the same command again, until the run is done."""
    from endpoint_server import Server

    import stillroom

    chance, worst, killed = random.Random(4), 0, 0
    lost = doubled = 0
    with Server(latency_ms=50) as server, tempfile.TemporaryDirectory() as folder:
        root = asked(server.url, count, f"{folder}/whole")["root"]
        number = 0
        while killed < times:
            number += 1
            out = f"{folder}/{number}"
            server.control(reset=True)
            again, done = 0, False
            while not done:
                arguments = json.dumps([server.url, count, out])
                command = [sys.executable, __file__, "--part", "asked", arguments]
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
                try:
                    if killed < times:
                        process.wait(chance.uniform(0.6, 2.5))
                    else:
                        process.wait()
                    done = process.returncode == 0
                except subprocess.TimeoutExpired:
                    os.kill(process.pid, signal.SIGKILL)
                    process.wait()
                    killed += 1
                    sent = server.stats(full=True)["answers"].values()
                    worst = max(worst, sum(n - 1 for n in sent) - again)
                    again = sum(n - 1 for n in sent)
            sent = server.stats(full=True)["answers"].values()
            worst = max(worst, sum(n - 1 for n in sent) - again)
            records = list(stillroom.open(out))
            lost += count - len(records)
            doubled += len(records) - len({record.data["question"] for record in records})
            lost += stillroom.pipeline.result(Path(out)).root != root
    return {"lost": lost, "doubled": doubled, "resent": worst, "kills": killed}


def memory(count: int) -> dict[str, Any]:
    """The largest resident size of a process that asks `count` prompts."""
    from endpoint_server import Server

    with Server(latency_ms=5) as server, tempfile.TemporaryDirectory() as folder:
        return asked(server.url, count, f"{folder}/run")


def wrong_teacher(count: int) -> dict[str, Any]:
    """Lessons of a teacher with a slip in 30 % of them, recorded first, then judged again from
    the record: what was kept, by what the teacher knows of each.
    """
    from lesson_teacher import LessonTeacher

    import stillroom
    from stillroom import dataset
    from stillroom.worlds.lessons.written import Written

    world = Written(passes=("draft",))
    teacher = LessonTeacher(world, 2 * count)
    with tempfile.TemporaryDirectory() as folder:
        live = stillroom.run(
            world, count=count, out=f"{folder}/live", workers=2, teacher=teacher, settings=QUICK
        )
        recorded = (
            f'teacher.ledger="{folder}/live/ledger.sqlite"', f'teacher.model="{teacher.model}"',
        )  # fmt: skip
        run = stillroom.run(
            world, count=count, out=f"{folder}/again", workers=2, settings=(*QUICK, *recorded)
        )
        numbers = {
            "same": run.root == live.root,
            "kept_wrong": 0,
            "kept": 0,
            "wrong": 0,
            "right": 0,
        }
        for one in (*dataset.open(run.folder), *dataset.rest(run.folder)):
            slip = teacher.slip(one.task_json)
            numbers["wrong" if slip else "right"] += 1
            numbers["kept"] += one.verdict.ok and not slip
            numbers["kept_wrong"] += bool(one.verdict.ok and slip)
    return numbers


def sandbox() -> dict[str, Any]:
    """Attacks and times of the sandbox, level by level."""
    from boxes import measure_sandbox

    return measure_sandbox()


PARTS = {
    "asked": asked,
    "speed": speed,
    "weather": weather,
    "kills": kills,
    "memory": memory,
    "wrong_teacher": wrong_teacher,
    "sandbox": sandbox,
}


def measure(quick: bool) -> list[Figure]:
    """All figures."""
    count = 300 if quick else 2000
    environments = os.environ.get("RIVALS", str(HERE.parent / ".venvs"))
    fast = apart(__file__, "speed", count, 1 if quick else 4, environments)
    ours = fast.pop("stillroom")
    first = max(fast, key=lambda name: fast[name]["per_s"], default="")
    cheapest = min(fast, key=lambda name: fast[name]["cpu_ms"], default="")
    limited = apart(__file__, "weather", 50, 12 if quick else 30)
    killed = apart(__file__, "kills", 2 if quick else 20, 400 if quick else 3000)
    small = apart(__file__, "memory", 1000 if quick else 10_000)
    large = apart(__file__, "memory", 3000 if quick else 200_000)
    taught = apart(__file__, "wrong_teacher", 80 if quick else 2000)
    boxed = apart(__file__, "sandbox")
    return [
        Figure("prompts answered and kept", ours["per_s"], "1/s", ">= 800", count),
        Figure("CPU per prompt", ours["cpu_ms"], "ms", "<= 0.6", count),
        Figure(
            f"prompts a second against the fastest rival ({first or 'none here'})",
            ours["per_s"] / fast[first]["per_s"] if first else None, "times", ">= 5", count,
            fast[first]["per_s"] if first else None,
        ),
        Figure(
            f"CPU of the cheapest rival ({cheapest or 'none here'}) against ours (no target)",
            fast[cheapest]["cpu_ms"] / ours["cpu_ms"] if cheapest else None, "times", "", count,
            fast[cheapest]["cpu_ms"] if cheapest else None,
        ),
        Figure("peak in flight seen by the server", ours["peak"], "", ">= 256", count),
        Figure(
            "server that admits 50/s: goodput after warm-up",
            100 * limited["goodput"], "%", ">= 95", limited["count"],
        ),
        Figure(
            "the same: share of 429 after warm-up",
            100 * limited["refused"], "%", "<= 5", limited["count"],
        ),
        Figure("the same: failed records", limited["failed"], "", "<= 0", limited["count"]),
        Figure(
            "kill -9: records lost, or another root", killed["lost"], "", "<= 0", killed["kills"]
        ),
        Figure("kill -9: records doubled", killed["doubled"], "", "<= 0", killed["kills"]),
        Figure(
            "kill -9: most requests sent again after one",
            killed["resent"], "", f"<= {IN_FLIGHT}", killed["kills"],
        ),
        Figure(
            f"resident memory, {large['records']:,} against {small['records']:,} prompts",
            large["megabytes"] - small["megabytes"], "MB", "<= 50", large["records"],
            small["megabytes"],
        ),
        Figure(
            "wrong lessons of a teacher wrong in 30 % that were kept",
            100 * taught["kept_wrong"] / taught["wrong"], "%", "<= 0.5", taught["wrong"],
        ),
        Figure(
            "its right lessons that were kept",
            100 * taught["kept"] / taught["right"], "%", ">= 95", taught["right"],
        ),
        *_sandboxed(boxed),
    ]  # fmt: skip


def _middle(times: list[float] | None) -> float | None:
    return sorted(times)[len(times) // 2] if times else None


def _sandboxed(levels: dict[str, Any]) -> list[Figure]:
    figures = []
    for level in ("default", "strong"):
        one = levels.get(level) or {}
        figures += [
            Figure(
                f"sandbox, {level}: attacks contained",
                len(one["contained"]) if one else None, "", ">= 12", 12,
            ),
            Figure(
                f"sandbox, {level}: a job alone", _middle(one.get("cold_ms")), "ms", "<= 60", 20
            ),
            Figure(
                f"sandbox, {level}: a job of a batch", _middle(one.get("batch_ms")), "ms", "<= 2",
                200,
            ),
        ]  # fmt: skip
    return figures


if __name__ == "__main__":
    command_line("teachers", __doc__, PARTS, measure)
