"""The checker's reader of formulas: text -> syntax tree (notation: docs/lessons.md).

Nothing here is used to make lessons. Whatever can't be read raises Unreadable.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

Node = tuple[Any, ...]
"""("num", text), ("+", left, right), ("call", name, argument, ...), ("()", inside), ..."""

ARITY = {"reverse": 1, "sort": 1, "length": 1, "first": 2, "last": 2, "upper": 1, "sum": 1}
ARITY |= {"max": 1, "min": 1, "size": 1, "count": 2, "C": 2, "gcd": 2, "lcm": 2, "sqrt": 1}
ARITY |= {"mean": 1, "median": 1, "spread": 1, "place": 2, "bin": 1, "dec": 1, "D": 1, "I": 1}
BINDING = {"implies": 1, "iff": 1, "or": 2, "xor": 3, "and": 4, "∪": 6, "∩": 6, "\\": 6}
BINDING |= {"+": 6, "-": 6, "×": 7, "÷": 7, "/": 7, "mod": 7, "div": 7}
_TOKEN = re.compile(
    r"""\s*(?:
    [{[](?:(?:\d+|'\w*'|"\w*")(?:,\ (?:\d+|'\w*'|"\w*"))*)?[]}]  # a plain list or set
    | \d{4}-\d\d-\d\d(?![\d-])
    | (?:\d+/\d+|\d+(?:\.\d+)?)(?:\ (?:days?|weeks?|min|mm|cm|km|mg|kg|ml|cl|[mgtlsh])\b)?
    | "[^"]*" | '[^']*'
    | [A-Za-z]+
    | [-+×÷/^()\[\]{},=≠<>∪∩\\!%]
    )""",
    re.VERBOSE,
)
_AFTER_NUMBER = frozenset(("", "+", "-", "×", "÷", "/", ")", "]", ",", "mod", "div"))
_END = (("end", "", ""),) * 2  # who takes the end finds it again


class Unreadable(ValueError):
    """A formula that is no formula; the message says why."""


class Formula(NamedTuple):
    """Sides and the relations between them; no relation: an expression. x: it holds an x."""

    sides: tuple[Node, ...]
    relations: tuple[str, ...]
    x: bool


@lru_cache(maxsize=500)
def parse(text: str) -> Formula:
    """Read a formula; raises Unreadable."""
    texts, relations = parted(text)
    sides = [read_side(side) for side in texts]
    return Formula(tuple(node for node, _ in sides), relations, any(x for _, x in sides))


_RELATION = re.compile(r""""[^"]*"|'[^']*'|([=≠<>])""")


