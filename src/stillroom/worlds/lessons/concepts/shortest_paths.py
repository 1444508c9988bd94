"""Shortest ways along roads, by Dijkstra: always the nearest town that is not settled yet."""

from typing import Any, NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

Road = tuple[str, str, int]


class _Map(NamedTuple):
    roads: list[Road]
    start: str
    goal: str  # "": all towns
    limit: int  # 0: none


class _Settled(NamedTuple):
    """A town that is settled, how far it is, from where one comes, and what there was to choose."""

    town: str
    far: int
    before: str
    sums: list[tuple[int, int]]


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    """Distances are drawn first, all different, then roads that make them and no shorter ways."""
    family = dice.pick(("length", "length", "within", "farthest"))
    steps, (low, high) = dice.between(*limits["steps"]), limits["size"]
    spare = {"length": 2, "within": 4, "farthest": 0}[family]
    size = steps + 1 + (spare and dice.between(1, spare))
    places: list[str] = content.data["places" if size < 8 and dice.fraction() < 0.5 else "letters"]
    towns, far, roads = dice.some(places, size), [0], dict[tuple[int, int], int]()
    for n in range(1, size):
        far.append(far[-1] + dice.between(low, max(low + 1, high // 2)))
        known = [m for m in range(n) if low <= far[n] - far[m] <= high]
        nearest = dice.pick(known)
        roads[nearest, n] = far[n] - far[nearest]
    for _ in range(size + size // 3):
        a, b = sorted(dice.some(range(size), 2))
        least = max(low, far[b] - far[a] + 1)
        if (a, b) not in roads and least <= high:
            roads[a, b] = dice.between(least, min(high, least + high // 3))
    written = [
        (towns[a], towns[b], length) if dice.fraction() < 0.5 else (towns[b], towns[a], length)
        for (a, b), length in roads.items()
    ]
    given = _Map(dice.some(written, len(written)), towns[0], "", 0)
    slots = {"start": f'"{towns[0]}"'}
    slots["roads"] = "[" + ", ".join([f'["{a}", "{b}", {n}]' for a, b, n in given.roads]) + "]"
    if family == "length":
        given = given._replace(goal=towns[steps])
        slots["goal"] = f'"{towns[steps]}"'
    if family == "within":
        given = given._replace(limit=dice.between(far[steps], far[steps + 1] - 1))
        slots["limit"] = str(given.limit)
    return Instance(family, slots, given)


def _neighbours(roads: list[Road]) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for a, b, length in roads:
        found.setdefault(a, []).append((b, length))
        found.setdefault(b, []).append((a, length))
    return found


def _settle(given: _Map) -> list[_Settled]:
    """The towns in the order in which they are settled, as far as the question goes."""
    roads = _neighbours(given.roads)
    done = [_Settled(given.start, 0, "", [])]
    known = {given.start}
    while done[-1].town != given.goal:
        open_roads = [
            (one.far, length, town, one.town)
            for one in done
            for town, length in roads[one.town]
            if town not in known
        ]
        if not open_roads:
            break
        far, length, town, before = min(open_roads, key=lambda road: road[0] + road[1])
        if given.limit and far + length > given.limit:
            break
        sums = [(a, b) for a, b, _, _ in open_roads]
        done.append(_Settled(town, far + length, before, sums))
        known.add(town)
    return done


def _state(done: list[_Settled]) -> str:
    return "[" + ", ".join([f'"{one.town}", {one.far}' for one in done]) + "]"


def _way(done: list[_Settled]) -> list[int]:
    """The lengths of the roads on the way to the town that was settled last."""
    by_town = {one.town: one for one in done}
    one, lengths = done[-1], []
    while one.before:
        lengths.append(one.far - by_town[one.before].far)
        one = by_town[one.before]
    return lengths[::-1]


def solve(instance: Instance) -> Solution:
    given: _Map = instance.given
    done, steps = _settle(given), []
    far = {one.town: one.far for one in done}
    for n, one in enumerate(done[1:], 1):
        sums = ", ".join([f"{a} + {b}" for a, b in one.sums])
        slots = {
            "town": f'"{one.town}"',
            "from": f'"{one.before}"',
            "sum": f"{far[one.before]} + {one.far - far[one.before]} = {one.far}",
            "best": f"min([{sums}]) = {one.far}",
        }
        steps.append(Step("settle", (_state(done[:n]), _state(done[: n + 1])), slots, " → "))
    end, answer = _state(done), str(done[-1].far)
    if instance.family == "within":
        answer = str(len(done))
        steps.append(Step("within", (f"length({end}) ÷ 2 = {answer}",)))
        towns = {town for a, b, _ in given.roads for town in (a, b)}
        rest = f"{answer} + {len(towns) - len(done)} = {len(towns)}"
        return Solution(steps, answer, ("rest", {"proof": rest}))
    steps.append(Step(instance.family, (end, answer), None, " → "))
    proof = f"{' + '.join(map(str, [0, *_way(done)]))} = {answer}"
    return Solution(steps, answer, ("way", {"proof": proof}))


def mistakes(instance: Instance) -> list[Slip]:
    given: _Map = instance.given
    done, family = _settle(given), instance.family
    right, wrong = str(done[-1].far), {}
    roads = _neighbours(given.roads)
    if family == "within":
        right = str(len(done))
        wrong["without_start"] = str(len(done) - 1)
        direct = [town for town, length in roads[given.start] if length <= given.limit]
        wrong["direct_only"] = str(1 + len(direct))
        wrong["one_way"] = str(len(_one_way(given)))
        return [Slip(name, right, text) for name, text in wrong.items()]
    wrong["roads_counted"] = str(len(_way(done)))
    wrong["too_early"] = str(done[-2].far)
    if family == "farthest":
        wrong["longest_road"] = str(max(length for _, _, length in given.roads))
        return [Slip(name, right, text) for name, text in wrong.items()]
    count, length = _fewest(given, roads)
    if count < len(_way(done)):
        wrong["fewest_roads"] = str(length)
    directed = _one_way(given)
    if given.goal in directed:
        wrong["one_way"] = str(directed[given.goal])
    at, total, seen = given.start, 0, {given.start}
    while at != given.goal:
        ways = [(length, town) for town, length in roads[at] if town not in seen]
        if not ways:
            return [Slip(name, right, text) for name, text in wrong.items()]
        length, at = min(ways)
        total += length
        seen.add(at)
    wrong["nearest_next"] = str(total)
    return [Slip(name, right, text) for name, text in wrong.items()]


def _one_way(given: _Map) -> dict[str, int]:
    """How far the towns are when roads are only walked as they are written, within the limit."""
    far, todo = {given.start: 0}, {given.start: 0}
    while todo:
        town = min(todo, key=todo.__getitem__)
        far[town] = todo.pop(town)
        for a, b, length in given.roads:
            if a == town and b not in far and not 0 < given.limit < far[a] + length:
                todo[b] = min(todo.get(b, far[a] + length), far[a] + length)
    return far


def _fewest(given: _Map, roads: dict[str, list[tuple[str, int]]]) -> tuple[int, int]:
    """The fewest roads that lead to the goal, and the length of the shortest way with so many."""
    rim, count = {given.start: 0}, 0
    seen = {given.start}
    while given.goal not in rim:
        new: dict[str, int] = {}
        for town, far in rim.items():
            for other, length in roads[town]:
                if other not in seen:
                    new[other] = min(new.get(other, far + length), far + length)
        seen |= set(new)
        rim, count = new, count + 1
    return count, rim[given.goal]
