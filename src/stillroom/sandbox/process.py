"""The supervisor's side of a fork server: start it, hand it jobs, hear how they ended, end it."""

import dataclasses
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import IO, Any

from stillroom.errors import UserError
from stillroom.sandbox import bubblewrap
from stillroom.sandbox.jobs import Job, Limits
from stillroom.sandbox.server import REPLY

SOURCE = Path(__file__).parents[2]
_START = (
    "import json, sys; sys.path.insert(0, sys.argv[1]); "
    "from stillroom.sandbox.server import serve; serve(json.loads(sys.argv[2]))"
)
# As `-I` would, but PYTHONHASHSEED counts: nothing else is in the environment.
_FLAGS = ("-s", "-S", "-P", "-X", "utf8", *(["-B"] if sys.dont_write_bytecode else []))
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "TZ": "UTC0", "LD_BIND_NOW": "1"}
_PATIENCE = 30.0  # seconds until a server must stand


class Server:
    """A running fork server; `facts` is what it says of itself (see server.py)."""

    def __init__(self, level: str, limits: Limits) -> None:
        self.door, inside = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        # The server hears of our death through it, even when forks of ours keep the socket open.
        parent = os.pidfd_open(os.getpid()) if hasattr(os, "pidfd_open") else None
        settings = {
            "level": level,
            "limits": dataclasses.asdict(limits),
            "socket": inside.fileno(),
            "parent": parent,
        }
        python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        command = [python, *_FLAGS, "-c", _START, str(SOURCE), json.dumps(settings)]
        if level == "strong":
            command = [*bubblewrap.command(python, SOURCE, _ENVIRONMENT), *command]
        passed = [inside.fileno()] + ([] if parent is None else [parent])
        try:
            self.process = self._start(command, passed)
        except OSError as wrong:
            raise _no_start(level, str(wrong)) from None
        finally:
            for descriptor in passed[1:]:
                os.close(descriptor)
            inside.close()
        self.facts: dict[str, Any] = self._hear_facts(level)

    def _start(self, command: list[str], passed: list[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env=_ENVIRONMENT,
            cwd="/",
            pass_fds=passed,
            start_new_session=True,  # Ctrl-C is the supervisor's to handle
        )

    def _hear_facts(self, level: str) -> dict[str, Any]:
        heard = b""
        self.door.settimeout(_PATIENCE)
        with suppress(OSError):
            while not heard.endswith(b"\n") and (more := self.door.recv(4096)):
                heard += more
        if heard.endswith(b"\n"):
            facts: dict[str, Any] = json.loads(heard)
            return facts
        self.facts = {}
        raise _no_start(level, self.close())

    def send(self, job: Job) -> tuple[int, int]:
        """Hand over a job; descriptors to read its stdout and stderr from. OSError: server gone."""
        work = _file(json.dumps({"code": job.code, "files": dict(job.files)}).encode())
        given = _file(job.stdin.encode("utf-8", "surrogatepass"))
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        try:
            for end in (out, err):
                os.set_blocking(end, False)
            socket.send_fds(self.door, [b"j"], [work.fileno(), given.fileno(), out_end, err_end])
        except OSError:
            os.close(out)
            os.close(err)
            raise
        finally:
            work.close()
            given.close()
            os.close(out_end)
            os.close(err_end)
        return out, err

    def hear(self) -> tuple[int, int]:
        """How the job that runs ended: (kind, exit code) as server.py says. OSError: gone."""
        heard = b""
        while len(heard) < REPLY.size:
            more = self.door.recv(REPLY.size - len(heard))
            if not more:
                raise ConnectionError("the sandbox's server is gone")
            heard += more
        kind, code = REPLY.unpack(heard)
        return kind, code

    def close(self) -> str:
        """End the server and what it runs; its last words, if it had any."""
        with suppress(OSError):
            self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        _await_end(self.process.pid, 5)
        try:
            self.process.wait(0 if hasattr(os, "pidfd_open") else 5)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.facts and not self.facts["own_folder"]:
            rmtree(self.facts["folder"], ignore_errors=True)
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        self._errors.close()
        return words[-1] if words else f"it ended with {self.process.returncode}"

    def forget(self) -> None:
        """Close this process's ends only; the server goes on with whoever started it."""
        self.door.close()
        self._errors.close()


def _await_end(pid: int, seconds: float) -> None:
    """Sleep until that child has ended. Popen.wait would look, and sleep, and look again."""
    if hasattr(os, "pidfd_open"):
        ended = os.pidfd_open(pid)
        watch = select.poll()
        watch.register(ended, select.POLLIN)
        watch.poll(1000 * seconds)
        os.close(ended)


def _no_start(level: str, why: str) -> UserError:
    return UserError(
        f"the sandbox of level {level!r} does not start: {why}",
        do="`stillroom.sandbox.probe()` says what this machine offers",
    )


def _file(content: bytes) -> IO[bytes]:
    """An open file without a name that holds this, at its beginning, sealed where Linux can."""
    if not hasattr(os, "memfd_create"):
        file = tempfile.TemporaryFile()  # noqa: SIM115
    else:
        file = open(os.memfd_create("job", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC), "w+b")  # noqa: SIM115
    file.write(content)
    file.flush()
    file.seek(0)
    if hasattr(os, "memfd_create"):
        every = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(file.fileno(), fcntl.F_ADD_SEALS, every)
    return file
