"""Twelve things hostile code tries, each with what outside would be harmed if it worked.

An attack reads its targets (`Victim.targets`) as JSON from standard input. `harm` looks at the
target, not only at what the code says. `outside` runs the same code without a sandbox: an attack
that does no harm there proves nothing. Used by bench/boxes.py and tests/test_sandbox.py.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stillroom.sandbox import Limits, Outcome, Sandbox

LIMITS = Limits(steps=None, wall=5.0, cpu=2, memory=256, disk=4, output=100_000)
SECRET = "the-secret-of-the-house"
HONEST = "import math\nprint(math.sqrt(16))"


class Victim:
    """What an attack could reach: a file, a folder, a server, a process, a secret variable."""

    def __enter__(self) -> "Victim":
        self._folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.folder = Path(self._folder.name)
        self.folder.chmod(0o777)
        self.secret = self.folder / "secret.txt"
        self.secret.write_text(SECRET)
        self.secret.chmod(0o666)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.process = subprocess.Popen(["sleep", "60"], env={"SECRET": SECRET})
        os.environ["STILLROOM_TEST_SECRET"] = SECRET
        self.targets = json.dumps(
            {
                "secret": str(self.secret),
                "new": str(self.folder / "new.txt"),
                "port": self.server.getsockname()[1],
                "pid": self.process.pid,
                "parent": os.getpid(),
            }
        )
        return self

    def __exit__(self, *_: object) -> None:
        del os.environ["STILLROOM_TEST_SECRET"]
        self.server.close()
        self.process.kill()
        self.process.wait()
        self._folder.cleanup()

    def was_called(self) -> bool:
        """Whether somebody connected to the server."""
        with suppress(BlockingIOError):
            self.server.accept()[0].close()
            return True
        return False

    def has_changed(self) -> bool:
        """Whether somebody wrote into the folder or the file."""
        return [*self.folder.iterdir()] != [self.secret] or self.secret.read_text() != SECRET


Harm = Callable[[Outcome, Victim], bool]


@dataclass(frozen=True)
class Attack:
    """Code, and whether it did harm; `after` is a second job that the first one was aiming at."""

    name: str
    code: str
    harm: Harm
    after: str = HONEST


def _says(outcome: Outcome, _: Victim) -> bool:
    return "REACHED" in outcome.stdout or SECRET in outcome.stdout + outcome.stderr


def _left_running(outcome: Outcome, _: Victim) -> bool:
    for word in outcome.stdout.split():
        with suppress(OSError, ValueError):
            os.kill(int(word), 0)
            os.kill(int(word), signal.SIGKILL)
            return True
    return False


_START = "import json, os, sys\nt = json.loads(input())\n"

ATTACKS = (
    Attack(
        "network",
        """
import socket
try:
    socket.create_connection(("127.0.0.1", t["port"]), 2)
except OSError:
    socket.socket(socket.AF_UNIX).connect("\\0stillroom")
""",
        lambda _, victim: victim.was_called(),
    ),
    Attack(
        "files",
        """
for attempt in (
    lambda: print(open(t["secret"]).read()),
    lambda: open(t["secret"], "a").write("!"),
    lambda: open(t["new"], "w").write("!"),
    lambda: os.truncate(t["secret"], 0),
    lambda: os.close(os.open(t["secret"], os.O_RDONLY | os.O_TRUNC)),
    lambda: os.chmod(t["secret"], 0),
    lambda: os.rename(t["secret"], t["new"]),
    lambda: os.link(t["secret"], t["new"]),
    lambda: os.mkdir(t["new"]),
    lambda: os.unlink(t["secret"]),
):
    try:
        attempt()
    except OSError:
        pass
""",
        lambda outcome, victim: _says(outcome, victim) or victim.has_changed(),
    ),
    Attack(
        "environment",
        """
print(os.environ)
for pid in ("self", t["parent"], os.getppid(), t["pid"]):
    try:
        print(open(f"/proc/{pid}/environ").read())
    except OSError:
        pass
