"""Which sizes a config asks: defaults filled in, mistakes named."""

from collections.abc import Iterable, Mapping

from stillroom.worlds.lessons.drills.notation import BEYOND, FAMILIES, LEAST, MOST, SIZES

Sizes = dict[str, tuple[int, ...]]


def known_families(families: tuple[str, ...]) -> tuple[str, ...]:
    """The families as they are; ValueError where there are no such ones."""
    unknown = [family for family in families if family not in FAMILIES]
    if unknown:
        raise ValueError(f"no family {unknown[0]!r} (there are {', '.join(FAMILIES)})")
    if not families or len(set(families)) != len(families):
        raise ValueError("families: name at least one, and each once")
    return families


def ordinary(given: Sizes, families: tuple[str, ...]) -> Sizes:
    """The ordinary sizes of each family."""
    _among(given, families)
    found = {family: given.get(family, SIZES[family]) for family in families}
    for family, sizes in found.items():
        _sizes(family, sizes)
        if not sizes:
            raise ValueError(f"{family} has no size; leave it out of families instead")
    return found


def beyond(given: Sizes, sizes: Sizes) -> Sizes:
    """The sizes of each family that are for tests alone; by default those above its others."""
    _among(given, sizes)
    found = {}
    for family, usual in sizes.items():
        default = tuple(size for size in BEYOND[family] if size > max(usual))
        found[family] = given.get(family, default)
        _sizes(family, found[family])
        if any(size <= max(usual) for size in found[family]):
            raise ValueError(
                f"{family}: a size beyond the ordinary ones is larger than {max(usual)}, "
                f"got {min(found[family])}"
            )
    return found


def weights(given: Sizes, sizes: Sizes) -> Sizes:
    """How often each ordinary size is asked in a round; once by default."""
    _among(given, sizes)
    found = {family: given.get(family, (1,) * len(usual)) for family, usual in sizes.items()}
    for family, counts in found.items():
        if len(counts) != len(sizes[family]) or not all(1 <= n <= 1000 for n in counts):
            raise ValueError(
                f"{family}: a whole number from 1 to 1000 for each of the sizes "
                f"{list(sizes[family])}, got {list(counts)}"
            )
    return found


def _among(given: Mapping[str, object], families: Iterable[str]) -> None:
    unknown = [family for family in given if family not in families]
    if unknown:
        raise ValueError(f"no family {unknown[0]!r} (asked for are {', '.join(families)})")


def _sizes(family: str, sizes: tuple[int, ...]) -> None:
    least = LEAST.get(family, 1)
    wrong = [size for size in sizes if not least <= size <= MOST]
    if wrong:
        raise ValueError(f"{family}: sizes are from {least} to {MOST}, got {wrong[0]}")
    if len(set(sizes)) != len(sizes):
        raise ValueError(f"{family}: name each size once, got {list(sizes)}")
