"""Worker processes on this machine.

A worker is a fresh interpreter that reads jobs from a pipe: (function name, JSON), and answers
JSON. Nothing is pickled and the caller's `__main__` is never imported again, so an unguarded
script can't start itself anew. A worker ends when its pipe closes, that is, when its parent does.
"""

import asyncio
import gc
import importlib
import os
import queue
import signal
import struct
import sys
import threading
import traceback
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import IO, Any, TypeVar

import orjson

from stillroom.errors import DISK, STOPPED, Stopped, UserError, disk_trouble

Job = dict[str, Any]
Item = TypeVar("Item")
Result = TypeVar("Result")


# Work is many small objects that live for one shard, and few of them in cycles: to collect every
# 700 of them, as is usual, only walks over them again and again.
YOUNG = 50_000


class WorkerBug(RuntimeError):
    """A job raised what nobody expected; carries the worker's traceback."""


class Local:
    """Calls functions by name in worker processes; in this process, one by one, for `workers` 0.

    `first` is a call that every worker makes as soon as it lives, before a job comes; what comes
    of it does not matter.
    """

    def __init__(self, workers: int, first: tuple[str, Job] | None = None) -> None:
        self.workers, self._first = workers, first
        # Last in, first out: who has just worked is warm.
        self._idle: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        self._all: list[_Worker] = []
        self._usual = gc.get_threshold()
        self._here = asyncio.Lock()

    async def __aenter__(self) -> "Local":
        for _ in range(self.workers):
            self._add(await _Worker.start(self._first))
        gc.set_threshold(YOUNG, *self._usual[1:])
        return self

    async def __aexit__(self, *_: object) -> None:
        gc.set_threshold(*self._usual)
        await asyncio.gather(*(worker.stop() for worker in self._all))

    def _add(self, worker: "_Worker") -> None:
        self._all.append(worker)
        self._idle.put_nowait(worker)

    async def call(self, function: str, job: Job) -> Any:
        """The function's answer; a worker that dies is replaced and the job tried once more."""
        request = orjson.dumps([function, job])
        if not self.workers:
            # In a thread: what is called may run an event loop of its own. One at a time: torch's
            # chance, for one, belongs to the process.
            async with self._here:
                return _unwrap(await asyncio.to_thread(_answer, orjson.loads(request)))
        for attempt in (1, 2):
            worker = await self._idle.get()
            try:
                reply = await worker.ask(request)
            except asyncio.CancelledError:
                self._idle.put_nowait(worker)
                raise
            except (asyncio.IncompleteReadError, ConnectionError, OSError):
                code = await worker.ended()
                self._all.remove(worker)
                self._add(await _Worker.start(self._first))
                if attempt == 2:
                    raise Stopped(
                        f"a worker process died twice ({_how(code)}) at {function}",
                        job.get("where", ""),
                        "is there enough memory? mend the cause and run the same command to go on",
                    ) from None
                continue
            self._idle.put_nowait(worker)
            return _unwrap(reply)


async def in_order(
    work: Callable[[Item], Awaitable[Result]],
    items: Iterable[Item],
    window: Callable[[int], bool],
) -> AsyncGenerator[Result, None]:
    """Results in the order of the items; the next is begun while `window(number open)` says so.

    Whoever stops early (use `aclosing`) lets what is open come to its end, so that no file appears
    later; a cancelled one does not wait.
    """
    open_: deque[asyncio.Future[Result]] = deque()
    source, more = iter(items), True
    try:
        while more or open_:
            while more and window(len(open_)):
                try:
                    open_.append(asyncio.ensure_future(work(next(source))))
                except StopIteration:
                    more = False
                await asyncio.sleep(0)
            if not open_:
                return
            yield await open_.popleft()
    except asyncio.CancelledError:
        for one in open_:
            one.cancel()
        raise
    finally:
        await asyncio.gather(*open_, return_exceptions=True)


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._lock = asyncio.Lock()
        self._asking: asyncio.Future[Any] | None = None

    @classmethod
    async def start(cls, first: tuple[str, Job] | None) -> "_Worker":
        code = "from stillroom.engines.local import serve; serve()"
        path = os.pathsep.join(filter(None, sys.path))
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                code,
                orjson.dumps(first).decode(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
            )
        )

    async def ask(self, request: bytes) -> Any:
        out, into = self.process.stdin, self.process.stdout
        assert out is not None
        assert into is not None
        # One question at a time, answered to the end even when the asker has gone.
        self._asking = asyncio.ensure_future(self._exchange(out, into, request))
        # Who has gone does not look at how it ended; asyncio would complain of that.
        self._asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._asking)

    async def _exchange(
        self, out: asyncio.StreamWriter, into: asyncio.StreamReader, request: bytes
    ) -> Any:
        async with self._lock:
            out.write(struct.pack("<I", len(request)) + request)
            await out.drain()
            (size,) = struct.unpack("<I", await into.readexactly(4))
            return orjson.loads(await into.readexactly(size))

    async def stop(self) -> int:
        if self._asking is not None and not self._asking.done():
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        if self.process.returncode is None:
            # Not Process.kill(): it may reap the child before asyncio does, and lose its exit code.
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
        return await self.process.wait()

    async def ended(self) -> int:
        """The exit code of a worker whose pipe has closed."""
        try:
            return await asyncio.wait_for(self.process.wait(), 5)
        except TimeoutError:
            return await self.stop()


def serve() -> None:
    """A worker's life: jobs from standard input until it closes. What jobs print goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, jobs), daemon=True).start()
    if (first := orjson.loads(sys.argv[1])) is not None:
        _answer(first)
    while True:
        reply = orjson.dumps(_answer(orjson.loads(jobs.get())))
        out.write(struct.pack("<I", len(reply)) + reply)
        out.flush()


def _listen(pipe: IO[bytes], jobs: "queue.SimpleQueue[bytes]") -> None:
    """Reads jobs; ends the process, whatever it is doing, when the parent is gone."""
    while len(head := pipe.read(4)) == 4:
        jobs.put(pipe.read(struct.unpack("<I", head)[0]))
    os._exit(0)


def _answer(request: list[Any]) -> dict[str, Any]:
    """Run [function, job]; exceptions become answers, so that a worker never goes silent."""
    name, job = request
    try:
        module, _, function = name.partition(":")
        return {"result": getattr(importlib.import_module(module), function)(job)}
    except UserError as wrong:
        return {"user": [wrong.code, wrong.what, wrong.where, wrong.do]}
    except Exception as wrong:
        if isinstance(wrong, OSError) and wrong.errno in DISK:
            return {"user": [STOPPED, *disk_trouble(wrong)]}
        return {"bug": traceback.format_exc()}


def _unwrap(reply: dict[str, Any]) -> Any:
    if "user" in reply:
        code, *words = reply["user"]
        raise (Stopped if code == STOPPED else UserError)(*words)
    if "bug" in reply:
        raise WorkerBug(reply["bug"])
    return reply["result"]


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
