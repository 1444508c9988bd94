"""Texts that people wrote and every machine has: the docstrings of Python's standard library."""

import ast
import os
import sysconfig
import warnings
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from stillroom.sentences import words

SEED = b"stillroom human reference 1"
LENGTH = 200
FROM_FILE = 8
NOT_PROSE = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


def human_reference(tokens: int) -> list[str]:
    """Texts that people wrote: docstrings of this Python's standard library.

    They have LENGTH characters or more; files are parsed, nothing is imported; tests and installed
    packages are left out. Each text comes once and each file gives FROM_FILE at most, in the order
    of a hash of the file's name, so that no module outweighs the others; as many as make `tokens`
    tokens of `words`, or all there are. Figures move a little with the version of Python.
    """
    count = 0
    texts: list[str] = []
    for file in _files():
        for text, size in _texts(file):
            if count >= tokens:
                return texts
            texts.append(text)
            count += size
    return texts


@lru_cache(maxsize=1)
def _files() -> tuple[Path, ...]:
    root = sysconfig.get_paths()["stdlib"]
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = set(folders) - NOT_PROSE
        found += [str(Path(folder, file).relative_to(root)) for file in files if file[-3:] == ".py"]
    return tuple(Path(root, name) for name in sorted(found, key=_order))


@lru_cache(maxsize=4000)
def _texts(file: Path) -> tuple[tuple[str, int], ...]:
    """Some docstrings of a file with their numbers of tokens."""
    texts = sorted(set(_docstrings_of(file)), key=_order)[:FROM_FILE]
    return tuple((text, len(words(text))) for text in texts)


def _order(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), key=SEED).digest()


def _docstrings_of(file: Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes: list[ast.AST] = [ast.parse(file.read_bytes())]
    except (OSError, SyntaxError, ValueError, RecursionError):
        return  # not every file of a library is for this interpreter
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and len(text) >= LENGTH:
                yield text
        for branch in ("body", "orelse", "handlers", "finalbody"):  # statements hold docstrings
            inside = getattr(node, branch, None)
            nodes.extend(inside if isinstance(inside, list) else ())
