"""Instruction reversal: code -> what it does in words -> code again; both have to behave the same.

After Phi-4 (arXiv 2412.08905, section 2.2): an instruction is good when someone who has it alone
can write the code again. Here "agrees" is measured: both run in the sandbox on the same inputs.
"""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from stillroom import sandbox
from stillroom.world import Check, Teacher
from stillroom.worlds.lessons.written.asking import chat, prompt

FEWEST = 4  # inputs
TEETH = 0.5  # share of mutants that the inputs have to tell apart
MUTANTS = 12
_SCHEMA = {
    "type": "object",
    "properties": {
        "inputs": {"type": "array", "items": {"type": "array"}, "minItems": FEWEST, "maxItems": 24}
    },
    "required": ["inputs"],
    "additionalProperties": False,
}


class Reversed(NamedTuple):
    """A function, its description, the code written from that alone, and inputs as JSON lists."""

    name: str
    description: str
    original: str
    again: str
    inputs: list[str]


def functions(source: str) -> dict[str, str]:
    """The functions of a file that can stand alone: name -> source. ValueError for no Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError as wrong:
        raise ValueError(f"not Python: {wrong.msg} in line {wrong.lineno}") from None
    return {
        node.name: ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.decorator_list
    }


async def reverse(teacher: Teacher, name: str, source: str) -> Reversed:
    """Ask for the description, then for code from it, and for inputs."""
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    node.body = [ast.Expr(ast.Constant(...))]
    signature = ast.unparse(node).split("\n")[0]
    described = await teacher.ask(chat(prompt("describe", source=source), system=False))
    description = described.text.strip()
    words = {"description": description, "signature": signature}
    written = await teacher.ask(chat(prompt("implement", **words), system=False))
    given = await teacher.ask(chat(prompt("inputs", **words), system=False), schema=_SCHEMA)
    inputs = [json.dumps(one, sort_keys=True) for one in given.value["inputs"]]
    return Reversed(name, description, source, _code(written.text), inputs)


def judge(one: Reversed) -> tuple[list[Check], str]:
    """The checks of a reversal, and the sandbox they ran in."""
    ours, level = _outputs(one.name, one.original, one.inputs)
    theirs, _ = _outputs(one.name, one.again, one.inputs)
    pairs = zip(one.inputs, ours, theirs, strict=True) if len(ours) == len(theirs) else []
    differ = [f"{given}: {a} and {b}" for given, a, b in pairs if a != b]
    same = bool(ours) and len(ours) == len(theirs) and not differ
    telling = len(set(ours)) > 1 and len(set(one.inputs)) >= FEWEST
    mutants = list(_mutants(one.original))
    caught = sum(_outputs(one.name, mutant, one.inputs)[0] != ours for mutant in mutants)
    leaks = [line for line in one.original.split("\n")[1:] if line.strip() in one.description]
    leaks = [line for line in leaks if len(line.strip()) > 15]
    return [
        Check("behaviour", same, "; ".join(differ)[:200] or ("" if same else "it does not run")),
        Check("inputs", telling, f"{len(set(one.inputs))} inputs, {len(set(ours))} results"),
        Check(
            "teeth",
            bool(mutants) and caught >= TEETH * len(mutants),
            f"{caught} of {len(mutants)} mutants told apart",
        ),
        Check("words alone", not leaks, f"the description holds code: {leaks[0]}" if leaks else ""),
    ], level


def _outputs(name: str, source: str, inputs: list[str]) -> tuple[list[str], str]:
    """What the function gives for each input (its repr, or the kind of exception); in which box."""
    program = (
        f"{source}\nimport json as _json\nfor _one in {inputs!r}:\n"
        f"    try:\n        _said = repr({name}(*_json.loads(_one)))\n"
        "    except Exception as _wrong:\n        _said = 'raises ' + type(_wrong).__name__\n"
        "    print(_json.dumps(_said))\n"
    )
    outcome = sandbox.shared().run(program)
    if outcome.status == "timeout":
        raise TimeoutError(f"{name} did not come to its end")
    lines = outcome.stdout.split("\n")[:-1] if outcome.status == "ok" else []
    return (lines if len(lines) == len(inputs) else []), outcome.level


def _code(text: str) -> str:
    found = re.search(r"```(?:python|py)?[ \t]*\n(.*?)```", text, re.DOTALL)
    return (found[1] if found else text).strip()


_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.In: ast.NotIn,
}


def _mutants(source: str) -> Iterator[str]:
    """The function with one operator exchanged, or one number one larger."""
    places = sum(_mutable(node) is not None for node in ast.walk(ast.parse(source)))
    for wanted in range(min(places, MUTANTS)):
        tree = ast.parse(source)
        mutable = [m for node in ast.walk(tree) if (m := _mutable(node)) is not None]
        mutable[wanted]()
        yield ast.unparse(tree)


def _mutable(node: ast.AST) -> Any:
    """What would change this node, or None."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        one_more = node.value + 1
        return lambda: setattr(node, "value", one_more)
    for field in ("op", "ops"):
        old: Any = getattr(node, field, None)
        first = old[0] if isinstance(old, list) else old
        new = _SWAPS.get(type(first)) if first is not None else None
        if new is not None:
            made = new()
            return lambda: setattr(node, field, [made, *old[1:]] if field == "ops" else made)
    return None
