"""Sandbox: runs jobs, one or many, in warm fork servers; `shared` keeps one per process."""

import atexit
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stillroom.sandbox.jobs import Job, Limits, Outcome
from stillroom.sandbox.lane import Lane
from stillroom.sandbox.levels import choose, refuse_unsafe

_WORTH = 16  # jobs for which another server is started
_MOST = 4  # servers of one sandbox


class Sandbox:
    """A place to run untrusted Python; servers start at the first job, or on entering.

    `level`: "strong", "default" or "none"; None: see `levels.choose`. A server runs one job at a
    time; large batches are spread over one server per core, four at most. Threads may share a
    sandbox: they wait for each other. In a forked process it starts servers of its own.
    """

    def __init__(self, level: str | None = None, limits: Limits | None = None) -> None:
        self.level, self.limits = choose(level), limits or Limits()
        self._lanes = [Lane(self.level, self.limits) for _ in range(min(_MOST, _cores()))]

    def __enter__(self) -> "Sandbox":
        if self.level != "none":
            self.facts()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, code: str, stdin: str = "", files: Mapping[str, str] | None = None) -> Outcome:
        """Run one program. UserError at level "none" without STILLROOM_UNSAFE=1."""
        return self.run_all([Job(code, stdin, files or {})])[0]

    def run_all(self, jobs: Iterable[Job]) -> list[Outcome]:
        """Run programs, each in a process of its own; outcomes in the order of the jobs."""
        refuse_unsafe(self.level)
        todo = list(jobs)
        count = max(1, min(len(self._lanes), len(todo) // _WORTH))
        if count == 1:
            return self._lanes[0].run(todo)
        with ThreadPoolExecutor(count) as threads:
            parts = threads.map(Lane.run, self._lanes, [todo[k::count] for k in range(count)])
            # Lane k had jobs k, k + count, ...: that is the order in which they come back.
            streams = [iter(part) for part in parts]
        return [next(streams[place % count]) for place in range(len(todo))]

    def facts(self) -> dict[str, Any]:
        """What a server says of itself: Landlock's ABI, the jobs' user and folder."""
        return self._lanes[0].facts()

    def close(self) -> None:
        """End the servers. A later job starts others."""
        for lane in self._lanes:
            lane.close()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_shared: dict[tuple[str, Limits], Sandbox] = {}


def shared(level: str | None = None, limits: Limits | None = None) -> Sandbox:
    """This process's own warm sandbox of that level and limits; made at first use, closed at exit.

    After a fork the child's servers are other ones than the parent's.
    """
    key = choose(level), limits or Limits()
    return _shared.setdefault(key, Sandbox(*key))


@atexit.register
def _close_all() -> None:
    for sandbox in _shared.values():
        sandbox.close()
