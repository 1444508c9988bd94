"""Finding a World: one of ours by its name, a user's by file or module.

What names a world is a `Spec`, plain JSON that a worker process and a stranger's `verify` can load
again. To add a world of ours: its folder here, and one line in OURS.
"""

import difflib
import hashlib
import importlib
import importlib.util
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.errors import UserError

if TYPE_CHECKING:
    from stillroom.world import World

# name: (module, class, the extra that brings what it needs, or "" for the core)
OURS = {
    "lessons": ("stillroom.worlds.lessons", "Lessons", ""),
    "written": ("stillroom.worlds.lessons.written", "Written", ""),
    "drills": ("stillroom.worlds.lessons.drills", "Drills", ""),
    "collapse": ("stillroom.collapse.lab", "Collapse", "distill"),
    "selfplay": ("stillroom.worlds.selfplay", "SelfPlay", "selfplay"),
}
TAUGHT = {"lessons": "written"}  # with a teacher, which world stands in for one of ours

_LOADING = "STILLROOM_LOADING"  # set while a user's file is imported: it must not start a run


@dataclass(frozen=True)
class Spec:
    """Where a world's class is. `file` is a copy inside the run once there is a run."""

    module: str
    cls: str
    file: str = ""
    sha256: str = ""

    @property
    def ours(self) -> bool:
        return not self.file and self.module.startswith("stillroom.")

    @property
    def here(self) -> bool:
        """Defined in a script or notebook that is running: no other process can load it."""
        return self.module == "__main__" and not self.file

    def json(self) -> dict[str, str]:
        return asdict(self)


_kept: dict[tuple[str, str, str], "type[World]"] = {}


def find(use: str, folder: Path | None = None) -> Spec:
    """The spec for what a person wrote: `lessons`, `mine.py`, `mine.py:Class`, `package:Class`."""
    if use in OURS:
        module, cls, _ = OURS[use]
        return Spec(module, cls)
    path, _, cls = use.partition(":")
    if path.endswith(".py"):
        file = (folder or Path()) / path
        if not file.is_file():
            raise UserError(f"there is no file {path}", file, "give the path of your world's file")
        spec = Spec(file.stem, cls, str(file.resolve()), _sha256(file))
        return spec if cls else Spec(spec.module, _only_world(spec), spec.file, spec.sha256)
    if cls:
        return Spec(path, cls)
    near = difflib.get_close_matches(use, OURS, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    known = ", ".join(sorted(OURS))
    raise UserError(
        f"no world is called {use!r}",
        do=f"{hint}there is {known}; give a world of your own as FILE.py or package.module:Class",
    )


def spec_of(world: "World") -> Spec:
    """The spec of a world object made in Python; remembers the class for this process."""
    cls = type(world)
    kept = next((Spec(m, c, f) for (m, c, f), known in _kept.items() if known is cls), None)
    if kept is None:
        _whole(cls, cls.__module__)
        kept = Spec(cls.__module__, cls.__qualname__)
        _kept[(kept.module, kept.cls, "")] = cls
    if kept.file:
        return Spec(kept.module, kept.cls, kept.file, _sha256(Path(kept.file)))
    return kept


def load(spec: Spec) -> "type[World]":
    """The class. UserError when the file has a mistake, or no such class."""
    from stillroom.world import World

    key = (spec.module, spec.cls, spec.file)
    if key not in _kept:
        found = getattr(_module(spec), spec.cls, None)
        where = spec.file or spec.module
        if found is None:
            names = [c.__name__ for c in _worlds_in(_module(spec))]
            raise UserError(
                f"there is no class {spec.cls}", where, f"worlds there: {names or 'none'}"
            )
        if not (isinstance(found, type) and issubclass(found, World)):
            raise UserError(f"{spec.cls} is not a World", where, "derive it from stillroom.World")
        _whole(found, where)
        _kept[key] = found
    return _kept[key]


def _whole(cls: "type[World]", where: str) -> None:
    """UserError that lists what a class still lacks to be a world."""
    import pyarrow as pa

    from stillroom.world import has

    missing = [f"{verb}()" for verb in ("plan", "make", "check", "show") if not has(cls, verb)]
    # pydantic's own `schema` method hides a missing one from hasattr.
    if not isinstance(_written(cls, "schema"), pa.StructType):
        missing.append("schema = pa.struct([...])")
    if not isinstance(_written(cls, "name"), str):
        missing.append('name = "..."')
    if missing:
        raise UserError(f"{cls.__name__} has no {', '.join(missing)}", where, "see docs/worlds.md")


def _written(cls: type, name: str) -> Any:
    """A class attribute as it was written, of the class or one above it."""
    return next((vars(c)[name] for c in cls.__mro__ if name in vars(c)), None)


def recorded(about: dict[str, Any], run: Path) -> Spec:
    """The spec in a run's run.json; a user's file is the copy in the run, and must be that copy."""
    told = dict(about["spec"])
    if told["file"]:
        file = run / told["file"]
        told["file"] = str(file.resolve())
        if not file.is_file() or _sha256(file) != about["parts"]["world"]["sha256"]:
            raise UserError("not the world's file that the records were made with", file)
    return Spec(**told)


def build(spec: Spec, config: dict[str, Any]) -> "World":
    """The world from its config, as it stands in a recipe; pydantic's ValidationError if wrong."""
    return load(spec).model_validate(config)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def loading() -> str:
    """The user's file that is being imported right now, or nothing."""
    return os.environ.get(_LOADING, "")


_modules: dict[str, Any] = {}


def _module(spec: Spec) -> Any:
    if not spec.file:
        try:
            return importlib.import_module(spec.module)
        except ImportError as wrong:
            extra = next((e for m, _, e in OURS.values() if m == spec.module and e), "")
            way = f"pip install 'stillroom[{extra}]'" if extra else "is it installed here?"
            raise UserError(f"can't import {spec.module}: {wrong}", do=way) from wrong
    if spec.file in _modules:
        return _modules[spec.file]
    name = f"stillroom_user_{spec.module}"
    found = importlib.util.spec_from_file_location(name, spec.file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # pydantic resolves annotations through it
    os.environ[_LOADING] = spec.file
    try:
        found.loader.exec_module(module)
    except SyntaxError as wrong:
        raise UserError(
            f"syntax error: {wrong.msg}",
            f"{spec.file}, line {wrong.lineno}",
            (wrong.text or "").strip(),
        ) from None
    except UserError:
        raise
    except (Exception, SystemExit) as wrong:
        line = _line_in(wrong, spec.file)
        what = f"importing the file raised {type(wrong).__name__}: {wrong}"
        raise UserError(what, f"{spec.file}, line {line}") from wrong
    finally:
        os.environ.pop(_LOADING, None)
    _modules[spec.file] = module
    return module


def _line_in(wrong: BaseException, file: str) -> int:
    """The last line of this file that the traceback went through."""
    line, step = 0, wrong.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == file:
            line = step.tb_lineno
        step = step.tb_next
    return line


def _worlds_in(module: Any) -> "list[type[World]]":
    from stillroom.world import World

    here = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, World)]
    return [c for c in here if c.__module__ == module.__name__]


def _only_world(spec: Spec) -> str:
    names = [c.__name__ for c in _worlds_in(_module(spec))]
    if len(names) == 1:
        return names[0]
    if not names:
        raise UserError(
            "no World is defined there", spec.file, "derive a class from stillroom.World"
        )
    raise UserError(f"several worlds there: {names}", spec.file, f"say which: FILE.py:{names[0]}")
