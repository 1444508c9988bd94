"""Living processes, as /proc tells them."""

from pathlib import Path


def living(*, parent: int | None = None, group: int | None = None) -> list[int]:
    """Ids of the living processes with this parent, or in this process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, its_parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if state != "Z" and (int(its_parent) == parent or int(its_group) == group):
            found.append(int(stat.parent.name))
    return found
