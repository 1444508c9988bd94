"""The fork server: a bare interpreter with an empty environment that forks one child per job.

It never sees a job. The supervisor sends it descriptors (of the job, stdin, stdout, stderr) over a
socket; it forks, waits, kills when time is up, makes the folder empty again and answers how the
child ended. So a child, which inherits this process's memory, finds nothing of other jobs in it.
One child at a time, and the server ends as soon as its supervisor does.
"""

import gc
import json
import os
import select
import signal
import socket
import stat
import struct
import sys
import sysconfig
import time
from importlib import import_module
from typing import Any

from stillroom.sandbox import child, kernel, landlock, seccomp
from stillroom.sandbox.folder import Folder

ENDED, OUT_OF_TIME, OUT_OF_DISK = 0, 1, 2
REPLY = struct.Struct("=Bi")
"""An answer: one of the three above, and the child's exit code (negative: the signal's number)."""

WARM = (
    "bisect collections copy dataclasses datetime decimal enum fractions functools heapq io "
    "itertools json math operator random re statistics string textwrap time typing"
)
NOBODY = 65534
_FOR_NOBODY = 0b11100011  # CAP_CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID
_LOOK = 0.01  # seconds between two looks at a folder without a size of its own
SHARED_LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache")


def serve(settings: dict[str, Any]) -> None:
    """Serve one supervisor; `settings`: level, limits, descriptors of the socket and the parent."""
    os.umask(0o077)
    for name in WARM.split():
        import_module(name)
    time.tzset()
    server = _Server(settings)
    child.limit(settings["limits"])
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        server.work()
    finally:
        server.folder.remove()
    os._exit(0)  # nothing is left to tidy, and tidying takes longer than a job


