"""Queries to a small table, answered clause by clause with plain lists."""

from itertools import pairwise
from typing import Any, NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.concepts.sql_clauses import Given, Query, Row, Test, states_of, text
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step


def _test(test: Test) -> str:
    value = f"'{test.value}'" if isinstance(test.value, str) else test.value
    return f"{test.column} {test.sign} {value}"


def _called(query: Query) -> str:
    return f"{query.call}({query.what})" if query.call else query.what


def _write(query: Query) -> str:
    what = f"{query.group}, {_called(query)}" if query.group else _called(query)
    told = f"SELECT {'DISTINCT ' * query.distinct}{what} FROM {query.table}"
    if query.join:
        told += f" JOIN {query.join[0]} USING ({query.join[1]})"
    if query.tests:
        told += " WHERE " + f" {query.word} ".join(map(_test, query.tests))
    if query.group:
        told += f" GROUP BY {query.group}"
    if query.having:
        told += f" HAVING {_test(query.having)}"
    if query.order:
        told += f" ORDER BY {query.order}{' DESC' * query.falling}"
    return told + (f" LIMIT {query.limit}" if query.limit else "")


class Drawn(NamedTuple):
    """A query with the states it goes through and what the misconceptions make of it."""

    given: Given
    states: list[tuple[str, Any, str]]
    wrong: dict[str, Any]


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    while True:
        table = _table(dice, limits, content)
        for _ in range(4):  # queries to one table
            given = _query(dice, limits, *table)
            if given.other and given.other[0][1] not in _write(given.query):
                continue
            states = states_of(given, "")
            if states is None or any(a == b for (_, a, _), (_, b, _) in pairwise(states)):
                continue
            if wrong := _wrong(given, states[-1][1]):
                return _instance(Drawn(given, states, wrong))


def _instance(drawn: Drawn) -> Instance:
    given = drawn.given
    slots = {
        "query": f'"{_write(given.query)}"',
        "name": f'"{given.query.table}"',
        "columns": text(given.columns),
        "rows": text(given.rows),
    }
    if given.other and given.query.join:
        slots |= {
            "other": f'"{given.query.join[0]}"',
            "fields": text(given.other[0]),
            "lines": text(given.other[1]),
        }
    return Instance("joined" if given.other else "single", slots, drawn)


def _table(
    dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content
) -> tuple[dict[str, Any], str, list[str], list[Row], list[str], Any]:
    """A theme, a kind of query, columns, rows, the groups, and the lines of the other table."""
    theme = dice.pick(content.data["themes"])
    kind = dice.pick(limits["kinds"])
    grouped = kind in ("group", "distinct") or limits["joins"][0] or limits["columns"][0] == 4
    size = dice.between(*limits["rows"])
    numbers = theme["numbers"]
    columns = [theme["label"], *([theme["group"]] * bool(grouped)), *(n[0] for n in numbers)]
    kinds = dice.some(theme["kinds"], 3)
    rows = []
    for label in dice.some(theme["labels"], size):
        values = [dice.between(low, high) for _, low, high in numbers]
        rows.append([label, *([dice.pick(kinds)] if grouped else []), *values])
    other = None
    if limits["joins"][0]:
        field, low, high = theme["more"]
        other = ([theme["group"], field], [[one, dice.between(low, high)] for one in kinds])
    return theme, kind, columns, rows, kinds if grouped else [], other


def _query(
    dice: Dice,
    limits: dict[str, tuple[Any, ...]],
    theme: dict[str, Any],
    kind: str,
    columns: list[str],
    rows: list[Row],
    kinds: list[str],
    other: Any,
) -> Given:
    names = [n[0] for n in theme["numbers"]]
    join = (theme["other"], theme["group"]) if other else None
    names += [theme["more"][0]] if other else []
    tests = _tests(dice, limits, names, columns, rows, theme, kinds)
    base = Query(theme["name"], names[0], join=join, tests=tests, word=dice.pick(("AND", "OR")))
    return Given(_aim(dice, base, kind, names, theme, limits), columns, rows, other)


