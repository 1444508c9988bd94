"""Depth: how many generations away from human data, recomputed from parents, never believed."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from stillroom.record import digest

UNKNOWN = -1  # a depth, where numbers are kept

Keys = npt.NDArray[np.uint64]


def depths(
    derived: Mapping[str, tuple[int | None, Sequence[str]]],
    known: Callable[[Iterable[str]], Mapping[str, int | None]],
) -> dict[str, int | None]:
    """Depth of each derived record: the most of what it says itself and 1 + its parents'.

    derived   by id: (what the record or its maker says, None where that is unknown; its parents)
    known     depth of ids that are not derived; an id that it does not give is unknown
    A cycle or an unknown parent makes the depth unknown (None), never 0.
    """
    outside = {p for _, parents in derived.values() for p in parents if p not in derived}
    answer: dict[str, int | None] = dict.fromkeys(outside)
    answer.update(known(outside))
    children: dict[str, list[str]] = {}
    open_parents: dict[str, int] = {}
    for one, (_, parents) in derived.items():
        inner = {parent for parent in parents if parent in derived}
        open_parents[one] = len(inner)
        for parent in inner:
            children.setdefault(parent, []).append(one)
    ready = [one for one, count in open_parents.items() if not count]
    settled: dict[str, int | None] = {}
    while ready:
        one = ready.pop()
        said, parents = derived[one]
        above = [answer[parent] for parent in parents]
        numbers = [1 + depth for depth in above if depth is not None]
        unknown = said is None or len(numbers) < len(above)
        answer[one] = settled[one] = None if unknown else max([said or 1, *numbers])
        for child in children.get(one, ()):
            open_parents[child] -= 1
            if not open_parents[child]:
                ready.append(child)
    return {one: settled.get(one) for one in derived}  # what is left lies in or behind a cycle


def name_key(name: str) -> int:
    """A number for an id that a corpus gave; never 0, which stands for none."""
    return int.from_bytes(digest(name.encode(errors="surrogatepass"), 8), "little") | 1


def settle(
    derived: Mapping[str, tuple[int | None, Sequence[str]]],
    ids: npt.NDArray[np.uint8],
    foreign: Keys,
    depth: npt.NDArray[np.int16],
    made: npt.NDArray[np.bool_],
) -> None:
    """Write the depth that their parents give them for all records that have some.

    derived  as in `depths`, by our ids; parents may be named by the ids that a corpus gave
    ids      16 bytes each of all records; foreign: `name_key` of the corpus' ids, 0 for none
    depth    of each record as known without its parents, UNKNOWN where it is not; changed in place
    made     which records are not human: only these are changed
    """
    if not derived:
        return
    own: Keys = ids[:, :8].copy().view(np.uint64).ravel()
    by_key = {_own_key(bytes.fromhex(rid)): rid for rid in derived}
    ours = {
        int(foreign[n]): by_key[int(own[n])]
        for n in np.flatnonzero((foreign > 0) & made & np.isin(own, _array(by_key)))
    }
    named = {
        rid: (said, [ours.get(name_key(one), one) for one in parents])
        for rid, (said, parents) in derived.items()
    }
    settled = depths(named, lambda wanted: _known(own, foreign, depth, wanted))
    for n in np.flatnonzero(made & np.isin(own, _array(by_key))):
        found = settled[by_key[int(own[n])]]
        depth[n] = UNKNOWN if found is None else found


def _array(keys: Iterable[int]) -> Keys:
    return np.fromiter(keys, np.uint64)


def _own_key(raw: bytes) -> int:
    return int.from_bytes(raw[:8], "little")


def _known(
    own: Keys, foreign: Keys, depth: npt.NDArray[np.int16], wanted: Iterable[str]
) -> dict[str, int | None]:
    """Depths of records that have no parents, by our id or by the one that their corpus gave."""
    tables = [(keys, np.argsort(keys, kind="stable")) for keys in (own, foreign)]
    answer: dict[str, int | None] = {}
    for name in wanted:
        found: list[int] = []
        for (keys, order), key in zip(tables, (_hex_key(name), name_key(name)), strict=True):
            if key is not None:
                low = np.searchsorted(keys, np.uint64(key), "left", order)
                high = np.searchsorted(keys, np.uint64(key), "right", order)
                found += depth[order[low:high]].tolist()
        if found:  # one id for several records: as far away as the farthest of them
            answer[name] = None if min(found) == UNKNOWN else max(found)
    return answer


def _hex_key(name: str) -> int | None:
    try:
        raw = bytes.fromhex(name)
    except ValueError:
        return None
    return _own_key(raw) if len(raw) == 16 else None
