"""A recipe's stages in order: the public `run`."""

import asyncio
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stillroom import files, fold, minutes, recipe, store, worlds
from stillroom.dataset import Dataset
from stillroom.dataset import open as open_dataset
from stillroom.engines.local import Local, WorkerBug
from stillroom.errors import Stopped, UserError
from stillroom.estimate import estimate
from stillroom.fold import Watch
from stillroom.ledger import bring_ledger, named, recorded
from stillroom.parts import generation_folders
from stillroom.plan import Plan, shortened
from stillroom.recipe import Recipe
from stillroom.repair import set_damaged_aside
from stillroom.stages.distill import distill
from stillroom.stages.guard import guard_run
from stillroom.stages.mix import mix
from stillroom.stages.quotas import read_quotas
from stillroom.store import Run
from stillroom.teachers import open_teacher
from stillroom.teachers.endpoint import Endpoint
from stillroom.teachers.probe import probe
from stillroom.teachers.probe import words as probe_words
from stillroom.teachers.settings import Settings
from stillroom.world import Teacher, World


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, counts, Merkle root, the checker's power and the findings."""

    folder: Path
    root: str
    counts: dict[str, int]
    power: dict[str, Any] = field(repr=False)
    findings: list[dict[str, Any]] = field(repr=False)

    @property
    def dataset(self) -> Dataset:
        return open_dataset(self.folder)


def run(
    what: str | Path | World,
    *,
    out: str | Path | None = None,
    count: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    settings: Sequence[str] = (),
    teacher: Teacher | None = None,
    repair: bool = False,
    stages: bool = True,
    fill: str | Path | None = None,
    watch: Watch | None = None,
) -> Result:
    """Run a recipe, or go on with its run; when all is there already, nothing is done.

    what      a World, a world's name, FILE.py[:Class], package.module:Class, or a recipe.toml
    out       the run folder; runs/NAME by default
    count     records to keep (a generation, where there are several)
    workers   worker processes; 0 or 1 stay in this process. Never changes the result
    settings  "world.levels=[1, 2]": any key of the recipe
    teacher   what an async `make` asks: an object with `model` and `async def ask(messages)`
    repair    make damaged shards anew
    stages    whether what the recipe says of [mix], [distill] and [guard] follows
    fill      the quotas.json of a mix: only records of these groups are made, into a run of its own

    Raises UserError for a mistake in what was asked, Stopped when the run ended early (it can go
    on). Ctrl-C leaves a run that can go on.
    """
    if worlds.loading():
        raise UserError(
            "this file starts a run while it is being imported",
            worlds.loading(),
            'put the call under `if __name__ == "__main__":`',
        )
    watch = watch or Watch()
    raw, where, folder = _raw(what)
    recipe.assign(raw, tuple(settings))
    recipe.place(raw, folder)
    if fill is not None:
        what = _filled(raw, what, Path(fill))
    if teacher is not None or "teacher" in raw:
        _taught(raw)
    given = {"count": count, "seed": seed}
    raw |= {key: value for key, value in given.items() if value is not None}
    if workers is not None and isinstance(raw.setdefault("make", {}), dict):
        raw["make"]["workers"] = workers
    if isinstance(what, World):
        if any(setting.startswith("world.") for setting in settings):
            raise UserError(
                "a world made in Python can't be set", do="give its fields to its class"
            )
        settled, spec, world = recipe.settle(raw, where, folder, what)
    else:
        settled, spec, world = recipe.settle(raw, where, folder)
    if teacher is not None:
        named(teacher)
    elif settled.teacher is not None:
        teacher = open_teacher(settled.teacher)
    target = Path(out) if out is not None else Path("runs") / settled.name
    with Run(target) as opened:
        made = asyncio.run(_run(opened, settled, spec, world, teacher, repair, watch))
    if stages and settled.mix is not None:
        mix(target, trust_code=True, watch=watch)
    if stages and settled.distill is not None:
        distill(target, workers=settled.make.workers, trust_code=True, watch=watch)
    if stages:
        guard_run(target, settled.guard, watch)
    return made


def _taught(raw: dict[str, Any]) -> None:
    """With a teacher, a world of ours may have another that is written by it."""
    world = raw.get("world")
    if isinstance(world, dict) and world.get("use") in worlds.TAUGHT:
        world["use"] = worlds.TAUGHT[world["use"]]
        raw["name"] = f"{raw['name']}-by-model"


