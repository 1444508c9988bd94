"""Calls to Linux that Python's standard library has no name for, each in one line.

Importable everywhere; only calling needs Linux. Numbers are the kernel's own (man 2 of each call).
"""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

NEW_NAMESPACE, NEW_USER = 0x00020000, 0x10000000  # unshare(2): CLONE_NEWNS, CLONE_NEWUSER
_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
_RECURSIVE_PRIVATE = 0x4000 | 0x40000
_DETACH = 2
_SET_DEATH_SIGNAL, _SET_DUMPABLE, _SET_NO_NEW_PRIVILEGES, _SET_SECCOMP = 1, 4, 38, 22
_CAPABILITY_VERSION_3 = 0x20080522


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(number: int, *arguments: object) -> int:
    """A system call by its number; OSError when the kernel says no. Plain integers go as long."""
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return _checked(int(_libc.syscall(ctypes.c_long(number), *given)))


def prctl(option: int, value: int = 0, pointer: object = 0) -> int:
    """prctl(2) with its unused arguments zero, as several options demand."""
    third = ctypes.c_ulong(pointer) if isinstance(pointer, int) else pointer
    zero = ctypes.c_ulong(0)
    return _checked(int(_libc.prctl(option, ctypes.c_ulong(value), third, zero, zero)))


def die_with_parent(parent: int) -> None:
    """SIGKILL for this process when the thread that forked it ends; must follow setuid."""
    prctl(_SET_DEATH_SIGNAL, 9)
    if os.getppid() != parent:
        os._exit(1)


def hide_memory() -> None:
    """No process of the same user may trace this one or read its memory."""
    prctl(_SET_DUMPABLE, 0)


def no_new_privileges() -> None:
    """No setuid program gives back what was given up; Landlock and seccomp demand it."""
    prctl(_SET_NO_NEW_PRIVILEGES, 1)


def load_filter(program: ctypes.Structure) -> None:
    """Put a seccomp filter (`seccomp.program`) on this process, for good."""
    prctl(_SET_SECCOMP, 2, ctypes.byref(program))


def drop_capabilities() -> None:
    """Give up every capability of this process (capset(2)), ambient ones with them."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _checked(int(_libc.capset(header, (ctypes.c_uint32 * 6)())))


def capabilities() -> int:
    """The capabilities this process has, a bit each (capabilities(7))."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("CapEff"))


def own_mounts() -> None:
    """A mount namespace of this process's own; for a plain user inside a user namespace of its own.

    OSError where the host forbids it, as Docker and Ubuntu's AppArmor do; this process may then be
    of no user, so try in another one first (`may_own_mounts`).
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _checked(_libc.unshare(NEW_NAMESPACE))
    else:
        _checked(_libc.unshare(NEW_USER | NEW_NAMESPACE))
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _checked(_libc.mount(None, b"/", None, ctypes.c_ulong(_RECURSIVE_PRIVATE), None))


def may_own_mounts() -> bool:
    """Whether `own_mounts` works here, found out by a forked process."""
    pid = os.fork()
    if pid == 0:
        try:
            own_mounts()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def mount_memory(folder: str, size: int, files: int, user: int, group: int) -> None:
    """An empty file system in memory over `folder`: at most `size` bytes and `files` entries."""
    options = f"size={size},nr_inodes={files},mode=700,uid={user},gid={group}".encode()
    flags = ctypes.c_ulong(_NOSUID_NODEV_NOEXEC)
    _checked(_libc.mount(b"tmpfs", folder.encode(), b"tmpfs", flags, options))


def unmount(folder: str) -> None:
    """Take away what was mounted last on `folder`, whatever is in it."""
    _checked(_libc.umount2(folder.encode(), _DETACH))
