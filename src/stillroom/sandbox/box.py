"""Sandbox: runs jobs, one or many, in a warm fork server; `shared` keeps one per process."""

import atexit
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from stillroom.errors import UserError
from stillroom.sandbox import child
from stillroom.sandbox.jobs import Job, Limits, Outcome
from stillroom.sandbox.levels import choose, refuse_unsafe
from stillroom.sandbox.process import Server
from stillroom.sandbox.server import OUT_OF_DISK, OUT_OF_TIME

_AHEAD = 4  # jobs handed over before the first has ended
_GRACE = 10.0  # seconds that the server may take beyond a job's wall limit
_STATUS = {child.OK: "ok", child.STEPS: "steps", child.MEMORY: "memory"}
_TRIAL = """
import os
for forbidden in (os.fork, lambda: os.kill(os.getppid(), 0)):
    try:
        forbidden()
    except OSError:
        continue
    raise SystemExit("the sandbox does not hold")
"""


class Sandbox:
    """A place to run untrusted Python; starts its server at the first job, or on entering.

    `level`: "strong", "default" or "none"; None: see `probe.choose`. Jobs run one after the other;
    threads may share a sandbox, they wait for each other. Processes may not: use `shared`.
    """

    def __init__(self, level: str | None = None, limits: Limits | None = None) -> None:
        self.level, self.limits = choose(level), limits or Limits()
        self._server: Server | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> "Sandbox":
        with self._lock:
            if self.level != "none":
                self._running()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, code: str, stdin: str = "", files: Mapping[str, str] | None = None) -> Outcome:
        """Run one program. UserError at level "none" without STILLROOM_UNSAFE=1."""
        return self.run_all([Job(code, stdin, files or {})])[0]

    def run_all(self, jobs: Iterable[Job]) -> list[Outcome]:
        """Run programs, each in a process of its own; outcomes in the order of the jobs."""
        refuse_unsafe(self.level)
        waiting, outcomes = deque(jobs), list[Outcome]()
        with self._lock:
            while waiting:
                outcomes += self._batch(waiting)
        return outcomes

    def facts(self) -> dict[str, Any]:
        """What the server says of itself: Landlock's ABI, the jobs' user and folder."""
        with self._lock:
            return self._running().facts

    def close(self) -> None:
        """End the server. A later job starts another one."""
        with self._lock:
            if self._server is not None:
                self._server.close()
                self._server = None

    def forget(self) -> None:
        """In a forked child: leave the server to the parent, and be as new."""
        self._lock = threading.Lock()
        if self._server is not None:
            self._server.forget()
            self._server = None

    def _running(self) -> Server:
        if self._server is not None and self._server.process.poll() is not None:
            self._server.close()
            self._server = None
        if self._server is None:
            self._server = Server(self.level, self.limits)
            if self.level != "none":
                self._try_out()
        return self._server

    def _try_out(self) -> None:
        """A job that must fail to fork and to signal: a sandbox that does not hold is not used."""
        (trial,) = self._batch(deque([Job(_TRIAL)]))
        if trial.status != "ok" and self._server is not None:
            self._server.close()
            self._server = None
            raise UserError(
                f"the sandbox of level {self.level!r} can't be set up here: {trial.error}",
                do="`stillroom.sandbox.probe()` says what this machine offers",
            )

    def _batch(self, waiting: deque[Job]) -> list[Outcome]:
        """Run the waiting jobs until all are done, or the server is lost with one of them."""
        server = self._running()
        open_: deque[_Running] = deque()
        outcomes: list[Outcome] = []
        try:
            while waiting or open_:
                while waiting and len(open_) < _AHEAD:
                    open_.append(_Running(waiting[0], *server.send(waiting[0])))
                    waiting.popleft()
                kind, code = _follow(server, open_[0], self.limits)
                outcomes.append(open_[0].outcome(kind, code, self.level))
                open_.popleft().close()
        except OSError as wrong:
            # A lost server takes one job with it, the one that ran: the others come again.
            server.close()
            self._server = None
            if open_:
                lost = open_.popleft()
                lost.wrong = f"the sandbox's server was lost: {wrong}"
                outcomes.append(lost.outcome(0, -signal.SIGKILL, self.level))
                lost.close()
            for running in open_:
                running.close()
            waiting.extendleft(running.job for running in reversed(open_))
        return outcomes