def _filled(raw: dict[str, Any], what: str | Path | World, quotas: Path) -> str | Path | World:
    """Ask for what a quota file says is missing: the world's field `only`, and as many records.

    A plan gives the values of a tag their turns, so that the largest quota decides for all.
    """
    wishes, count = read_quotas(quotas)
    raw["name"] = f"{raw['name']}-fill"
    raw["count"] = count
    raw.pop("mix", None)
    if isinstance(raw.get("world"), dict):
        raw["world"]["only"] = wishes.model_dump()
    return what.model_copy(update={"only": wishes}) if isinstance(what, World) else what


def _raw(what: str | Path | World) -> tuple[dict[str, Any], str, Path]:
    """The recipe's raw tables, what to call them in an error, and the folder of relative paths."""
    if isinstance(what, World):
        config = what.model_dump(mode="json", exclude_none=True)
        raw = {"name": type(what).name, "world": {"use": type(what).name, **config}}
        return raw, "the arguments of run()", Path()
    text = str(what)
    if text.endswith(".toml"):
        return recipe.from_file(Path(text)), text, Path(text).parent
    name = Path(text.partition(":")[0]).stem if ".py" in text else text.rpartition(":")[2]
    return {"name": name, "world": {"use": text}}, "the command line", Path()


async def _run(
    run: Run,
    settled: Recipe,
    spec: worlds.Spec,
    world: World,
    teacher: Teacher | None,
    repair: bool,
    watch: Watch,
) -> Result:
    model = teacher.model if teacher else ""
    parts = recipe.identity(settled, spec, world, model)
    identity = store.identity_hash(parts)
    known = files.read_json(run.folder / "run.json", "parts", "identity")
    whole = _whole(run, repair)
    _same_recipe(run, known, parts)
    _not_smaller(run, whole, settled.count, world.generations)
    world, left = minutes.left(run.folder, known, world, settled.make.minutes)
    spec = _settle_folder(run, settled, spec, world, None if known else parts)
    workers = settled.make.workers
    if spec.here and workers > 1:
        watch.say("the world is defined in __main__: it runs in this process alone")
        workers = 0
    plan = Plan(
        world=world,
        spec=spec.json(),
        config=world.model_dump(mode="json"),
        seed=settled.seed,
        count=settled.count,
        identity=identity,
        teacher=teacher,
        minutes=left,
    )
    if repair:
        damaged = set_damaged_aside(run, type(world).private)
        watch.say(
            f"{len(damaged)} damaged: {', '.join(damaged)}" if damaged else "nothing is damaged"
        )
    elif whole is not None and _complete(run, whole, plan, settled):
        return result(run.folder)
    if settled.teacher is not None:
        await _prepare(run, settled.teacher, teacher, plan, watch)
    run.event("begin", workers=workers, count=settled.count)
    began = time.monotonic()
    try:
        ready = ("stillroom.shard:ready", {"spec": plan.spec, "config": plan.config})
        async with Local(workers if workers > 1 else 0, ready) as engine:
            made = await fold.fold(plan, run, engine, watch)
            plan = shortened(plan, len(made["generations"]))
            audit = {
                "root": made["root"],
                "asked": _asked(settled),
                "findings": await fold.audit(plan, run, engine) if settled.audit.run else [],
                "power": await fold.power(plan, run, engine, settled.power.sample),
            }
    except (Stopped, asyncio.CancelledError) as early:
        run.event("stopped", why=type(early).__name__)
        raise
    except Exception as bug:
        if not isinstance(bug, (UserError, OSError)):
            bug.add_note(f"traceback: {_keep_traceback(run, bug)}")
        raise
    finally:
        if teacher is not None:
            await _let_go(teacher)
    if repair and whole is not None and whole["root"] != made["root"]:
        raise Stopped(
            "the repaired run has another root than before",
            run.folder,
            f"before {whole['root']}, now {made['root']}: was it made by other versions or edited?",
        )
    files.write_json(run.folder / "audit.json", files.seal(audit))
    run.event("done", root=made["root"], seconds=round(time.monotonic() - began, 3))
    return result(run.folder)


async def _prepare(run: Run, settings: Settings, teacher: Any, plan: Plan, watch: Watch) -> None:
    """Before a teacher is asked: what is paid already, what more it will take, what it honours."""
    ledger = run.folder / "ledger.sqlite"
    begun = ledger.exists()
    if settings.ledger:
        bring_ledger(ledger, Path(settings.ledger))
    paid = recorded(ledger)
    if not isinstance(teacher, Endpoint):
        return
    for one in paid:
        teacher.budget.paid(one.prompt_tokens + one.completion_tokens, one.cost)
    answers = sum(one.answers for one in paid)
    watch.before(await estimate(plan.world, settings, plan.count, plan.seed, answers))
    if not begun:
        honours = await probe(teacher)
        run.event("teacher", model=teacher.model, url=settings.url, honours=honours)
        watch.say(probe_words(honours))


