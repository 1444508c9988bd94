"""The folder a job works in: empty for every job, and never larger than it may be."""

import os
import sys

from stillroom.sandbox import kernel

ENTRIES = 1000  # files and folders a job may make


class Folder:
    """A file system in memory where this process may mount one (`own`), else a plain folder.

    The first has a size, and the kernel takes it away when this process ends, however it ends. It
    lies at the same place on every machine, so that a job sees the same path. A plain folder is
    bounded by looking (`full`), which needs jobs that can't remove files (`landlock.APPEND`).
    `owner`: the user that jobs run as; None: this process's own. `megabytes`: the size.
    """

    def __init__(self, owner: int | None, megabytes: int, avoid: str) -> None:
        self.owner, self.size = owner, megabytes << 20
        self.path = "/var/tmp" if avoid.startswith("/tmp/") else "/tmp"
        self.own = sys.platform == "linux" and kernel.may_own_mounts() and self._first_mount()
        if not self.own:
            import tempfile  # its many libraries would make every fork dearer

            self.path = tempfile.mkdtemp(prefix="stillroom-job-")
            if owner is not None:
                os.chown(self.path, owner, owner)

    def _first_mount(self) -> bool:
        kernel.own_mounts()
        try:
            self._mount()
        except OSError:
            return False
        return True

    def _mount(self) -> None:
        user, group = self.owner, self.owner
        if user is None or group is None:
            user, group = os.geteuid(), os.getegid()
        kernel.mount_memory(self.path, self.size, ENTRIES, user, group)

    def full(self) -> bool:
        """Whether more was written than may be. It stops looking as soon as that is known."""
        size = count = 0
        for where, folders, files in os.walk(self.path):
            count += len(folders) + len(files)
            if count > ENTRIES:
                return True
            for name in files:
                try:
                    size += os.lstat(os.path.join(where, name)).st_blocks << 9
                except FileNotFoundError:
                    continue
        return size > self.size

    def empty(self) -> bool:
        """Make it as new, whatever the last job left; True when it had to be another folder."""
        with os.scandir(self.path) as entries:
            left = [entry.path for entry in entries]
        if left and self.own:
            # Not removed one by one: a tree may be too deep to walk.
            kernel.unmount(self.path)
            self._mount()
            return True
        for path in left:
            if os.path.isdir(path) and not os.path.islink(path):
                import shutil

                shutil.rmtree(path)
            else:
                os.unlink(path)
        return False

    def remove(self) -> None:
        """Take a plain folder away; the other goes by itself."""
        if not self.own:
            import shutil

            shutil.rmtree(self.path, ignore_errors=True)