""",
        _says,
    ),
    Attack(
        "fork",
        """
for _ in range(50):
    if os.fork() == 0:
        os._exit(0)
print("REACHED")
""",
        _says,
    ),
    Attack(
        "memory",
        """
hoard = [bytearray(1 << 20) for _ in range(400)]
print("REACHED")
""",
        _says,
    ),
    Attack(
        "disk",
        """
import tempfile
os.chdir(tempfile.mkdtemp(dir="."))
for number in range(8):
    open(f"big{number}", "wb").write(bytes(1 << 20))
for number in range(2000):
    open(f"small{number}", "w")
print("REACHED")
""",
        _says,
    ),
    Attack(
        "output flood",
        """
for _ in range(100):
    os.write(1, b"x" * (1 << 16))
    os.write(2, b"x" * (1 << 16))
""",
        lambda outcome, _: len(outcome.stdout) + len(outcome.stderr) > LIMITS.output,
    ),
    Attack(
        "signals",
        """
import signal
os.kill(t["pid"], signal.SIGKILL)
""",
        lambda _, victim: _is_gone(victim),
    ),
    Attack(
        "ptrace",
        """
import ctypes
libc = ctypes.CDLL(None)
for pid in (t["pid"], os.getppid()):
    if libc.ptrace(16, pid, 0, 0) == 0:
        os.waitpid(pid, 0)
        libc.ptrace(17, pid, 0, 0)
        print("REACHED by ptrace")
    try:
        open(f"/proc/{pid}/mem", "rb")
        print("REACHED by /proc")
    except OSError:
        pass
""",
        _says,
    ),
    Attack(
        "symlink",
        """
try:
    os.symlink(t["secret"], "link")
finally:
    print(open("link").read())
    open("link", "a").write("!")
""",
        lambda outcome, victim: _says(outcome, victim) or victim.has_changed(),
    ),
    Attack(
        "import hook",
        """
import builtins, math
math.sqrt = lambda _: "REACHED through the module"
builtins.input = lambda: "REACHED through a builtin"
class Finder:
    def find_spec(self, *_):
        print("REACHED through a hook")
sys.meta_path.insert(0, Finder())
sys.path.insert(0, os.getcwd())
for folder in (os.getcwd(), "/proc/self/fd/3"):  # the second: the library, inside only
    for name in ("csv.py", "__pycache__/csv.cpython-311.pyc", "planted.py"):
        try:
            open(f"{folder}/{name}", "w").write("print('REACHED through a file')")
        except OSError:
            pass
""",
        _says,
        after="""
import math, csv
print(math.sqrt(16))
try:
    import planted
except ImportError:
    pass
""",
    ),
    Attack(
        "zombie",
        """
if os.fork() == 0:
    os.setsid()
    if (pid := os.fork()) == 0:
        os.close(0), os.close(1), os.close(2)
        import time
        time.sleep(60)
    os.write(1, f"\\n{pid}\\n".encode())
    os._exit(0)
""",
        _left_running,
    ),
)


def _is_gone(victim: Victim) -> bool:
    with suppress(subprocess.TimeoutExpired):
        victim.process.wait(0.2)
        return True
    return False


def outside(attack: Attack, victim: Victim) -> bool:
    """Whether the attack does harm when nothing holds it; both its jobs share one interpreter."""
    code = f"exec({_START + attack.code!r})\nexec({attack.after!r})"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=victim.targets,
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
    return attack.harm(Outcome("ok", done.stdout, done.stderr, "", "none"), victim)


def contained(attack: Attack, sandbox: Sandbox, victim: Victim) -> bool:
    """Whether it did no harm, and the sandbox still does honest work afterwards."""
    first = sandbox.run(_START + attack.code, victim.targets)
    second = sandbox.run(attack.after)
    harmed = attack.harm(first, victim) or _says(second, victim)
    return not harmed and (second.status, second.stdout) == ("ok", "4.0\n")
