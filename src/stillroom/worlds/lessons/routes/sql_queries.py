"""Queries to a table: SQLite answers them, and gives the rows after each clause, too."""

import json
import re
import sqlite3
from functools import lru_cache
from typing import Any, NamedTuple

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import same, value
from stillroom.worlds.lessons.routes import Question, Step

PROOF_SIGNS = {"counted": "length(", "added": " - ", "shared": " × ", "extreme": "sort("}

_TEST = r"(?:[a-z]+|[A-Z]+\((?:[a-z]+|\*)\)) (?:<=|>=|<>|<|>|=) (?:\d+|'[\w]+')"
_QUERY = re.compile(
    r"SELECT (?P<distinct>DISTINCT )?(?:(?P<key>[a-z]+), )?"
    r"(?:(?P<call>COUNT|SUM|MAX|MIN|AVG)\((?P<of>[a-z]+|\*)\)|(?P<what>[a-z]+))"
    r" FROM (?P<table>[a-z]+)"
    r"(?: JOIN (?P<other>[a-z]+) USING \((?P<shared>[a-z]+)\))?"
    rf"(?: WHERE (?P<where>{_TEST}(?: (?:AND|OR) {_TEST})*))?"
    rf"(?: GROUP BY (?P<group>[a-z]+))?(?: HAVING (?P<having>{_TEST}))?"
    r"(?: ORDER BY (?P<order>[a-z]+)(?P<falling> DESC)?)?(?: LIMIT (?P<limit>\d))?"
)
_FUNCTIONS = {"COUNT": "length", "SUM": "sum", "MAX": "max", "MIN": "min", "AVG": "mean"}


class Asked(NamedTuple):
    """A question's query in its clauses, and the tables: name, columns, rows."""

    text: str
    part: dict[str, str | None]
    tables: tuple[tuple[str, list[str], list[list[Any]]], ...]


Schema = tuple[tuple[str, tuple[str, ...]], ...]


@lru_cache(maxsize=64)
def _database(schema: Schema) -> sqlite3.Connection:
    """A database with empty tables of these names and columns; it keeps its statements prepared."""
    # One check at a time uses it, though not always from the same thread.
    base = sqlite3.connect(
        ":memory:", isolation_level=None, cached_statements=500, check_same_thread=False
    )
    for name, columns in schema:
        base.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
    return base


@lru_cache(maxsize=500)
def _asked(slots: tuple[tuple[str, str], ...]) -> Asked:
    given = {name: value(text) for name, text in slots}
    found = _QUERY.fullmatch(given["query"])
    if not found:
        raise ValueError(f"no query of this kind: {given['query']}")
    tables = [(given["name"], given["columns"], given["rows"])]
    if "other" in given:
        tables.append((given["other"], given["fields"], given["lines"]))
    for name, columns, rows in tables:
        if not all(re.fullmatch("[a-z]+", word) for word in (name, *columns)):
            raise ValueError(f"{name}: odd names")
        if any(len(row) != len(columns) for row in rows):
            raise ValueError(f"{name}: a row with other than {len(columns)} columns")
        if not all(type(one) in (int, str) for row in rows for one in row):
            raise ValueError(f"{name}: an entry that is neither a number nor a string")
    part = found.groupdict()
    if [part["table"], part["other"]][: len(tables)] != [table[0] for table in tables]:
        raise ValueError("the query is not about these tables")
    return Asked(given["query"], part, tuple(tables))


def _of(question: Question) -> Asked:
    return _asked(tuple(question.slots.items()))


def _run(asked: Asked, queries: dict[str, str]) -> dict[str, list[list[Any]]]:
    """The rows that each of some queries gives; ValueError when SQLite refuses one."""
    try:
        base = _database(tuple((name, tuple(columns)) for name, columns, _ in asked.tables))
        for name, columns, rows in asked.tables:
            base.execute(f"DELETE FROM {name}")
            marks = ", ".join(["(" + "?, " * (len(columns) - 1) + "?)"] * len(rows))
            base.execute(f"INSERT INTO {name} VALUES {marks}", [one for row in rows for one in row])
        return {
            name: [list(row) for row in base.execute(text).fetchall()]
            for name, text in queries.items()
        }
    except sqlite3.Error as wrong:
        raise ValueError(f"SQLite: {wrong}") from wrong


def _plain(asked: Asked, rows: list[list[Any]]) -> Any:
    """A query's rows as the lessons write them: one column as a list, one number alone."""
    if asked.part["call"] and not asked.part["group"]:
        found = rows[0][0]
        if isinstance(found, float) and found.is_integer():
            return int(found)
        return found
    return [row[0] for row in rows] if len(rows[0:1]) and len(rows[0]) == 1 else rows


