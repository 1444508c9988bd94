"""Human corpora for the tests: texts that are nobody's near-duplicate, rows, files, small runs."""

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stillroom.stages.mix import Report, mix

RELEASE = {"kind": "release", "date": "2020-05-04", "sha256": "ab" * 32}
WORDS = [a + b + c for a in "bdklmnprst" for b in ("a", "e", "io", "u") for c in ("n", "rst", "lo")]


def text(number: int, words: int = 30) -> str:
    """A text of its own for each number."""
    draw = random.Random(number)
    return " ".join(draw.choices(WORDS, k=words))


def row(number: int, *evidence: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"text": text(number), "evidence": list(evidence or (RELEASE,)), **more}


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def tables(key: str, *sources: dict[str, Any]) -> str:
    """A setting that names these sources, in TOML."""

    def value(one: Any) -> str:
        if isinstance(one, dict):
            return "{" + ", ".join(f"{k} = {value(v)}" for k, v in one.items()) + "}"
        if isinstance(one, list):
            return f"[{', '.join(map(value, one))}]"
        return json.dumps(one)

    return f"mix.{key}=[{', '.join(value(one) for one in sources)}]"


def mixed(
    run: Path, out: Path, *sources: Path | dict[str, Any], more: Sequence[str] = ()
) -> Report:
    told = [{"path": str(one)} if isinstance(one, Path) else one for one in sources]
    return mix(run, out=out, settings=(tables("human", *told), *more), trust_code=True)
