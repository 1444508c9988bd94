"""Figures of near-duplicate removal: speed with and without Numba, recall, precision, rivals.

Documents of 1 kB are chains of word pairs of people's docstrings between heads and feet that many
share; a tenth are rewritings of another at Jaccard similarities from 0.6 to 1, counted here by
other means. datasketch and rensa run on the same documents where their environment is
(`bench/rivals/venvs.py near` builds it; RIVALS names another folder); else their figures are null.
Alone: `python bench/near_duplicates.py [--quick]`.
"""

import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from figures import Figure, apart, command_line

HERE = Path(__file__).resolve().parent
SIZE, COPIES, THRESHOLD = 1000, 0.1, 0.8
RIVALS = ("datasketch", "rensa", "rensa_rho")
WORD = re.compile(r"[^\W_]+|[-+*/=<>^%]")


def documents(count: int, seed: int = 0) -> tuple[list[str], dict[int, int]]:
    """Documents of about SIZE characters, and of each rewriting the number of its original."""
    rng = random.Random(seed)
    after = _pairs()
    starts = sorted(after)
    frames = [_chain(after, starts, rng, SIZE // 8) for _ in range(80)]
    texts: list[str] = []
    originals: dict[int, int] = {}
    while len(texts) < count:
        plain = [n for n in range(max(0, len(texts) - 5000), len(texts)) if n not in originals]
        if plain and rng.random() < COPIES:
            original = rng.choice(plain)
            originals[len(texts)] = original
            texts.append(_rewritten(texts[original], starts, rng))
        else:
            body = _chain(after, starts, rng, 3 * SIZE // 4)
            texts.append(f"{rng.choice(frames[:40])}\n\n{body}\n\n{rng.choice(frames[40:])}\n")
    return texts, originals


def _pairs() -> dict[str, list[str]]:
    from stillroom.docstrings import human_reference

    after: dict[str, list[str]] = {}
    for text in human_reference(150_000):
        words = [word for word in text.split() if word.isascii()]
        for one, two in pairwise(words):
            after.setdefault(one, []).append(two)
    return after


def _chain(after: dict[str, list[str]], starts: list[str], rng: random.Random, size: int) -> str:
    words = [rng.choice(starts)]
    length = len(words[0])
    while length < size:
        words.append(rng.choice(after.get(words[-1], starts)))
        length += 1 + len(words[-1])
    return " ".join(words)


def _rewritten(text: str, words: list[str], rng: random.Random) -> str:
    """Some words replaced, left out or put in, some in capitals: which words tell nothing."""
    share = rng.uniform(0, 0.05)
    out = []
    for word in text.split():
        if rng.random() < share:
            word = rng.choice((rng.choice(words), "", f"{word} {rng.choice(words)}"))
        out.append(word.upper() if rng.random() < 0.02 else word)
    return " ".join(out)


def pieces(text: str) -> set[tuple[str, ...]]:
    """The set of five successive words: what the similarity is counted by here."""
    words = WORD.findall(text.lower())
    return set(zip(*(words[place:] for place in range(5)), strict=False))


def jaccard(left: str, right: str) -> float:
    one, two = pieces(left), pieces(right)
    return len(one & two) / max(1, len(one | two))


def ours(file: str, compiled: bool) -> dict[str, Any]:
    """Documents a CPU-second, of several rounds the best, and what was found."""
    if not compiled:
        sys.modules["numba"] = None  # type: ignore[assignment]
    from stillroom import minhash

    minhash.COMPILED = 0 if compiled else sys.maxsize
    texts = json.loads(Path(file).read_text())
    read = _batches(texts)
    began = time.process_time()
    found = minhash.first_copies(read, threshold=THRESHOLD)  # imports and compiles, too
    first = time.process_time() - began
    best = min(_cpu(lambda: minhash.first_copies(read, threshold=THRESHOLD)) for _ in range(3))
    return {
        "per_s": len(texts) / best,
        "first_s": first - best,
        "found": found.tolist(),
        "compiled": "stillroom.minhash_kernels" in sys.modules,
    }


def memory(count: int) -> dict[str, Any]:
    """Memory that so many texts take beyond what few take, and CPU-seconds, reading included."""
    from stillroom import minhash

    some, _ = documents(4000)

    def read() -> Iterator[list[str]]:
        for start in range(0, count, 1000):
            # Each a text of its own: the number stands once in every 50 words.
            yield [_numbered(some[n % len(some)], n) for n in range(start, start + 1000)]

    minhash.first_copies(_batches(some[:3000] * 4))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    making = 2 * _cpu(lambda: [None for _ in read()])
    found: list[int] = []
    spent = _cpu(lambda: found.extend(minhash.first_copies(read).tolist())) - making
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = (after - before) / 1024
    return {"megabytes": megabytes, "cpu_s": spent, "dropped": sum(n >= 0 for n in found)}


def template(count: int) -> dict[str, Any]:
    """CPU-microseconds a text where all share a template: similar to 0.7, so that all are kept."""
    from stillroom import minhash

    rng = random.Random(0)
    words = [f"w{n}" for n in range(5000)]
    head = " ".join(rng.choices(words, k=125))
    texts = [f"{head} {' '.join(rng.choices(words, k=25))}" for _ in range(count)]
    minhash.first_copies(_batches(texts[:10_000]))
    spent = _cpu(lambda: minhash.first_copies(_batches(texts)))
    return {"microseconds": 1e6 * spent / count}


def _numbered(text: str, number: int) -> str:
    return f"{number} " + text.replace(" the ", f" {number} ").replace(" a ", f" {number} ")


def _batches(texts: Sequence[str]) -> Callable[[], Iterator[Sequence[str]]]:
    return lambda: (texts[start : start + 1000] for start in range(0, len(texts), 1000))


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _rival(tool: str, file: str, count: int) -> dict[str, Any] | None:
    folder = Path(os.environ.get("RIVALS", HERE.parent / ".venvs"))
    python = folder / "near" / "bin" / "python"
    if not python.exists():
        return None
    command = [python, HERE / "rivals" / "with_near.py", tool, file, str(count)]
    print(f"{tool} {count}", file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "ours": ours,
    "memory": memory,
    "template": template,
}


def measure(script: str, quick: bool) -> list[Figure]:
    """All figures; `script` is the bench whose command line knows PARTS."""
    count, few = (6000, 1000) if quick else (30_000, 3000)
    texts, originals = documents(count)
    near = {n: jaccard(texts[n], texts[m]) for n, m in originals.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "documents.json")
        Path(file).write_text(json.dumps(texts))
        numba, arrays = apart(script, "ours", file, True), apart(script, "ours", file, False)
        rivals = {
            tool: _rival(tool, file, few if tool == "datasketch" else count) for tool in RIVALS
        }
    assert numba["found"] == arrays["found"], "Numba and NumPy differ"
    found = {n: m for n, m in enumerate(numba["found"]) if m >= 0}
    right = [jaccard(texts[n], texts[m]) >= THRESHOLD for n, m in found.items()]
    fast = numba["per_s"] if numba["compiled"] else None
    planted = _planted(near, count)
    edge = [n for n in planted if near[n] < THRESHOLD + 0.05]
    figures = [
        Figure("near-duplicates: 1 kB documents, Numba", fast, "1/CPU-s", ">= 50000", count),
        Figure(
            "near-duplicates: 1 kB documents, NumPy", arrays["per_s"], "1/CPU-s", ">= 8000", count
        ),
        Figure(
            "near-duplicates: recall at Jaccard 0.8 and above",
            _recall(planted, found), "", ">= 0.95", len(planted),
        ),
        Figure(
            "near-duplicates: recall at Jaccard 0.8 to 0.85",
            _recall(edge, found), "", ">= 0.95", len(edge),
        ),
        Figure(
            "near-duplicates: precision", sum(right) / len(right), "", ">= 0.99", len(right)
        ),
        Figure(
            "near-duplicates: what Numba takes once in a process, from its cache or to compile",
            numba["first_s"] if fast else None, "CPU-s", "", 1,
        ),
    ]  # fmt: skip
    for tool, one in rivals.items():
        size = few if tool == "datasketch" else count
        planted = _planted(near, size)
        times = fast / one["per_s"] if fast and one else None
        recall = _recall(planted, set(one["found"])) if one else None
        rate = one["per_s"] if one else None
        figures += [
            Figure(f"near-duplicates: Numba against {tool}", times, "times", ">= 1", size, rate),
            Figure(f"near-duplicates: recall of {tool}", recall, "", "", len(planted)),
        ]
    if not quick:
        many, alike = 1_000_000, 100_000
        few_alike, all_alike = apart(script, "template", 20_000), apart(script, "template", alike)
        large = apart(script, "memory", many)
        figures += [
            Figure("near-duplicates: memory", large["megabytes"], "MB", "", many),
            Figure("near-duplicates: time, texts read twice", large["cpu_s"], "CPU-s", "", many),
            Figure(
                "near-duplicates: texts of one template, against 20,000 of them",
                all_alike["microseconds"], "CPU-us a text", "", alike, few_alike["microseconds"],
            ),
        ]  # fmt: skip
    return figures


def _planted(near: dict[int, float], count: int) -> list[int]:
    """The rewritings near enough among the first `count` documents."""
    return [n for n, one in near.items() if n < count and one >= THRESHOLD]


def _recall(planted: list[int], found: Container[int]) -> float:
    return sum(n in found for n in planted) / max(1, len(planted))


if __name__ == "__main__":
    command_line(
        "near_duplicates", __doc__, PARTS, lambda quick: measure(str(Path(__file__)), quick)
    )