def _follow(server: Server, running: "_Running", limits: Limits) -> tuple[int, int]:
    """Read what the job writes until the server says how it ended. OSError: the server is lost."""
    poll = select.poll()
    poll.register(server.door, select.POLLIN)
    for stream in running.texts:
        poll.register(stream, select.POLLIN)
    deadline = time.monotonic() + limits.wall + _GRACE
    while True:
        ready = [one for one, _ in poll.poll(1000 * max(0.0, deadline - time.monotonic()))]
        if not ready:
            raise TimeoutError("it does not answer")
        for stream in ready:
            if stream in running.texts and not running.read(stream, limits.output):
                poll.unregister(stream)
                if running.flooded:
                    running.close()
                    poll = select.poll()
                    poll.register(server.door, select.POLLIN)
        if server.door.fileno() in ready:
            answer = server.hear()
            for stream in running.texts:
                while running.read(stream, limits.output):
                    pass
            return answer


@dataclass
class _Running:
    """A job that was handed over, and what has come of it so far."""

    job: Job
    out: int
    err: int
    flooded: bool = False
    wrong: str = ""
    texts: dict[int, bytearray] = field(init=False)

    def __post_init__(self) -> None:
        self.texts = {self.out: bytearray(), self.err: bytearray()}
        self._open = True

    def read(self, stream: int, most: int) -> bool:
        """Take what is there; False at the end, when nothing is there, and when it is too much."""
        room = most - sum(map(len, self.texts.values()))
        if self.flooded:
            return False
        try:
            more = os.read(stream, min(room + 1, 1 << 16))
        except BlockingIOError:
            return False
        self.texts[stream] += more[:room]
        self.flooded = len(more) > room
        return bool(more) and not self.flooded

    def close(self) -> None:
        """Close the pipes. One who still writes gets SIGPIPE."""
        if self._open:
            self._open = False
            os.close(self.out)
            os.close(self.err)

    def outcome(self, kind: int, code: int, level: str) -> Outcome:
        stdout, stderr = (self.texts[one].decode(errors="replace") for one in (self.out, self.err))
        status, error = self._judge(kind, code)
        if status == "raised":
            head, _, error = stderr.rstrip("\n").rpartition("\n")
            stderr = head
        return Outcome(status, stdout, stderr, error, level)

    def _judge(self, kind: int, code: int) -> tuple[str, str]:
        """Status and error; an empty error of "raised" is still to be read from stderr."""
        if self.flooded:
            return "output", "wrote more than it may"
        if kind == OUT_OF_TIME:
            return "timeout", "ran out of time"
        if kind == OUT_OF_DISK:
            return "killed", "filled its folder"
        if code in _STATUS:
            words = {child.STEPS: "took too many steps", child.MEMORY: "ran out of memory"}
            return _STATUS[code], words.get(code, "")
        if code < 0:
            return "killed", self.wrong or f"died of signal {signal.Signals(-code).name}"
        return "raised", ""


_shared: dict[tuple[str, Limits], Sandbox] = {}


def shared(level: str | None = None, limits: Limits | None = None) -> Sandbox:
    """This process's own warm sandbox of that level and limits; made at first use, closed at exit.

    A forked child gets another one.
    """
    key = choose(level), limits or Limits()
    if key not in _shared:
        _shared[key] = Sandbox(*key)
    return _shared[key]


@atexit.register
def _close_all() -> None:
    for sandbox in _shared.values():
        sandbox.close()
    _shared.clear()


def _forget_all() -> None:
    for sandbox in _shared.values():
        with suppress(OSError):
            sandbox.forget()
    _shared.clear()


os.register_at_fork(after_in_child=_forget_all)
