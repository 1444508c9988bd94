"""Runs Python that nobody has read: model-written code, in a locked child process per job.

    with Sandbox() as sandbox:
        outcome = sandbox.run("print(sum(map(int, input().split())))", stdin="2 3")
        outcome.status, outcome.stdout        # "ok", "5\\n"

Levels, strongest first; each outcome says under which one it came about:

- "strong": the same as "default" inside bubblewrap: no network at all, no other files to be seen,
  process numbers of its own;
- "default": a child process of another user where this one is root, with rlimits, Landlock and a
  list of allowed system calls: no files but its own folder's, no sockets, no processes, no signals;
- "none": a child process with rlimits. Refused unless STILLROOM_UNSAFE=1.

docs/sandbox.md says what is contained and what isn't. Names are loaded when first used: the server
that forks the jobs imports this package too, and stays small.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stillroom.sandbox.box import Sandbox, shared
    from stillroom.sandbox.jobs import Job, Limits, Outcome
    from stillroom.sandbox.levels import LEVELS, Report, probe

_HOMES = {
    "Sandbox": "box",
    "shared": "box",
    "Job": "jobs",
    "Limits": "jobs",
    "Outcome": "jobs",
    "LEVELS": "levels",
    "Report": "levels",
    "probe": "levels",
}
__all__ = ["LEVELS", "Job", "Limits", "Outcome", "Report", "Sandbox", "probe", "shared"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"stillroom.sandbox has no {name!r}; it has {sorted(_HOMES)}")
    return getattr(import_module(f"stillroom.sandbox.{_HOMES[name]}"), name)
