"""What goes into a sandbox and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from stillroom.errors import UserError


@dataclass(frozen=True)
class Limits:
    """What one job may use up. Only `steps` cuts at the same place on every machine.

    `steps`: lines of Python executed, those inside the standard library not counted; None: not
    counted, and code runs three to five times as fast. `wall` and `cpu`: seconds, the backstop.
    `memory`: MB of address space, the interpreter's 50 included. `disk`: MB in the job's folder.
    `output`: bytes of stdout and stderr together.
    """

    steps: int | None = 1_000_000
    wall: float = 10.0
    cpu: int = 5
    memory: int = 512
    disk: int = 16
    output: int = 1_000_000

    def __post_init__(self) -> None:
        least = {"steps": 1, "wall": 0.001, "cpu": 1, "memory": 64, "disk": 1, "output": 1}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise UserError(
                    f"a sandbox's limit {name} = {value} is too small",
                    do=f"give {smallest} or more",
                )


@dataclass(frozen=True)
class Job:
    """A program, what it reads from standard input, and files {relative name: text} beside it."""

    code: str
    stdin: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.files:
            parts = PurePosixPath(name).parts
            if not parts or name.startswith("/") or ".." in parts or "\0" in name:
                raise UserError(
                    f"a job's file can't be called {name!r}",
                    do="give a relative name without '..'",
                )


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    `status`: "ok" (came to its end), "raised", "steps", "timeout", "memory", "output" (wrote more
    than allowed; what fits is here) or "killed" (died of a signal, or filled the disk).
    `stdout` and `stderr` are what the program wrote, bytes that are not UTF-8 replaced. `error` is
    the last line of its traceback, without paths, or why it was killed; "" for "ok".

    Trust: the code chooses all of it. "ok" and stdout mean "the program said so"; nothing that
    runs in one process with the code can vouch for it. Compare what it printed outside.
    """

    status: str
    stdout: str
    stderr: str
    error: str
    level: str