@lru_cache(maxsize=1_000)
def parted(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sides of a formula and its relations; a relation inside quotes is none."""
    if len(text) > 2000:
        raise Unreadable("longer than 2,000 characters")
    places = [found.start() for found in _RELATION.finditer(text) if found[1]]
    if not places:
        return (text.strip(),), ()
    edges = zip([-1, *places], [*places, len(text)], strict=True)
    sides = tuple([text[a + 1 : b].strip() for a, b in edges])
    return sides, tuple([text[at] for at in places])


@lru_cache(maxsize=1_000)
def read_side(text: str) -> tuple[Node, bool]:
    """One side's tree, and whether it holds x. The same sides come up again and again."""
    if text.isdecimal():
        return ("num", text), False
    reader = _Reader(text)
    node = reader.expression(0)
    if reader.kind != "end":
        raise Unreadable(f"`{text}`: unexpected {reader.peek!r}")
    return node, reader.x


class _Reader:
    """Recursive descent over the tokens of one formula."""

    __slots__ = ("depth", "kind", "peek", "place", "text", "tokens", "unit", "x")

    def __init__(self, text: str) -> None:
        self.text, self.place, self.depth, self.x = text, 0, 0, False
        pieces = _TOKEN.findall(text)
        if sum(map(len, pieces)) != len(text.rstrip()):
            raise Unreadable(f"`{text}`: can't read {_unread(text)[:10]!r}")
        self.tokens = [_token(piece.lstrip()) for piece in pieces]
        self.tokens += _END
        self.kind, self.peek, self.unit = self.tokens[0]

    def take(self) -> str:
        taken = self.peek
        self.place += 1
        self.kind, self.peek, self.unit = self.tokens[self.place]
        return taken

    def need(self, mark: str) -> None:
        if self.peek != mark or self.kind != "mark":
            raise Unreadable(f"`{self.text}`: expected {mark!r}, found {self.peek!r}")
        self.take()

    def expression(self, least: int) -> Node:
        self.depth += 1
        if self.depth > 60:
            raise Unreadable("nested too deeply")
        left = self.prefix()
        while self.kind in ("mark", "word"):
            binding = BINDING.get(self.peek, 0)
            if binding <= least:
                break
            operator = self.take()
            # `implies` groups to the right, everything else from left to right.
            right = self.expression(binding - 1 if operator == "implies" else binding)
            left = (operator, left, right)
        self.depth -= 1
        return left

    def prefix(self) -> Node:
        if (  # by far the most
            self.kind == "number"
            and not self.unit
            and self.tokens[self.place + 1][1] in _AFTER_NUMBER
        ):
            return ("num", self.take())
        if self.kind == "mark" and self.peek == "-":
            self.take()
            inside = self.expression(7)
            return ("num", "-" + inside[1]) if _plain_number(inside) else ("neg", inside)
        if self.kind == "word" and self.peek == "not":
            self.take()
            return ("not", self.expression(5))
        left = self.power()
        if left[0] == "num" and (
            (self.kind == "word" and self.peek == "x") or (self.kind == "mark" and self.peek == "(")
        ):
            return ("×", left, self.power())
        return left

    def power(self) -> Node:
        left = self.postfix()
        if self.kind == "mark" and self.peek == "^":
            self.take()
            return ("^", left, self.prefix())
        return left

    def postfix(self) -> Node:
        left = self.atom()
        if self.kind == "plain" and self.peek[0] == "[" and self.peek[1:-1].isdigit():
            left = ("index", left, ("num", self.take()[1:-1]))
        while self.kind == "mark" and self.peek in ("!", "%", "["):
            mark = self.take()
            if mark != "[":
                left = (mark, left)
            else:
                left = ("index", left, self.expression(0))
                self.need("]")
        return left

    def atom(self) -> Node:
        kind, unit, text = self.kind, self.unit, self.take()
        if kind == "number":
            return ("qty", text, unit) if unit else ("num", text)
        if kind == "plain":
            return _plain(text)
        if kind == "date":
            return ("date", text)
        if kind == "string":
            return ("str", text[1:-1])
        if kind == "word":
            if text in ("T", "F"):
                return ("bool", text)
            if text == "x":
                self.x = True
                return ("x",)
            if text in ARITY:
                self.need("(")
                given = self.items(")")
                if len(given) != ARITY[text] and (text, len(given)) != ("I", 3):
                    raise Unreadable(f"`{self.text}`: {text} takes {ARITY[text]} arguments")
                return ("call", text, *given)
        elif kind == "mark":
            if text == "(":
                inside = self.expression(0)
                self.need(")")
                return inside if inside[0] == "num" else ("()", inside)
            if text == "[":
                return ("list", *self.items("]"))
            if text == "{":
                return ("set", *self.items("}"))
        raise Unreadable(f"`{self.text}`: unexpected {text or 'end'!r}")

    def items(self, closing: str) -> list[Node]:
        if self.kind == "mark" and self.peek == closing:
            self.take()
            return []
        found = [self.expression(0)]
        while self.kind == "mark" and self.peek == ",":
            self.take()
            found.append(self.expression(0))
        self.need(closing)
        return found


def _unread(text: str) -> str:
    """What is left of a text where its tokens end."""
    at = 0
    for found in _TOKEN.finditer(text):
        if found.start() != at:
            break
        at = found.end()
    return text[at:].strip()


@lru_cache(maxsize=1_000)
def _token(text: str) -> tuple[str, str, str]:
    """A token's kind, its text, and the unit behind a number."""
    head = text[0]
    if head.isdecimal():
        if text[4:5] == "-":
            return "date", text, ""
        number, _, unit = text.partition(" ")
        return "number", number, unit
    if head in "\"'":
        return "string", text, ""
    if head in "[{":
        return "mark" if len(text) == 1 else "plain", text, ""
    return "word" if head.isalpha() else "mark", text, ""


@lru_cache(maxsize=500)
def _plain(text: str) -> Node:
    """A list or set of nothing but whole numbers and strings, the most frequent kind."""
    if (text[0], text[-1]) not in (("{", "}"), ("[", "]")):
        raise Unreadable(f"`{text}`: the brackets do not match")
    items = [
        ("num", item) if item.isdigit() else ("str", item[1:-1])
        for item in text[1:-1].split(", ")
        if item
    ]
    return ("set" if text[0] == "{" else "list", *items)


def _plain_number(node: Node) -> bool:
    return node[0] == "num" and not node[1].startswith("-")
