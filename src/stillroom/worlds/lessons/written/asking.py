"""How a model is asked: the prompts, and the passes draft, critique, revise."""

import asyncio
import re
import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, NamedTuple

from stillroom.world import Message, Teacher, Verdict

Judge = Callable[[str], Verdict]
PASSES = ("draft", "critique", "revise")


class Best(NamedTuple):
    """The best version of a text, and which pass it comes from."""

    text: str
    version: str


def prompt(name: str, **words: str) -> str:
    """A prompt with its places filled in."""
    return Template(_prompts()[name]).substitute(words).strip()


def chat(user: str, system: bool = True) -> list[Message]:
    said = [{"role": "user", "content": user}]
    return [{"role": "system", "content": prompt("system")}, *said] if system else said


async def best_of_passes(
    teacher: Teacher, first: list[Message], audience: str, passes: Sequence[str], judge: Judge
) -> Best:
    """Draft, have it criticised (with what the check found), revise; keep the best verified one.

    A revision may break what was right, so each version is judged; of two that pass, the later
    one counts, of two that don't, the one with more under a check.
    """
    draft = unfenced((await teacher.ask(first)).text)
    found = await asyncio.to_thread(judge, draft)  # it may run code for a while
    if "critique" not in passes:
        return Best(draft, "draft")
    findings = f"A program found: {found.reason}." if not found.ok else "A program found no fault."
    talk = [*first, {"role": "assistant", "content": draft}]
    asked = prompt("critique", audience=audience, findings=findings)
    critique = (await teacher.ask([*talk, {"role": "user", "content": asked}])).text
    if "revise" not in passes:
        return Best(draft, "draft")
    talk += [{"role": "user", "content": asked}, {"role": "assistant", "content": critique}]
    talk.append({"role": "user", "content": prompt("revise")})
    revision = unfenced((await teacher.ask(talk)).text)
    again = await asyncio.to_thread(judge, revision)
    better = again.score >= found.score or again.ok
    if better if again.ok == found.ok else again.ok:
        return Best(revision, "revision")
    return Best(draft, "draft")


def unfenced(text: str) -> str:
    """A text that came whole in a ```markdown fence, without it."""
    found = re.fullmatch(r"```(?:markdown|md)?[ \t]*\n(.*)\n```", text.strip(), re.DOTALL)
    return found[1] if found else text.strip()


@cache
def _prompts() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "prompts.toml").read_text("utf-8"))
