"""One job, in the process that runs it: lock itself in, then run the code and end.

Nothing here returns. The exit code is all that the supervisor is told besides what the code wrote,
and hostile code can choose it: OK means "the program said it was done".
"""

import builtins
import gc
import json
import os
import random
import resource
import sys
import sysconfig
import traceback
import types
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from stillroom.sandbox import kernel, landlock, seccomp

OK, RAISED, STEPS, MEMORY, BROKEN = 0, 1, 3, 4, 5
"""Exit codes: ended, raised, too many steps, MemoryError, and "the sandbox could not be set up"."""

LIBRARY = sysconfig.get_path("stdlib")
_OWN_FRAMES = (
    10  # of the recursion limit; what stands between Python's start and a job's first line
)
_ERROR_LENGTH = 2000  # characters
_OPEN_FILES = 48
LIBRARY_DESCRIPTOR = 3  # the standard library's folder, where a job's user can't reach it by name


@dataclass
class Cell:
    """What every job of one server is locked into."""

    steps: int | None
    cpu: int
    folder: str
    owner: int | None  # the user and group a job becomes; None: it stays who it is
    ruleset: int | None  # Landlock's; renewed with the folder
    filter: seccomp.Program | None
    path: tuple[
        str, ...
    ]  # sys.path; starts from descriptor 3 where the owner can't reach it by name
    library: int  # an open descriptor of the standard library


def run(cell: Cell, work: int, streams: list[int], parent: int) -> NoReturn:
    """Run the job whose JSON, {"code", "files"}, is in the descriptor `work`; never returns."""
    status, leave = BROKEN, os._exit  # the code may put something else into `os`
    try:
        job = _take(cell, work, streams)
        _settle(cell, job["files"], parent)
        _lock(cell)
        status = RAISED
        status = _execute(job["code"], cell)
    except MemoryError:
        status = MEMORY
    except BaseException as wrong:
        # Also what the code throws from a place it should not reach, such as a replaced `str`.
        with suppress(BaseException):
            os.write(2, _one_line(wrong).encode(errors="replace"))
    finally:
        leave(status)


def _take(cell: Cell, work: int, streams: list[int]) -> dict[str, Any]:
    job: dict[str, Any] = json.loads(os.read(work, os.fstat(work).st_size))
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    return job


def _settle(cell: Cell, files: dict[str, str], parent: int) -> None:
    """Limits, another user, no capabilities, and the job's own files in its folder."""
    os.chdir(cell.folder)
    if cell.owner is not None:
        os.setgroups([])
        os.setresgid(cell.owner, cell.owner, cell.owner)
        os.setresuid(cell.owner, cell.owner, cell.owner)
    if sys.platform == "linux":
        kernel.drop_capabilities()
        kernel.die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cell.cpu, cell.cpu + 1))
    for name, text in files.items():
        if folder := os.path.dirname(name):
            os.makedirs(folder, exist_ok=True)
        with open(name, "w", encoding="utf-8", newline="") as file:
            file.write(text)


def limit(limits: dict[str, Any]) -> None:
    """What the server takes on before it forks, for its children to inherit."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits["disk"] << 20,) * 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (limits["memory"] << 20,) * 2)
        kernel.no_new_privileges()
        kernel.hide_memory()


def _lock(cell: Cell) -> None:
    """Landlock and seccomp, then no descriptor but the three streams and the library's."""
    if cell.ruleset is not None:
        landlock.restrict(cell.ruleset)
    os.dup2(cell.library, LIBRARY_DESCRIPTOR)
    os.closerange(LIBRARY_DESCRIPTOR + 1, 256)  # the server has none above
    if cell.filter is not None:
        kernel.load_filter(cell.filter)


def _execute(code: str, cell: Cell) -> int:
    """Run the code as `__main__`; what it raises goes to stderr as one last line."""
    main = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    sys.modules["__main__"] = main
    sys.path[:] = [*cell.path, os.getcwd()]  # last: a job's file can't stand in for the library's
    sys.argv[:] = ["job"]
    os.environ.clear()
    random.seed(0)
    sys.setrecursionlimit(sys.getrecursionlimit() + _OWN_FRAMES)
    gc.enable()
    status, stop_counting = OK, sys.settrace
    try:
        compiled = compile(code, "job", "exec", dont_inherit=True)
        if cell.steps is not None:
            _count(cell.steps)
        exec(compiled, main.__dict__)
    except SystemExit as stop:
        status = OK if stop.code in (None, 0) else RAISED
        if status == RAISED:
            _tell(stop, cell)
    except MemoryError:
        status = MEMORY
    except BaseException as wrong:
        status = RAISED
        _tell(wrong, cell)
    finally:
        stop_counting(None)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    return status


def _count(steps: int) -> None:
    """End the process after so many lines of code; lines of the standard library are free.

    `sys.settrace` is taken from the code, which could still get round the count (`f_trace`,
    ctypes); the limit on CPU time holds then. A RecursionError that hits the counter itself also
    ends the counting, at the same place every time.
    """
    left, end = steps, os._exit
    library = (
        LIBRARY,
        *(path for path in sys.path if path.startswith("/proc/")),
        "<frozen",
        __file__,
    )

    def line(_: types.FrameType, event: str, __: Any) -> Callable[..., Any]:
        nonlocal left
        if event == "line":
            left -= 1
            if left < 0:
                end(STEPS)
        return line

    def enter(frame: types.FrameType, _: str, __: Any) -> Callable[..., Any] | None:
        return None if frame.f_code.co_filename.startswith(library) else line

    def refuse(_: object) -> None:
        raise RuntimeError("steps are being counted")

    sys.settrace(enter)
    sys.settrace = refuse


def _tell(wrong: BaseException, cell: Cell) -> None:
    """The last line of the traceback on stderr, without this machine's paths."""
    with suppress(Exception):
        sys.stderr.flush()
    text = _one_line(wrong)
    for name in (*cell.path, LIBRARY):
        text = text.replace(name, "python")
    text = text.replace(os.getcwd(), ".")
    os.write(2, f"\n{text}\n".encode(errors="replace"))


def _one_line(wrong: BaseException) -> str:
    last = traceback.format_exception_only(type(wrong), wrong)[-1]
    return " ".join(last.split("\n")).strip()[:_ERROR_LENGTH]
