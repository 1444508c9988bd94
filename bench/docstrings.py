"""Make the packaged human corpus `docstrings` again from the six wheels that it was taken from.

    python bench/docstrings.py FOLDER_OF_WHEELS

The wheels are public releases of 2021 (`pip download --no-deps NAME==VERSION`, for Python 3.9 where
they are compiled); their sha256 and dates stand in src/stillroom/corpora/docstrings.toml. Every
docstring of a module, class or function outside the tests that is prose of 30 to 400 words is one
document. Prints what was found; the file is written only where all six wheels match their hash.
"""

import ast
import inspect
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HOME = Path(__file__).resolve().parents[1] / "src" / "stillroom" / "corpora"
A_PACKAGE = 900  # documents, so that no package is most of the corpus
WORDS = (30, 400)
SECTION = re.compile(r"\n(Examples?|References|Notes|Doctest|>>>)\b.*", re.DOTALL)


def documents(wheel: Path) -> Iterator[tuple[str, str]]:
    """(module, docstring as prose) of a wheel, in the order of its files."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith(".py") or "test" in name or "externals" in name:
                continue
            module = name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            for node in ast.walk(ast.parse(archive.read(name))):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    yield module, prose(ast.get_docstring(node, clean=False) or "")


def prose(docstring: str) -> str:
    """A docstring without its examples and references: they are code and citations."""
    text = SECTION.sub("", inspect.cleandoc(docstring)).strip()
    few, many = WORDS
    return text if few <= len(text.split()) <= many and ">>>" not in text else ""


def spread(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """At most A_PACKAGE of them, evenly over the package."""
    step = max(1.0, len(found) / A_PACKAGE)
    return [found[int(n * step)] for n in range(min(A_PACKAGE, len(found)))]


def main(folder: Path) -> None:
    about = tomllib.loads((HOME / "docstrings.toml").read_text())
    rows, seen = [], set[str]()
    for release in about["release"]:
        wheel = folder / release["file"]
        if sha256(wheel.read_bytes()).hexdigest() != release["sha256"]:
            sys.exit(f"{wheel} is not the release that the corpus was made from")
        found = []
        for module, text in documents(wheel):
            if text and text not in seen:
                seen.add(text)
                found.append((module, text))
        kept = spread(found)
        print(f"{release['source']}: {len(found)} docstrings, {len(kept)} kept")
        evidence = [{key: release[key] for key in ("kind", "date", "sha256")}]
        rows += [
            {
                "text": text,
                "source": release["source"],
                "module": module,
                "licence": release["licence"],
                "evidence": evidence,
            }
            for module, text in kept
        ]
    pq.write_table(pa.Table.from_pylist(rows), HOME / "docstrings.parquet", compression="zstd",
                   compression_level=19)  # fmt: skip
    print(f"{len(rows)} documents")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
