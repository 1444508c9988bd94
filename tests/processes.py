"""Living processes, as /proc tells them, and children that may be killed."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


def living(*, parent: int | None = None, group: int | None = None) -> list[int]:
    """Ids of the living processes with this parent, or in this process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, its_parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if state != "Z" and (int(its_parent) == parent or int(its_group) == group):
            found.append(int(stat.parent.name))
    return found


def fork(work: Callable[[], object]) -> int:
    """The id of a child that does the work; what is imported here need not be again."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    signal.alarm(100)  # it never hangs for ever
    try:
        work()
        os._exit(0)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        os._exit(1)


def end_of(child: int) -> int:
    """A child's exit code; -9 when it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
