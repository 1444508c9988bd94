"""The clauses of a query carried out one after the other, on plain lists of rows."""

from typing import Any, NamedTuple

Row = list[Any]


class Test(NamedTuple):
    """A condition of WHERE or HAVING: column, sign, value."""

    column: str
    sign: str
    value: Any


class Query(NamedTuple):
    """The clauses; `what` is a column, `call` what is made of it (COUNT, SUM, ... or nothing)."""

    table: str
    what: str
    call: str = ""
    join: tuple[str, str] | None = None  # the other table, and the column shared
    tests: tuple[Test, ...] = ()
    word: str = "AND"
    distinct: bool = False
    group: str = ""
    having: Test | None = None
    order: str = ""
    falling: bool = False
    limit: int = 0


class Given(NamedTuple):
    query: Query
    columns: list[str]
    rows: list[Row]
    other: tuple[list[str], list[Row]] | None


def text(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(text, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _passes(row: Row, columns: list[str], test: Test, slip: str = "") -> bool:
    value, border = row[columns.index(test.column)], test.value
    if test.sign in ("=", "<>"):
        return bool((value == border) == (test.sign == "="))
    if value == border:
        return (test.sign in ("<=", ">=")) != (slip == "border")
    return bool(value < border) == (test.sign[0] == "<")


def _total(call: str, values: list[Any]) -> int | None:
    if call == "COUNT":
        return len(values)
    if not values:
        return None
    total = values[0]
    for item in values[1:]:
        if call in ("SUM", "AVG"):
            total += item
        elif (item > total) == (call == "MAX"):
            total = item
    if call != "AVG":
        return int(total)
    return total // len(values) if total % len(values) == 0 else None


# What reads an answer off the values, and the rule that tells of it.
_READ = {"COUNT": "length", "SUM": "sum", "MAX": "max", "MIN": "min", "AVG": "mean"}


def states_of(given: Given, slip: str) -> list[tuple[str, Any, str]] | None:
    """Each rule with the rows it leads to, and the formula that reads an answer off at the end.

    None where there is nothing to go on with. `slip` is a misconception that is followed.
    """
    query, columns, rows, _ = given
    states: list[tuple[str, Any, str]] = [("", rows, "")]
    if query.join and given.other:
        known = {line[0]: line[1] for line in given.other[1]}
        place = columns.index(query.join[1])
        rows = [[*row, known[row[place]]] for row in rows]
        columns = [*columns, given.other[0][1]]
        states.append(("join", rows, ""))
    if query.tests and slip != "where_ignored":
        whole = (query.word == "AND") != (slip == "and_or")
        pick = all if whole or len(query.tests) == 1 else any
        rows = [row for row in rows if pick(_passes(row, columns, t, slip) for t in query.tests)]
        if not rows:
            return None
        states.append(("where", rows, ""))
    column = columns.index(query.what) if query.what != "*" else 0
    if query.group:
        return _grouped(query, columns, rows, states, column, slip)
    if query.limit and slip == "limit_first":
        rows = rows[: query.limit]
    if query.order and not query.distinct:
        by = columns.index(query.order)
        ordered = _ordered(rows, by, query.falling != (slip == "other_way"))
        if ordered is None:
            return None
        if ordered != rows:
            rows = ordered
            states.append(("order", rows, ""))
    if query.limit and slip != "limit_first":
        if len(rows) <= query.limit:
            return None
        rows = rows[: query.limit]
        states.append(("limit", rows, ""))
    if query.call == "COUNT":
        states.append(("length", len(rows), f"length({text(rows)})"))
        return states
    values = [row[column] for row in rows]
    states.append(("pick", values, ""))
    if query.distinct:
        seen = _ordered([[v] for v in dict.fromkeys(values)], 0, slip == "other_way")
        kept = [one[0] for one in seen or []]
        if slip == "repeats_kept":
            kept = sorted(values)
        if kept != values:
            states.append(("distinct", kept, ""))
    if query.call:
        call = "COUNT" if slip == "counted" else query.call
        total = _total(call, values)
        if total is None:
            return None
        read = _READ[query.call]
        states.append((read, total, f"{read}({text(values)})"))
    return states


def _ordered(rows: list[Row], by: int, falling: bool) -> list[Row] | None:
    """The rows put in order one by one; None where two of them are level."""
    done: list[Row] = []
    for row in rows:
        place = len(done)
        while place and (done[place - 1][by] > row[by]) != falling:
            place -= 1
        done.insert(place, row)
    keys = [row[by] for row in done]
    return done if len(set(keys)) == len(keys) else None


def _grouped(
    query: Query,
    columns: list[str],
    rows: list[Row],
    states: list[tuple[str, Any, str]],
    column: int,
    slip: str,
) -> list[tuple[str, Any, str]] | None:
    place = columns.index(query.group)
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(row[place], []).append(row[column])
    if len(groups) < 2:
        return None
    states.append(("group", [[key, values] for key, values in groups.items()], ""))
    call = "COUNT" if slip == "counted" else query.call
    totals = [[key, _total(call, values)] for key, values in groups.items()]
    states.append(("each", totals, ""))
    if query.having and slip != "having_ignored":
        having = query.having._replace(column="total")
        totals = [row for row in totals if _passes(row, ["key", "total"], having)]
        if not totals:
            return None
        states.append(("having", totals, ""))
    ordered = _ordered(totals, 0, query.falling != (slip == "other_way"))
    if ordered != totals:
        states.append(("order", ordered, ""))
    return states