@lru_cache(maxsize=500)
def _stages(slots: tuple[tuple[str, str], ...]) -> tuple[list[tuple[str, str, str]], Any]:
    """What is done, from what, to what, by ever longer queries; and the answer."""
    asked = _asked(slots)
    part = asked.part
    source = str(part["table"])
    source += f" JOIN {part['other']} USING ({part['shared']})" if part["other"] else ""
    where = f" WHERE {part['where']}" if part["where"] else ""
    at_rest = f" ORDER BY {part['table']}.rowid"
    sort = f" ORDER BY {part['order']}{part['falling'] or ''}" if part["order"] else at_rest
    queries = {}
    if part["other"]:
        queries["join"] = f"SELECT * FROM {source}{at_rest}"
    if where:
        queries["where"] = f"SELECT * FROM {source}{where}{at_rest}"
    what = part["what"] or (part["of"] if part["of"] != "*" else asked.tables[0][1][0])
    if part["group"]:
        call = f"{part['call']}({part['of']})"
        first = f" ORDER BY MIN({part['table']}.rowid)"
        groups = f" FROM {source}{where} GROUP BY {part['group']}"
        queries["group"] = f"SELECT {part['group']}, {what} FROM {source}{where}{at_rest}"
        queries["each"] = f"SELECT {part['group']}, {call}{groups}{first}"
        if part["having"]:
            queries["having"] = (
                f"SELECT {part['group']}, {call}{groups} HAVING {part['having']}{first}"
            )
    elif part["distinct"]:
        queries["pick"] = f"SELECT {what} FROM {source}{where}{at_rest}"
    else:
        limit = f" LIMIT {part['limit']}" if part["limit"] else ""
        if part["order"]:
            queries["order"] = f"SELECT * FROM {source}{where}{sort}"
        if limit:
            queries["limit"] = f"SELECT * FROM {source}{where}{sort}{limit}"
        if part["call"] not in (None, "COUNT"):
            queries["pick"] = f"SELECT {what} FROM {source}{where}{sort}{limit}"
    last = "order" if part["group"] else "distinct"
    queries["last"] = asked.text
    if not part["call"] and not part["group"] and not part["distinct"]:
        last = "pick"
    found = _run(asked, queries)
    if "group" in found:
        gathered: dict[str, list[Any]] = {}
        for key, one in found["group"]:
            gathered.setdefault(key, []).append(one)
        found["group"] = [[key, all_of] for key, all_of in gathered.items()]
    if "pick" in found:
        found["pick"] = [row[0] for row in found["pick"]]
    answer = _plain(asked, found.pop("last"))
    moves, before = [], _show(asked.tables[0][2])
    for rule, rows in found.items():
        if (after := _show(rows)) != before:
            moves.append((rule, before, after))
            before = after
    if part["call"] and not part["group"]:
        read = _FUNCTIONS[part["call"]]
        moves.append((read, f"{read}({before})", _show(answer)))
    elif _show(answer) != before:
        moves.append((last, before, _show(answer)))
    return moves, answer


def _show(found: Any) -> str:
    return json.dumps(found, ensure_ascii=False)


def start(question: Question) -> str:
    return question.slots["rows"]


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    rule = step.get("rule")
    moves, _ = _stages(tuple(question.slots.items()))
    for expected, before, after in moves:
        if step["before"] == before and (rule in (None, expected)):
            return "" if step["after"] == after else f"`{before}` turns into `{after}` here"
    names = [move[0] for move in moves]
    return f"`{step['before']}` does not occur here before {rule}; the clauses are {names}"


def link_fault(question: Question, step: Step) -> str:
    return step_fault(question, {"before": step["before"], "after": step["after"]}, {})


def answer_fault(question: Question, answer: str) -> str:
    _, right = _stages(tuple(question.slots.items()))
    return "" if same(value(answer), right) else f"the query gives {_show(right)}, and not {answer}"


def _twisted(asked: Asked) -> dict[str, str]:
    """The queries that the misconceptions take this one for."""
    text, part = asked.text, asked.part
    found = {}
    if part["where"]:
        clause = f" WHERE {part['where']}"
        found["where_ignored"] = text.replace(clause, "")
        flipped = re.sub(
            r" (<=|>=|<|>) ", lambda sign: f" {sign[1][0]}{'=' * (len(sign[1]) == 1)} ", clause
        )
        found["border"] = text.replace(clause, flipped)
        other = re.sub(" (AND|OR) ", lambda word: " OR " if word[1] == "AND" else " AND ", clause)
        found["and_or"] = text.replace(clause, other)
    if part["call"] in ("SUM", "AVG") and not part["having"]:
        found["counted"] = text.replace(f"{part['call']}({part['of']})", "COUNT(*)", 1)
    if part["order"]:
        order = f" ORDER BY {part['order']}"
        rest = text.partition(order)[2]
        falls = rest.startswith(" DESC")
        found["other_way"] = text.replace(order + " DESC" * falls, order + " DESC" * (not falls))
    if part["distinct"]:
        found["repeats_kept"] = text.replace("DISTINCT ", "")
    if part["having"]:
        found["having_ignored"] = text.replace(f" HAVING {part['having']}", "")
    if part["limit"]:
        rows = f"SELECT * FROM {part['table']}"
        if part["other"]:
            rows += f" JOIN {part['other']} USING ({part['shared']})"
        rows += f" WHERE {part['where']}" if part["where"] else ""
        # Without an order of its own, SQLite may take any rows for a LIMIT.
        kept = f"({rows} ORDER BY {part['table']}.rowid LIMIT {part['limit']})"
        order = f" ORDER BY {part['order']}{part['falling'] or ''}"
        found["limit_first"] = f"SELECT {part['what']} FROM {kept}{order}"
    return found


def wrongs(question: Question) -> dict[str, Any]:
    asked = _of(question)
    found = {name: _plain(asked, rows) for name, rows in _run(asked, _twisted(asked)).items()}
    return {name: given for name, given in found.items() if given is not None}


def measure(question: Question) -> dict[str, Any]:
    asked = _of(question)
    part = asked.part
    tests = len(re.findall(r" (?:AND|OR) ", part["where"] or "")) + bool(part["where"])
    signs = ("call", "distinct", "other", "group", "having", "order", "limit")
    kind = "distinct" if part["distinct"] else "total" if part["call"] else "list"
    return {
        "rows": len(asked.tables[0][2]),
        "columns": len(asked.tables[0][1]),
        "tests": tests,
        "joins": int(part["other"] is not None),
        "kinds": "group" if part["group"] else kind,
        "limit": int(part["limit"] is not None),
        "having": int(part["having"] is not None),
        "clauses": tests + sum(part[sign] is not None for sign in signs),
    }
