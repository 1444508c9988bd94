"""The system calls a job may make: a list of what Python needs, everything else is refused.

A list of what is allowed, so that a call that nobody thought of, or that a later kernel brings, is
refused too. Among what is missing on purpose: fork, clone (threads too: a step count needs one
line of execution), execve, every socket, kill, ptrace, process_vm_*, mount, unshare, setns, chmod,
chown, utime, setxattr, prctl, keyctl, bpf, io_uring, memfd_create, inotify, SysV memory and queues.

Sources: docs.kernel.org/userspace-api/seccomp_filter.html; numbers from the kernel's
syscall_64.tbl (x86_64) and asm-generic/unistd.h (aarch64). The filter kills a process that
switches to another architecture's numbers, and x32's are not on the list.
"""

import ctypes
import errno
import os
import struct
import sys

from stillroom.sandbox import kernel

# name:x86_64:aarch64, "-" where an architecture has no such call. Frequent ones come first.
_ALLOWED = """
read:0:63 write:1:64 close:3:57 fstat:5:80 lseek:8:62 mmap:9:222 munmap:11:215 brk:12:214
newfstatat:262:79 getdents64:217:61 futex:202:98 mprotect:10:226 mremap:25:216 madvise:28:233
rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 sigaltstack:131:132
rt_sigpending:127:136 rt_sigtimedwait:128:137 rt_sigsuspend:130:133 restart_syscall:219:128
exit:60:93 exit_group:231:94
stat:4:- lstat:6:- statx:332:291 access:21:- faccessat:269:48 faccessat2:439:439
readlink:89:- readlinkat:267:78 getcwd:79:17 chdir:80:49 fchdir:81:50 umask:95:166
statfs:137:43 fstatfs:138:44
pread64:17:67 pwrite64:18:68 readv:19:65 writev:20:66 preadv:295:69 pwritev:296:70
preadv2:327:286 pwritev2:328:287 fsync:74:82 fdatasync:75:83 ftruncate:77:46 msync:26:227
fadvise64:221:223 flock:73:32 close_range:436:436
mkdir:83:- mkdirat:258:34 rmdir:84:- unlink:87:- unlinkat:263:35 link:86:- linkat:265:37
rename:82:- renameat:264:38 renameat2:316:276
dup:32:23 dup2:33:- dup3:292:24 pipe:22:- pipe2:293:59
poll:7:- ppoll:271:73 select:23:- pselect6:270:72 pause:34:- nanosleep:35:101
clock_nanosleep:230:115 clock_gettime:228:113 clock_getres:229:114 gettimeofday:96:169 time:201:-
times:100:153 alarm:37:- getitimer:36:102 setitimer:38:103 getrandom:318:278
getpid:39:172 getppid:110:173 gettid:186:178 getuid:102:174 geteuid:107:175 getgid:104:176
getegid:108:177 getgroups:115:158 getresuid:118:148 getresgid:120:150 getpgrp:111:- getpgid:121:155
getsid:124:156 getrusage:98:165 getrlimit:97:163 setrlimit:160:164 uname:63:160 sysinfo:99:179
sched_yield:24:124 sched_getaffinity:204:123 getcpu:309:168 rseq:334:293 set_robust_list:273:99
"""
_OPENAT, _FCNTL, _IOCTL, _PRLIMIT = (257, 56), (72, 25), (16, 29), (302, 261)

# F_SETOWN with F_SETSIG would send any signal to any process of the same user: duplicates, flags
# and locks only.
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 1030)
_IOCTL_REQUESTS = (
    0x5401,
    0x5413,
    0x541B,
    0x5450,
    0x5451,
)  # is it a terminal, how big; close-on-exec
_UNNAMED = 0x400000  # __O_TMPFILE: a file that no listing shows
_TRUNCATES = 0o1000  # O_TRUNC
_MODE = 0o3  # O_ACCMODE
_FIRST_UNKNOWN = 424  # from here numbers are alike everywhere; libc expects ENOSYS of what is newer

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, (16, 24, 32, 40)  # offsets in struct seccomp_data

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


class Program(ctypes.Structure):
    """struct sock_fprog: what the kernel takes."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def available() -> bool:
    """Whether this machine's calls are known here and the kernel filters them."""
    if sys.platform != "linux" or os.uname().machine not in _ARCHITECTURES:
        return False
    try:
        return kernel.prctl(21) in (0, 2)  # PR_GET_SECCOMP
    except OSError:
        return False


def program() -> Program:
    """The filter for this machine's architecture; KeyError where its calls are not known."""
    column, architecture = _ARCHITECTURES[os.uname().machine]
    code: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        *_when(_OPENAT[column], _opening()),
        *_when(_FCNTL[column], _one_of(1, _FCNTL_COMMANDS)),
        *_when(_IOCTL[column], _one_of(1, _IOCTL_REQUESTS)),
        *_when(_PRLIMIT[column], _one_of(0, (0,))),  # its own limits, nobody else's
    ]
    numbers = [
        int(name.split(":")[1 + column])
        for name in _ALLOWED.split()
        if name.split(":")[1 + column] != "-"
    ]
    for place, number in enumerate(numbers):
        code.append((_EQUAL, len(numbers) - place + 2, 0, number))
    code += [
        (_AT_LEAST, 0, 1, _FIRST_UNKNOWN),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return Program(len(code), b"".join(struct.pack("=HBBI", *one) for one in code))


def _when(number: int, then: list[_Instruction]) -> list[_Instruction]:
    """`then`, which returns in every case, for this call only."""
    return [(_EQUAL, 0, len(then), number), *then]


def _one_of(argument: int, values: tuple[int, ...]) -> list[_Instruction]:
    """Allowed with one of these values as the argument's lower half, refused otherwise."""
    tests = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    load = (_LOAD, 0, 0, _ARGUMENT[argument])
    return [load, *tests, (_RETURN, 0, 0, _ERROR | errno.EPERM), (_RETURN, 0, 0, _ALLOW)]


def _opening() -> list[_Instruction]:
    """No unnamed files, no truncation when opened for reading (Landlock 1 and 2 miss it)."""
    return [
        (_LOAD, 0, 0, _ARGUMENT[2]),
        (_ANY_BIT, 2, 0, _UNNAMED),
        (_AND, 0, 0, _TRUNCATES | _MODE),
        (_EQUAL, 0, 1, _TRUNCATES),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