def _tests(
    dice: Dice,
    limits: dict[str, tuple[Any, ...]],
    names: list[str],
    columns: list[str],
    rows: list[Row],
    theme: dict[str, Any],
    kinds: list[str],
) -> tuple[Test, ...]:
    """Conditions; their numbers occur in the table, so that the border matters."""
    found: list[Test] = []
    for column in dice.some(names, dice.between(*limits["tests"])):
        if kinds and not found and dice.fraction() < 0.35:
            found.append(Test(theme["group"], dice.pick(("=", "<>")), dice.pick(kinds)))
            continue
        place = columns.index(column) if column in columns else None
        if place is None:
            border = dice.between(theme["more"][1], theme["more"][2])
        else:
            border = dice.pick(rows)[place]
        found.append(Test(column, dice.pick(("<", ">", "<=", ">=")), border))
    return tuple(found)


def _aim(
    dice: Dice,
    base: Query,
    kind: str,
    names: list[str],
    theme: dict[str, Any],
    limits: dict[str, tuple[Any, ...]],
) -> Query:
    number = dice.pick(names)
    if kind == "total":
        call = dice.pick(("COUNT", "SUM", "MAX", "MIN", "AVG"))
        return base._replace(call=call, what="*" if call == "COUNT" else number)
    if kind == "distinct":
        return base._replace(what=theme["group"], distinct=True, order=theme["group"])
    if kind == "list":
        order = dice.pick([number, theme["label"]])
        query = base._replace(what=theme["label"], order=order, falling=dice.fraction() < 0.5)
        return query._replace(limit=dice.between(2, 3)) if limits["limit"][0] else query
    call = dice.pick(("COUNT", "SUM", "MAX", "MIN"))
    query = base._replace(call=call, what="*" if call == "COUNT" else number, group=theme["group"])
    query = query._replace(order=theme["group"], falling=dice.fraction() < 0.3)
    if dice.between(*limits["having"]):
        border = dice.between(1, 2) if call == "COUNT" else dice.between(*theme["numbers"][0][1:])
        query = query._replace(having=Test(_called(query), dice.pick((">", "<")), border))
    return query


def solve(instance: Instance) -> Solution:
    given, states, _ = instance.given
    steps, before = [], text(states[0][1])
    for rule, state, formula in states[1:]:
        after = text(state)
        if formula:
            steps.append(Step(rule, (f"{formula} = {after}",)))
        else:
            steps.append(Step(rule, (before, after), None, " → "))
        before = after
    return Solution(steps, before, _proof(given.query, states, before))


def _proof(query: Query, states: list[Any], answer: str) -> tuple[str, dict[str, str]]:
    if not query.call or query.group:
        return "rows", {"proof": f"length({answer}) = {len(states[-1][1])}"}
    last = states[-2][1]
    if query.call in ("COUNT", "SUM", "AVG"):
        kind = {"COUNT": "counted", "SUM": "added", "AVG": "shared"}[query.call]
        proof = f"length(reverse({text(last)})) = {answer}"
        if query.call == "SUM":
            proof = f"{answer} - {last[-1]} = {sum(last[:-1])}"
        if query.call == "AVG":
            proof = f"{answer} × {len(last)} = {sum(last)}"
        return kind, {"proof": proof}
    place = "last" if query.call == "MAX" else "first"
    return "extreme", {"proof": f"{place}(sort({text(last)}), 1) = [{answer}]"}


def _wrong(given: Given, right: Any) -> dict[str, Any]:
    """What each misconception makes of a query, where that is another answer."""
    query = given.query
    names = []
    if query.tests:
        names += ["where_ignored"]
        names += ["border"] * any(t.sign in ("<", ">", "<=", ">=") for t in query.tests)
        names += ["and_or"] * (len(query.tests) > 1)
    names += ["counted"] * (query.call in ("SUM", "AVG") and not query.having)
    names += ["other_way"] * bool(query.order)
    names += ["limit_first"] * bool(query.limit)
    names += ["repeats_kept"] * query.distinct
    names += ["having_ignored"] * bool(query.having)
    found = {name: states[-1][1] for name in names if (states := states_of(given, name))}
    return {name: answer for name, answer in found.items() if answer != right}


def mistakes(instance: Instance) -> list[Slip]:
    drawn: Drawn = instance.given
    right = text(drawn.states[-1][1])
    return [Slip(name, right, text(answer)) for name, answer in drawn.wrong.items()]
