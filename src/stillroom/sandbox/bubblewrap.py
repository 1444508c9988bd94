"""The strong level: the command line that puts the fork server inside bubblewrap.

Inside there are namespaces of its own (network, processes, IPC, host name), an empty root with the
interpreter, its libraries and this package bound read-only, and no other file of the machine.
`--die-with-parent` is left out: it follows the thread that started bubblewrap, and a sandbox may
outlive that; the server itself watches the supervisor (server.py), and nothing survives the server.
"""

import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from stillroom.sandbox import kernel
from stillroom.sandbox.server import SHARED_LIBRARIES

_MAY_UNSHARE = 1 << 21  # CAP_SYS_ADMIN
INSTALL = "apt-get install bubblewrap (or dnf, pacman: the package has the same name)"

# What the server needs before it forks: to mount the job's folder, become another user, end the
# child of that user. The children keep none of it.
_CAPABILITIES = ("SYS_ADMIN", "SETUID", "SETGID", "KILL", "DAC_OVERRIDE", "CHOWN")


def found() -> str | None:
    """The path of bubblewrap's program, if it is installed."""
    return shutil.which("bwrap") if sys.platform == "linux" else None


def command(python: str, source: Path, environment: Mapping[str, str]) -> list[str]:
    """What to put before the server's own command line."""
    words = [found() or "bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    if not kernel.capabilities() & _MAY_UNSHARE:
        words.append("--unshare-user")
    words += ["--new-session", "--clearenv", "--cap-drop", "ALL"]
    for name in _CAPABILITIES:
        words += ["--cap-add", f"CAP_{name}"]
    for name, value in environment.items():
        words += ["--setenv", name, value]
    library = sysconfig.get_path("stdlib")
    package = str(source / "stillroom")
    for place in dict.fromkeys(
        (*SHARED_LIBRARIES, f"{sys.base_prefix}/lib", library, python, package)
    ):
        words += ["--ro-bind-try", place, place]
    words += ["--proc", "/proc", "--dev-bind", "/dev/null", "/dev/null"]
    return [*words, "--dir", "/tmp", "--chdir", "/"]