class _Server:
    def __init__(self, settings: dict[str, Any]) -> None:
        # Low numbers, so that a child need not look far for what to close.
        self.door = socket.socket(fileno=_low(settings["socket"]))
        self.parent = None if settings["parent"] is None else _low(settings["parent"])
        self.limits = settings["limits"]
        locked = settings["level"] != "none"
        owner = _owner() if locked else None
        self.landlock = landlock.abi() if locked else 0
        self.folder = Folder(owner, self.limits["disk"], child.LIBRARY)
        self._rules = _rules() if self.landlock else ()
        by_name = owner is None or _public(child.LIBRARY)
        library = child.LIBRARY if by_name else f"/proc/self/fd/{child.LIBRARY_DESCRIPTOR}"
        if not by_name:
            _rehouse(library)
        self.cell = child.Cell(
            steps=self.limits["steps"],
            cpu=self.limits["cpu"],
            folder=self.folder.path,
            owner=owner,
            ruleset=self._ruleset(),
            filter=seccomp.program() if locked else None,
            path=(library, f"{library}/lib-dynload"),
            library=os.open(child.LIBRARY, os.O_RDONLY | os.O_DIRECTORY),
        )
        self._end = 0, 0.0  # of the last child
        self.poll = select.poll()
        self.poll.register(self.door, select.POLLIN)
        if self.parent is not None:
            self.poll.register(self.parent, select.POLLIN)

    def work(self) -> None:
        """Jobs, one after the other, until the supervisor closes or is gone."""
        facts = {
            "landlock": self.landlock,
            "owner": self.cell.owner,
            "folder": self.folder.path,
            "own_folder": self.folder.own,
        }
        self.door.sendall(json.dumps(facts).encode() + b"\n")
        while self.parent not in [one for one, _ in self.poll.poll()]:
            _, descriptors, _, _ = socket.recv_fds(self.door, 1, 4)
            if len(descriptors) < 4:
                return
            kind, code = self._run(descriptors)
            if self.folder.empty() and self.cell.ruleset is not None:
                os.close(self.cell.ruleset)
                self.cell.ruleset = self._ruleset()
            self.door.sendall(REPLY.pack(kind, code))

    def _ruleset(self) -> int | None:
        if not self.landlock:
            return None
        folder = os.open(self.folder.path, os.O_PATH | os.O_DIRECTORY)
        rights = landlock.WRITE if self.folder.own else landlock.APPEND
        made = landlock.ruleset(self.landlock, (*self._rules, (folder, rights)))
        os.close(folder)
        return made

    def _run(self, descriptors: list[int]) -> tuple[int, int]:
        work, *streams = descriptors
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            child.run(self.cell, work, streams, parent)
        for one in descriptors:
            os.close(one)
        kind = self._watch(pid)
        if kind != ENDED:
            os.kill(pid, signal.SIGKILL)
            self._reap(pid)
        code, spent = self._end
        if code == -signal.SIGXCPU or (code == -signal.SIGKILL and spent >= self.limits["cpu"]):
            kind = OUT_OF_TIME
        if not self.folder.own and kind == ENDED and self.folder.full():
            kind = OUT_OF_DISK
        return kind, code

    def _reap(self, pid: int, options: int = 0) -> bool:
        """Take note of the exit code and CPU seconds of the child, if it has ended."""
        reaped, status, used = os.wait4(pid, options)
        if reaped:
            self._end = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        return reaped != 0

    def _watch(self, pid: int) -> int:
        """Wait for the child's end and reap it; says ENDED then, or why it must be killed."""
        deadline = time.monotonic() + self.limits["wall"]
        self.poll.modify(self.door, 0)  # 0: only that the other end has closed
        ended = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
        if ended >= 0:
            self.poll.register(ended, select.POLLIN)
        try:
            while (left := deadline - time.monotonic()) > 0:
                step = left if self.folder.own and ended >= 0 else min(left, _LOOK)
                ready = [one for one, _ in self.poll.poll(1000 * step)]
                if (ended in ready or ended < 0) and self._reap(pid, os.WNOHANG):
                    return ENDED
                if ready:
                    return OUT_OF_TIME  # nobody is left to tell
                if not self.folder.own and self.folder.full():
                    return OUT_OF_DISK
            return OUT_OF_TIME
        finally:
            self.poll.modify(self.door, select.POLLIN)
            if ended >= 0:
                self.poll.unregister(ended)
                os.close(ended)


def _owner() -> int | None:
    """The user that jobs run as: nobody, where there is one and this process may act for it."""
    if sys.platform != "linux" or kernel.capabilities() & _FOR_NOBODY != _FOR_NOBODY:
        return None
    with open("/proc/self/uid_map") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    known = any(first <= NOBODY < first + count for first, _, count in ranges)
    return NOBODY if known else None


def _rules() -> tuple[tuple[int, int], ...]:
    """What a job may read: the standard library, shared libraries; and /dev/null, to write too."""
    own = (child.LIBRARY, sysconfig.get_path("platstdlib"), f"{sys.base_prefix}/lib")
    allowed = dict.fromkeys((*own, *SHARED_LIBRARIES), landlock.READ)
    allowed[os.devnull] = landlock.DEVICE
    rules = []
    for name, rights in allowed.items():
        try:
            descriptor = os.open(name, os.O_PATH)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= landlock.DEVICE
        rules.append((descriptor, rights))
    return tuple(rules)


def _rehouse(library: str) -> None:
    """Let packages that are loaded find their other modules (`encodings` its codecs) from there."""
    for module in list(sys.modules.values()):
        for place, folder in enumerate(path := getattr(module, "__path__", [])):
            if folder.startswith(child.LIBRARY):
                path[place] = library + folder.removeprefix(child.LIBRARY)


def _public(name: str) -> bool:
    """Whether any user may walk down to this folder."""
    while name != "/":
        if not os.stat(name).st_mode & stat.S_IXOTH:
            return False
        name = os.path.dirname(name)
    return True


def _low(descriptor: int) -> int:
    low = os.dup(descriptor)
    os.close(descriptor)
    return low
