"""What goes wrong and whose fault it is; each kind has one exit code."""

import errno

DONE, OUR_BUG, USER_MISTAKE, SAID_NO, STOPPED, INTERRUPTED = 0, 1, 2, 3, 4, 130


class UserError(Exception):
    """The user's mistake: what is wrong, where it stands, and what to do about it."""

    code = USER_MISTAKE

    def __init__(self, what: str, where: object = "", do: str = "") -> None:
        self.what, self.where, self.do = what, str(where), do
        place = f"  where: {where}" if str(where) else ""
        super().__init__("\n".join(filter(None, [what, place, do])))


class Stopped(UserError):
    """A run that ended early, with the numbers; nothing is lost and it can go on."""

    code = STOPPED


DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}


def disk_trouble(wrong: OSError) -> tuple[str, str, str]:
    """A failed write in words: what, where, what to do. Shards are written whole or not at all."""
    where = str(wrong.filename or "")
    if wrong.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "the disk is full", where, "make room and run the same command: it goes on from here"
    why = (wrong.strerror or str(wrong)).lower()
    return f"can't write: {why}", where, "make the folder writable, or give another one with --out"