async def _let_go(teacher: Any) -> None:
    """Close a teacher's connections; one without any has no `close`."""
    if hasattr(teacher, "close"):
        await teacher.close()


def _keep_traceback(run: Run, bug: Exception) -> Path:
    log = run.private / "tracebacks" / "bug.txt"
    log.parent.mkdir(exist_ok=True, mode=0o700)
    text = str(bug) if isinstance(bug, WorkerBug) else "".join(traceback.format_exception(bug))
    log.write_text(text)
    return log


def _whole(run: Run, repair: bool) -> dict[str, Any] | None:
    """The manifest of the whole; one that is broken is for `repair` to set aside."""
    path = run.folder / "make" / "manifest.json"
    try:
        return files.read_json(path, "counts", "generations", "root", "plan_ended")
    except UserError:
        if not repair:
            raise
        return None


def _asked(settled: Recipe) -> dict[str, int]:
    """How much an audit and a measure of the checker's power are to look at."""
    return {"audit": int(settled.audit.run), "power": settled.power.sample}


def _complete(run: Run, whole: dict[str, Any], plan: Plan, settled: Recipe) -> bool:
    """Whether the run holds already what is asked for, its audit included."""
    generations, counts = len(whole["generations"]), whole["counts"]
    audit = files.read_json(run.folder / "audit.json")
    if audit is None or audit.get("root") != whole["root"]:
        return False
    known = audit.get("asked", {})
    if any(known.get(name, most) < most for name, most in _asked(settled).items()):
        return False  # it was looked at less closely before
    ended = counts["dataset"] < plan.count * generations
    return generations == plan.world.generations and (
        counts["dataset"] == plan.count * generations or (ended and whole["plan_ended"])
    )


def _not_smaller(run: Run, whole: dict[str, Any] | None, count: int, generations: int) -> None:
    """Whether all that is there, what was begun too, would be part of what is asked for."""
    here = len(generation_folders(run.folder))
    records, made = (whole["counts"]["dataset"], len(whole["generations"])) if whole else (0, 0)
    if max(here, made) > generations or records > count * made:
        raise UserError(
            f"this run has {records} records in {max(here, made)} generation(s) already, "
            f"{count} in {generations} are asked for",
            do="a run can grow, not shrink: give another --out",
        )


def _same_recipe(run: Run, known: dict[str, Any] | None, parts: dict[str, Any]) -> None:
    if known is not None and known["parts"] != parts:
        raise UserError(
            f"this folder holds a run of another recipe: {_differences(known['parts'], parts)}",
            run.folder,
            "give another folder with --out, run the recipe that is in it (recipe.toml), "
            "or remove the folder",
        )


def _settle_folder(
    run: Run, settled: Recipe, spec: worlds.Spec, world: World, parts: dict[str, Any] | None
) -> worlds.Spec:
    """Write recipe.toml, the copy of a user's file and, in a new run, run.json; the run's spec."""
    copied = spec
    if spec.file:
        file = run.folder / "world" / Path(spec.file).name
        if not file.exists() or files.sha256(file) != spec.sha256:
            file.parent.mkdir(exist_ok=True)
            files.write_file(file, Path(spec.file).read_bytes())
        copied = worlds.Spec(spec.module, spec.cls, str(file.resolve()), spec.sha256)
    files.write_file(run.folder / "recipe.toml", settled.toml().encode())
    if parts is not None:
        about = {
            "identity": store.identity_hash(parts),
            "parts": parts,
            "spec": {**spec.json(), "file": f"world/{Path(spec.file).name}" if spec.file else ""},
            "private": type(world).private,
            "made_with": store.surroundings(),
        }
        files.write_json(run.folder / "run.json", files.seal(about))
    return copied


def _differences(known: dict[str, Any], asked: dict[str, Any]) -> str:
    """Each key that differs, with both values."""
    lines = []
    for key in asked:
        old, new = known.get(key), asked[key]
        if isinstance(new, dict) and isinstance(old, dict):
            inner = sorted({k for k in {*old, *new} if old.get(k) != new.get(k)})
            lines += [f"{key}.{k} was {old.get(k)!r:.60}, now {new.get(k)!r:.60}" for k in inner]
        elif old != new:
            lines.append(f"{key} was {old!r:.60}, now {new!r:.60}")
    return "; ".join(lines)


def result(folder: Path) -> Result:
    """The result of a finished run, from its folder."""
    whole = files.read_json(folder / "make" / "manifest.json")
    if whole is None:
        raise UserError("no finished run is there", folder, "run its recipe to the end first")
    audit = files.read_json(folder / "audit.json") or {"power": {}, "findings": []}
    return Result(folder, whole["root"], whole["counts"], audit["power"], audit["findings"])
