"""datasketch and rensa: which documents have a near-duplicate, and CPU-seconds for finding out.

`with_near.py datasketch FILE 2000` prints one JSON line; FILE holds a JSON list of documents. Each
tool gets the route that is its fastest for a set at hand, words cut at white space, shingles built
as its interface wants them, 128 permutations, bands for Jaccard 0.8; candidates aren't verified.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"  # read when the library starts: before it is imported

PERMUTATIONS, BANDS, THRESHOLD = 128, 16, 0.8


def shingles(text: str) -> list[str]:
    words = text.lower().split()
    return list(map(" ".join, zip(*(words[place:] for place in range(5)), strict=False)))


def datasketch(texts: list[str]) -> list[int]:
    """Documents with an earlier near-duplicate."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    found = []
    for number, text in enumerate(texts):
        one = MinHash(num_perm=PERMUTATIONS)
        one.update_batch([shingle.encode() for shingle in shingles(text)])
        if index.query(one):
            found.append(number)
        index.insert(number, one)
    return found


def rensa(texts: list[str]) -> list[int]:
    """Documents with an earlier or a later near-duplicate."""
    from rensa import RMinHash, RMinHashLSH

    return _flagged(texts, RMinHash.digest_matrix_from_token_sets, RMinHashLSH)


def rensa_rho(texts: list[str]) -> list[int]:
    """The same by its sketch that takes one step a shingle."""
    from rensa import RMinHash, RMinHashLSH

    return _flagged(texts, RMinHash.digest_matrix_from_token_sets_rho, RMinHashLSH)


def _flagged(texts: list[str], sketch: Callable, index: Callable) -> list[int]:
    matrix = sketch([shingles(text) for text in texts], PERMUTATIONS, 42)
    flags = index(THRESHOLD, PERMUTATIONS, BANDS).query_duplicate_flags_matrix_one_shot(matrix)
    return [number for number, flag in enumerate(flags) if flag]


def main() -> None:
    tool, file, count = sys.argv[1:]
    texts = json.loads(Path(file).read_text())[: int(count)]
    find = {"datasketch": datasketch, "rensa": rensa, "rensa_rho": rensa_rho}[tool]
    find(texts[:500])
    spent = []
    for _ in range(2):
        began = time.process_time()
        found = find(texts)
        spent.append(time.process_time() - began)
    print(json.dumps({"per_s": len(texts) / min(spent), "found": found}))


if __name__ == "__main__":
    main()
