"""Where a world's records come from: maker, parents, and how far that is from human data."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from stillroom import dataset
from stillroom.record import Origin
from stillroom.world import World, has


class Origins:
    """Origins of a shard's records, by their parents and source; most are one object."""

    def __init__(self, world: World, run: str, generation: int, model: str) -> None:
        cls = type(world)
        maker = f"{cls.name}/{cls.version}" + (f" + {model}" if model else "")
        self.run, self.generation = run, generation
        self.plain = Origin(maker=maker, depth=maker_depth(world, generation, model))

    def __call__(self, parents: tuple[str, ...], source: str | None) -> Origin:
        if not (parents or source):
            return self.plain
        depth = self.plain.depth
        for parent in parents:
            known = _depths(self.run, self.generation).get(parent)
            depth = None if depth is None or known is None else max(depth, 1 + known)
        return replace(self.plain, parents=parents, source=source, depth=depth)


def maker_depth(world: World, generation: int, model: str) -> int | None:
    """1 + the depth of the maker's training data: 1 for a program alone, unknown for a teacher.

    A world that learns was trained on all generations before.
    """
    if model:
        return None
    return 1 + generation if has(world, "learn") else 1


@lru_cache(maxsize=2)
def _depths(run: str, generation: int) -> dict[str, int | None]:
    """Depth of every record of the generations before."""
    earlier = range(generation)
    sets = [dataset.generation(Path(run), number) for number in earlier]
    return {record.id: record.origin.depth for one in sets for record in one}
