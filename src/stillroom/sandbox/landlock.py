"""Landlock: this process, and what it starts, may open only the named folders, and no TCP.

Source: docs.kernel.org/userspace-api/landlock.html. Needs Linux 5.13; later kernels (a higher ABI)
add truncation (3), TCP (4), devices' ioctl (5), signals and abstract sockets (6). Names and sizes
of files (stat) stay visible; only opening, making and removing are governed.
"""

import ctypes
import sys
from collections.abc import Iterable

from stillroom.sandbox import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1

WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, TRUNCATE = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 14

READ = READ_FILE | READ_DIR
APPEND = READ | WRITE_FILE | MAKE_REG | TRUNCATE  # plain files, none taken away again
WRITE = APPEND | MAKE_DIR | REMOVE_FILE | REMOVE_DIR  # no links, pipes, sockets or devices
DEVICE = READ_FILE | WRITE_FILE


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    try:
        return kernel.call(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


def ruleset(version: int, rules: Iterable[tuple[int, int]]) -> int:
    """A descriptor of a ruleset: (open descriptor of a folder or file, rights) and nothing else.

    `version` is what `abi` said; rights it doesn't know are left out.
    """
    governed = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    net = 3 if version >= 4 else 0
    scoped = 3 if version >= 6 else 0
    wanted = _Ruleset(governed, net, scoped)
    size = 8 * (1 + (version >= 4) + (version >= 6))
    made = kernel.call(_CREATE, ctypes.byref(wanted), size, 0)
    for parent, rights in rules:
        rule = _PathBeneath(rights & governed, parent)
        kernel.call(_ADD, made, _PATH_BENEATH, ctypes.byref(rule), 0)
    return made


def restrict(made: int) -> None:
    """Hold this process, and what it forks, to a ruleset, for good; after `no_new_privileges`."""
    kernel.call(_RESTRICT, made, 0)
