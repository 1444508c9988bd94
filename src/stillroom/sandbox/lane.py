"""A lane: one fork server, and the jobs that go through it one after the other."""

import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stillroom.errors import UserError
from stillroom.sandbox import child
from stillroom.sandbox.jobs import Job, Limits, Outcome
from stillroom.sandbox.process import Server
from stillroom.sandbox.server import OUT_OF_DISK, OUT_OF_TIME

_AHEAD = 4  # jobs handed over before the first has ended
_GRACE = 10.0  # seconds that the server may take beyond a job's wall limit
_ENDINGS = {
    child.OK: ("ok", ""),
    child.STEPS: ("steps", "took too many steps"),
    child.MEMORY: ("memory", "ran out of memory"),
}
_TRIAL = """
import os
for forbidden in (os.fork, lambda: os.kill(os.getppid(), 0)):
    try:
        forbidden()
    except OSError:
        continue
    raise SystemExit("the sandbox does not hold")
"""


class Lane:
    """Runs jobs in order; its server starts at the first one, and again when it was lost."""

    def __init__(self, level: str, limits: Limits) -> None:
        self.level, self.limits = level, limits
        self._be_new()

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Outcomes in the order of the jobs; who comes from another thread waits."""
        waiting, outcomes = deque(jobs), list[Outcome]()
        with self._in_turn():
            while waiting:
                outcomes += self._batch(self._running(), waiting)
        return outcomes

    def facts(self) -> dict[str, Any]:
        """What the server says of itself; starts it."""
        with self._in_turn():
            return self._running().facts

    def close(self) -> None:
        """End the server; waits for the jobs of other threads."""
        with self._in_turn():
            self._end()

    def _be_new(self) -> None:
        self._server: Server | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def _in_turn(self) -> threading.Lock:
        """The lock of this process; a forked child leaves the server to its parent."""
        if self._process != os.getpid():
            if self._server is not None:
                self._server.forget()
            self._be_new()
        return self._lock

    def _end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _running(self) -> Server:
        if self._server is not None and self._server.process.poll() is None:
            return self._server
        self._end()
        self._server = Server(self.level, self.limits)
        if self.level != "none":
            self._try_out(self._server)
        return self._server

    def _try_out(self, server: Server) -> None:
        """A job that must fail to fork and to signal: a sandbox that does not hold is not used."""
        (trial,) = self._batch(server, deque([Job(_TRIAL)]))
        if trial.status != "ok":
            self._end()
            raise UserError(
                f"the sandbox of level {self.level!r} can't be set up here: {trial.error}",
                do="`stillroom.sandbox.probe()` says what this machine offers",
            )

    def _batch(self, server: Server, waiting: deque[Job]) -> list[Outcome]:
        """Run the waiting jobs until all are done, or the server is lost with one of them."""
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
            self._end()
            lost = open_.popleft() if open_ else _Running(waiting.popleft(), *os.pipe())
            lost.wrong = f"the sandbox's server was lost: {wrong}"
            outcomes.append(lost.outcome(0, -signal.SIGKILL, self.level))
            waiting.extendleft(running.job for running in reversed(open_))
            lost.close()
        except BaseException:
            self._end()  # it would answer the next batch with this one's outcomes
            raise
        finally:
            for running in open_:
                running.close()
        return outcomes


def _follow(server: Server, running: "_Running", limits: Limits) -> tuple[int, int]:
    """Read what the job writes until the server says how it ended. OSError: the server is lost."""
    door, deadline = server.door.fileno(), time.monotonic() + limits.wall + _GRACE
    watched = {door, *running.texts}
    while True:
        poll = select.poll()
        for one in watched:
            poll.register(one, select.POLLIN)
        ready = {one for one, _ in poll.poll(1000 * max(0.0, deadline - time.monotonic()))}
        if not ready:
            raise TimeoutError("it does not answer")
        for stream in ready - {door}:
            if not running.read(stream, limits.output):
                watched.discard(stream)
        if running.flooded:
            watched = {door}
            running.close()
        if door in ready:
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
        if self.flooded:
            return False
        room = most - sum(map(len, self.texts.values()))
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
        if code in (child.RAISED, child.BROKEN) and status == "raised":
            stderr, _, error = stderr.rstrip("\n").rpartition("\n")
        return Outcome(status, stdout, stderr, error, level)

    def _judge(self, kind: int, code: int) -> tuple[str, str]:
        """Status and why; what the code raised is still to be read from its stderr."""
        if self.flooded:
            return "output", "wrote more than it may"
        if kind == OUT_OF_TIME:
            return "timeout", "ran out of time"
        if kind == OUT_OF_DISK:
            return "killed", "filled its folder"
        if code < 0:
            return "killed", self.wrong or f"died of signal {signal.Signals(-code).name}"
        return _ENDINGS.get(code, ("raised", f"ended with exit code {code}"))
