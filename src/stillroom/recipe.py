"""A recipe: TOML or keyword arguments into one typed object, with all mistakes told at once."""

import difflib
import json
import os
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError

from stillroom import worlds
from stillroom.collapse.settings import Guard, Mix
from stillroom.errors import UserError
from stillroom.record import FORMAT
from stillroom.students.settings import Distill
from stillroom.teachers.settings import Settings
from stillroom.world import World, has


class Make(BaseModel, frozen=True, extra="forbid"):
    """How the making is spread out, and for how long: neither changes a byte of a generation.

    `minutes` decides how many generations there are.
    """

    workers: int = Field(default_factory=lambda: min(8, len(os.sched_getaffinity(0))), ge=0, le=512)
    minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Of making, in all sessions; when they are over, the generation that ends is the last."""


class Power(BaseModel, frozen=True, extra="forbid"):
    """On how many kept records the checker's power is measured; 0 leaves it out."""

    sample: int = Field(default=40, ge=0)


class Audit(BaseModel, frozen=True, extra="forbid"):
    """Whether the world's `audit` looks at the finished set."""

    run: bool = True


class Recipe(BaseModel, frozen=True, extra="forbid"):
    """What is to be made. `world` holds `use` (which world) and that world's own fields."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    world: dict[str, Any]
    seed: int = Field(default=0, ge=0, lt=2**63)
    count: int = Field(default=500, ge=1)
    make: Make = Make()
    power: Power = Power()
    audit: Audit = Audit()
    teacher: Settings | None = None
    mix: Mix | None = None
    guard: Guard | None = None
    distill: Distill | None = None

    def toml(self) -> str:
        """The recipe as TOML, every default spelled out."""
        return write_toml(self.model_dump(mode="json", exclude_none=True))


def from_file(path: Path) -> dict[str, Any]:
    """The raw tables of a recipe file; its name is the file's unless it says another."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError("there is no such recipe", path) from None
    except OSError as wrong:
        raise UserError(f"can't read the recipe: {wrong.strerror}", path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise UserError(f"the recipe is not valid TOML: {wrong}", path) from None
    return {"name": path.stem, **raw}


def assign(raw: dict[str, Any], settings: tuple[str, ...]) -> None:
    """Put each `--set a.b=value` into the raw tables; the value is TOML, or else plain text."""
    for setting in settings:
        key, eq, value = setting.partition("=")
        if not eq or not key:
            raise UserError(
                f"--set {setting!r} is not KEY=VALUE", do="for example --set world.levels=[1,2]"
            )
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        *tables, last = key.split(".")
        place = raw
        for table in tables:
            place = place.setdefault(table, {})
            if not isinstance(place, dict):
                raise UserError(
                    f"--set {setting}: {table!r} is not a table", do="see the recipe's keys"
                )
        place[last] = parsed


def place(raw: dict[str, Any], folder: Path) -> None:
    """Make the paths that [mix] and [guard] name whole, where they lie beside the recipe."""
    guard = raw.get("guard")
    against = guard.get("against") if isinstance(guard, dict) else None
    if isinstance(guard, dict) and isinstance(against, str) and (folder / against).exists():
        guard["against"] = str((folder / against).resolve())
    mix = raw.get("mix")
    tables = [mix.get("human"), mix.get("fresh")] if isinstance(mix, dict) else []
    for one in (source for table in tables if isinstance(table, list) for source in table):
        for key in ("path", "collection") if isinstance(one, dict) else ():
            if isinstance(one.get(key), str) and (folder / one[key]).exists():
                one[key] = str((folder / one[key]).resolve())


def settle(
    raw: dict[str, Any], where: str, folder: Path, world: World | None = None
) -> tuple[Recipe, worlds.Spec, World]:
    """Recipe, world spec and world from raw tables, or one UserError that holds every mistake.

    With a `world` that was made in Python, its table is taken as it is.
    """
    wrong: list[str] = []
    recipe: Recipe | None = None
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        wrong += _mistakes(error, Recipe, "")
    spec = worlds.spec_of(world) if world is not None else None
    table = raw.get("world")
    if isinstance(table, dict) and world is None:
        use = table.get("use")
        if not isinstance(use, str):
            wrong.append('world.use: missing; it says which world, for example use = "lessons"')
        else:
            config = {key: value for key, value in table.items() if key != "use"}
            try:
                spec = worlds.find(use, folder)
                world = worlds.build(spec, config)
            except ValidationError as error:
                wrong += _mistakes(error, worlds.load(spec) if spec else World, "world.")
            except UserError as error:
                wrong.append(
                    "world.use: " + " · ".join(filter(None, [error.what, error.where, error.do]))
                )
    if wrong or recipe is None or spec is None or world is None:
        raise _refusal(wrong, where)
    return recipe, spec, world


def tables(raw: dict[str, Any], where: str) -> Recipe:
    """The recipe of a run that is there, its world left as it is; UserError as from `settle`."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise _refusal(_mistakes(error, Recipe, ""), where) from None


def _refusal(wrong: list[str], where: str) -> UserError:
    count = "a mistake" if len(wrong) == 1 else f"{len(wrong)} mistakes"
    listing = "\n".join(f"  {line}" for line in wrong)
    return UserError(f"{count} in the recipe:\n{listing}", where, "nothing was written")


def _mistakes(error: ValidationError, model: type[BaseModel], prefix: str) -> list[str]:
    lines = []
    for item in error.errors(include_url=False):
        key = prefix + ".".join(str(part) for part in item["loc"])
        written = _shown(item["loc"], item["input"])
        if item["type"] == "extra_forbidden":
            allowed = _keys(model, item["loc"][:-1])
            near = difflib.get_close_matches(str(item["loc"][-1]), allowed, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            lines.append(
                f"{key} = {written}: no such key{hint} (allowed: {', '.join(sorted(allowed))})"
            )
        elif item["type"] == "missing":
            lines.append(f"{key}: missing")
        else:
            said = item["msg"].removeprefix("Value error, ")
            lines.append(f"{key} = {written}: {said[:1].lower()}{said[1:]}")
    return lines


def _shown(path: tuple[int | str, ...], value: Any) -> str:
    """What was written there; of a teacher's table no text, as it might be a key."""
    if isinstance(value, dict) or ("teacher" in path and not isinstance(value, (int, float))):
        return "(not shown)"
    return f"{value!r:.60}"


def _keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The field names allowed where the path leads."""
    inner: Any = model
    for part in path:
        if isinstance(part, int):  # a place in a list of tables, whose model it stands for
            continue
        field = inner.model_fields.get(part)
        inner = field.annotation if field else None
        kinds = [kind for kind in get_args(inner) if kind not in (type(None), ...)]
        inner = kinds[0] if len(kinds) == 1 else inner  # of `Settings | None`
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
    return list(inner.model_fields)


def identity(recipe: Recipe, spec: worlds.Spec, world: World, teacher: str) -> dict[str, Any]:
    """All that decides the bytes; a run's identity is the hash of it.

    A run may grow: `generations` are left out, and `count` where there is one generation and
    nothing is learnt from it. So are workers and whatever else changes no byte.
    """
    cls = type(world)
    return {
        "format": FORMAT,
        "world": {"name": cls.name, "version": cls.version, "sha256": spec.sha256},
        "config": world.model_dump(mode="json", exclude={"generations"}),
        "shard": cls.shard,
        "seed": recipe.seed,
        "count": recipe.count if world.generations > 1 or has(world, "learn") else None,
        "teacher": teacher,
    }


def write_toml(tables: dict[str, Any], path: str = "") -> str:
    """Plain TOML for JSON-like tables: scalars and lists first, then sub-tables."""
    lines = [f"{_key(key)} = {_value(v)}" for key, v in tables.items() if not isinstance(v, dict)]
    for key, value in tables.items():
        if isinstance(value, dict):
            name = f"{path}.{_key(key)}" if path else _key(key)
            lines += ["", f"[{name}]", write_toml(value, name).rstrip("\n")]
    return "\n".join(lines).strip("\n") + "\n"


def _key(key: str) -> str:
    return key if key.replace("-", "_").isidentifier() else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_value(k)} = {_value(v)}" for k, v in value.items()) + "}"
    return json.dumps(str(value), ensure_ascii=False)
