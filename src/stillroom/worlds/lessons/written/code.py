"""The Python in a lesson by a model: every block is run, and has to print what the lesson says."""

import re
from typing import NamedTuple

from stillroom import sandbox

_BLOCK = re.compile(
    r"^```(?:python|py|pycon|python3)[ \t]*\n(.*?)^```[ \t]*$"
    r"(?:\s*(?:[*_]*(?:output|prints|result)[*_:]*\s*)?"
    r"^```(?:text|output|console|)[ \t]*\n(.*?)^```[ \t]*$)?",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_SAID = re.compile(r"#\s*(?:→|=>|->|prints:?|output:?)\s*(.+?)\s*$", re.IGNORECASE)
_PROMPT = re.compile(r"^>>> ?", re.MULTILINE)


class Block(NamedTuple):
    """A block of code: where it stands, its source, and the lines it is said to print."""

    begin: int
    end: int
    source: str
    printed: list[str]
    whole: bool  # whether `printed` is all that it prints


class Run(NamedTuple):
    """What became of the code of a text: what was wrong ("" if nothing), and in which sandbox."""

    fault: str
    level: str


def blocks(text: str) -> list[Block]:
    """The Python blocks of a Markdown text, in their order."""
    found = []
    for one in _BLOCK.finditer(text):
        source, output = one[1], one[2]
        if _PROMPT.search(source):
            source, printed = _session(source)
            found.append(Block(one.start(), one.end(), source, printed, True))
        elif output is not None:
            found.append(Block(one.start(), one.end(), source, _lines(output), True))
        else:
            said = [m[1] for line in source.split("\n") if (m := _SAID.search(line))]
            found.append(Block(one.start(), one.end(), source, said, False))
    return found


def run(text: str) -> Run:
    """Run the blocks, each after those before it; ("", "") when there is no code."""
    found, level = blocks(text), ""
    for n, block in enumerate(found):
        before = "\n".join(one.source for one in found[:n])
        outcome = sandbox.shared().run(_program(before, block.source))
        level = outcome.level
        if outcome.status == "timeout":
            # Seconds decide here, and they differ between machines: no verdict, but a failure.
            raise TimeoutError(f"code block {n + 1} did not come to its end")
        if outcome.status != "ok":
            return Run(f"code block {n + 1} ends with {outcome.status}: {outcome.error}", level)
        if fault := _differs(block, _lines(outcome.stdout)):
            return Run(f"code block {n + 1} {fault}", level)
    return Run("", level)


def _program(before: str, source: str) -> str:
    """What came before runs unheard; each part is compiled alone, as it may not be well formed."""
    quiet = "import io as _io, sys as _sys\n_aloud, _sys.stdout = _sys.stdout, _io.StringIO()\n"
    head = f"{quiet}exec(compile({before!r}, 'before', 'exec'))\n_sys.stdout = _aloud\n"
    return f"{head if before else ''}exec(compile({source!r}, 'block', 'exec'))\n"


def _differs(block: Block, printed: list[str]) -> str:
    """ "" or how the output is not what the lesson says."""
    if block.whole:
        same = printed == block.printed
        return "" if same else f"prints {_cut(printed)}, and not {_cut(block.printed)}"
    rest = iter(printed)
    for line in block.printed:
        if not any(line.strip("'\"") == one.strip().strip("'\"") for one in rest):
            return f"does not print {line!r:.80}, but {_cut(printed)}"
    return ""


def _cut(lines: list[str]) -> str:
    return repr("\n".join(lines))[:120]


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")] if text.strip() else []


def _session(text: str) -> tuple[str, list[str]]:
    """An interactive session as a program that prints what the session shows."""
    program, printed, source = list[str](), list[str](), list[str]()

    def close() -> None:
        if source:
            program.append(f"exec(compile({chr(10).join(source) + chr(10)!r}, 'line', 'single'))")
            source.clear()

    for line in text.split("\n"):
        if line.startswith(">>>"):
            close()
            source.append(line[4:])
        elif line.startswith("...") and source:
            source.append(line[4:])
        else:
            close()
            if line.strip():
                printed.append(line.rstrip())
    close()
    return "\n".join(program), printed
