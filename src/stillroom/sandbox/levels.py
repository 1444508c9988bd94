"""Which levels this machine offers, ingredient by ingredient, and which one is used."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stillroom.errors import UserError
from stillroom.sandbox import bubblewrap, landlock, seccomp

LEVELS = ("strong", "default", "none")
LEVEL_VARIABLE, UNSAFE_VARIABLE = "STILLROOM_SANDBOX", "STILLROOM_UNSAFE"


@dataclass(frozen=True)
class Report:
    """`level`: what a Sandbox uses unless told otherwise; `levels`: what there is here, best first.

    `ingredients`: a sentence each on "landlock", "seccomp", "user", "folder" and "bubblewrap".
    """

    level: str
    levels: tuple[str, ...]
    ingredients: Mapping[str, str]


@lru_cache(maxsize=1)
def probe() -> Report:
    """Find out by starting a sandbox of every level, once per process (some 100 ms)."""
    facts: dict[str, Any] = {}
    for level in LEVELS[:2]:
        if level == "strong" and not bubblewrap.found():
            facts[level] = f"is not installed: {bubblewrap.INSTALL}"
        elif not _kernel_offers(level):
            facts[level] = "can't be used: the system calls can't be filtered here"
        else:
            facts[level] = _try(level)
    levels = tuple(one for one in LEVELS[:2] if isinstance(facts[one], dict))
    known = next((one for one in reversed(tuple(facts.values())) if isinstance(one, dict)), None)
    return Report(choose(None), (*levels, "none"), _sentences(known, facts))


def choose(level: str | None) -> str:
    """The level to use: the one asked for, or STILLROOM_SANDBOX, or "default" where it works.

    UserError for a level that is not known or not to be had here.
    """
    asked = level or os.environ.get(LEVEL_VARIABLE) or None
    if asked is None:
        if _kernel_offers("default"):
            return "default"
        return "strong" if _kernel_offers("strong") and _usable() else "none"
    if asked not in LEVELS:
        raise UserError(f"there is no sandbox level {asked!r}", do=f"give one of {LEVELS}")
    if not _kernel_offers(asked):
        raise UserError(
            f"sandbox level {asked!r} is not to be had here",
            do=bubblewrap.INSTALL if asked == "strong" and seccomp.available() else _needs(),
        )
    return asked


def refuse_unsafe(level: str) -> None:
    """UserError at level "none", unless STILLROOM_UNSAFE=1 says that the user knows."""
    if level == "none" and os.environ.get(UNSAFE_VARIABLE) != "1":
        raise UserError(
            "code that nobody has read would run without a sandbox",
            "sandbox level none",
            f"{_needs()}, or install bubblewrap; or take the risk: --unsafe, {UNSAFE_VARIABLE}=1",
        )


def _kernel_offers(level: str) -> bool:
    if level == "none":
        return True
    other = landlock.abi() > 0 if level == "default" else bubblewrap.found() is not None
    return other and seccomp.available()


def _needs() -> str:
    return "use Linux 5.13 or later with Landlock on x86_64 or aarch64"


@lru_cache(maxsize=1)
def _usable() -> bool:
    return isinstance(_try("strong"), dict)


def _try(level: str) -> dict[str, Any] | str:
    """The facts of a sandbox of this level, or why there is none."""
    from stillroom.sandbox.box import Sandbox

    try:
        with Sandbox(level) as sandbox:
            return sandbox.facts()
    except UserError as wrong:
        return f"is installed but can't be used: {wrong.what}"


def _sentences(known: dict[str, Any] | None, facts: dict[str, Any]) -> dict[str, str]:
    abi = landlock.abi()
    linux = "" if sys.platform == "linux" else f": this is {sys.platform}, not Linux"
    strong = facts["strong"] if isinstance(facts["strong"], str) else "works"
    user = "jobs run as this process's own user: changing it takes root's capabilities"
    if known is not None and known["owner"] is not None:
        user = f"jobs run as user {known['owner']} (nobody)"
    folder = "a plain folder, looked at 100 times a second; files can't be removed by the job"
    if known is not None and known["own_folder"]:
        folder = "a file system in memory of the job's own, of a fixed size"
    return {
        "landlock": f"Landlock has ABI {abi}" if abi else f"Landlock is not there{linux or _old()}",
        "seccomp": "system calls are filtered by a list of allowed ones"
        if seccomp.available()
        else f"system calls can't be filtered{linux or ': unknown architecture'}",
        "user": user,
        "folder": folder,
        "bubblewrap": f"bubblewrap {strong}",
    }


def _old() -> str:
    return ": it needs Linux 5.13 and `landlock` among the kernel's security modules"
