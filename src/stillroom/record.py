"""The record: its envelope, its Arrow schema, its ids, and the cast that decides what data are.

Ids and hashes are BLAKE2b (RFC 7693) over canonical JSON, so anyone can recompute them from the
Parquet file alone. No record holds a clock time, a host, a process id or a path.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from stillroom.world import Check, Data, Task, Verdict, World

SPLITS = ("train", "validation", "test")
FORMAT = 1  # raise when what is on disk changes its meaning

TEXTS = pa.list_(pa.string())
CHECK = pa.struct([("name", pa.string()), ("ok", pa.bool_()), ("detail", pa.string())])
TASK = pa.struct([("id", pa.string()), ("json", pa.string())])
VERDICT = pa.struct([("ok", pa.bool_()), ("score", pa.float64()), ("checks", pa.list_(CHECK))])
# A list of pairs, not an Arrow map: Hugging Face `datasets` can't open a map.
TAGS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))
ORIGIN = pa.struct(
    [
        ("kind", pa.string()),
        ("maker", pa.string()),
        ("depth", pa.int32()),
        ("parents", TEXTS),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("earliest", pa.string()),
        ("latest", pa.string()),
        ("tier", pa.string()),
        ("evidence", TEXTS),
    ]
)
USAGE = pa.struct(
    [("prompt_tokens", pa.int64()), ("completion_tokens", pa.int64()), ("cost", pa.float64())]
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record comes from.

    kind: human, synthetic, mixed or unknown. depth: 0 for human; else 1 + the largest depth among
    parents and the maker's training data; None when one of them is unknown. tier A-E: how good the
    evidence of a date is.
    """

    kind: str = "synthetic"
    maker: str = ""
    depth: int | None = 1
    parents: tuple[str, ...] = ()
    source: str | None = None
    licence: str | None = None
    earliest: str | None = None
    latest: str | None = None
    tier: str | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a teacher's answers for a record took: tokens, and money in the recipe's currency."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class Record(NamedTuple):
    """One whole thing with its verdict and origin; `outcome` is kept, refused or failed.

    `data` is None where `make` raised: such a record stands among the evidence only.
    """

    id: str
    world: str
    task_id: str
    task_json: str
    generation: int
    data: Data
    verdict: Verdict
    tags: dict[str, str]
    origin: Origin
    usage: Usage = Usage()

    @property
    def task(self) -> Task:
        task: Task = orjson.loads(self.task_json)
        return task

    @property
    def outcome(self) -> str:
        if self.verdict.ok:
            return "kept"
        return "failed" if any(c.name == EXCEPTION for c in self.verdict.checks) else "refused"


EXCEPTION = "exception"  # the check name that marks a failure: make or check raised


def envelope(data: pa.StructType) -> pa.Schema:
    """The Arrow schema of a world's records, around its own `data` type."""
    return pa.schema(
        [
            ("id", pa.string()),
            ("world", pa.string()),
            ("task", TASK),
            ("generation", pa.int32()),
            ("data", data),
            ("verdict", VERDICT),
            ("tags", TAGS),
            ("origin", ORIGIN),
            ("usage", USAGE),
        ]
    )


# Canonical JSON and hashes.


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return str(value)  # Decimal, timedelta: their text is exact, and the schema fixes the type


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces (UTF-8); what ids and hashes are taken over."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS)


def split_of(tags: Mapping[str, str], text: str) -> str:
    """The tag `split`, or 90/5/5 by a hash of the task's JSON: equal tasks stay together."""
    if tags.get("split") in SPLITS:
        return tags["split"]
    bucket = int.from_bytes(digest(text.encode(), 8), "big") % 20
    return SPLITS[max(0, bucket - 17)]


def task_json(task: Any) -> str:
    """A task as canonical JSON; TypeError or ValueError when it is none.

    NaN is looked for where a null is: orjson would write the one as the other.
    """
    if not isinstance(task, dict):
        raise TypeError(f"expected a dict, got {task!r:.60}")
    text = orjson.dumps(task, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY).decode()
    if "null" in text:
        json.dumps(task, allow_nan=False, default=str)
    return text


def digest(content: bytes, size: int = 32) -> bytes:
    return blake2b(content, digest_size=size).digest()


def config_json(world: World) -> dict[str, Any]:
    """The config that makes a world's tasks what they are (a run may gain generations)."""
    return world.model_dump(mode="json", exclude={"generations"})


def task_prefix(world: World, seed: int) -> bytes:
    """What the ids of all tasks of a run share."""
    return canonical([world.name, world.version, config_json(world), seed])


def task_id(prefix: bytes, generation: int, index: int, task: bytes) -> str:
    """Hash of world, version, config, seed (the prefix), generation, index and the task's JSON."""
    content = b"%b\n%d\n%d\n%b" % (prefix, generation, index, task)
    return blake2b(content, digest_size=16).hexdigest()


def record_id(task: str, ordinal: int, data: bytes) -> str:
    """Hash of the task id, the record's place among the task's records, and its data's JSON."""
    content = b"%b\n%d\n%b" % (task.encode(), ordinal, data)
    return blake2b(content, digest_size=16).hexdigest()


Shared = dict[int, orjson.Fragment]


def row_bytes(record: Record, shared: Shared | None = None) -> bytes:
    """The whole row as canonical JSON: what the Merkle tree is built over.

    `shared` holds the JSON of parts that is known already, by identity, and of those that rows have
    in common: the caller keeps all the records while it uses one.
    """
    shared = {} if shared is None else shared
    rid, world, task, task_json, generation, data, verdict, tags, origin, usage = record
    return orjson.dumps(
        (
            rid,
            world,
            task,
            task_json,
            generation,
            shared.get(id(data)) or orjson.Fragment(canonical(data)),
            shared.get(id(verdict)) or _share(shared, verdict, _verdict_row(verdict)),
            sorted(tags.items()),
            shared.get(id(origin)) or _share(shared, origin, _origin_row(origin)),
            shared.get(id(usage)) or _share(shared, usage, _usage_row(usage)),
        )
    )


def _share(shared: Shared, part: object, row: list[Any]) -> orjson.Fragment:
    fragment = shared[id(part)] = orjson.Fragment(orjson.dumps(row))
    return fragment


def _verdict_row(verdict: Verdict) -> list[Any]:
    return [verdict.ok, verdict.score, [[c.name, c.ok, c.detail] for c in verdict.checks]]


def _origin_row(o: Origin) -> list[Any]:
    who = [o.kind, o.maker, o.depth, o.parents, o.source, o.licence]
    return [*who, o.earliest, o.latest, o.tier, o.evidence]


def _usage_row(usage: Usage) -> list[Any]:
    return [usage.prompt_tokens, usage.completion_tokens, usage.cost]


# Arrow.


def to_batch(records: Sequence[Record], schema: pa.Schema) -> pa.Table:
    """Records as an Arrow table with the world's envelope."""

    def column(values: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(values, type=kind)

    def shared(values: list[Any], kind: pa.StructType, names: tuple[str, ...]) -> pa.Array:
        """Structs of which most are one and the same object, whose row is made once."""
        distinct = {id(value): value for value in values}
        rows = {i: {name: getattr(value, name) for name in names} for i, value in distinct.items()}
        return column([rows[id(value)] for value in values], kind)

    # No Array.take here: it imports pyarrow.compute, a tenth of a worker's start.
    verdicts = [r.verdict for r in records]
    groups = {id(v.checks): v.checks for v in verdicts}
    rows = {
        i: [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in group]
        for i, group in groups.items()
    }
    verdict = pa.StructArray.from_arrays(
        [
            column([v.ok for v in verdicts], pa.bool_()),
            column([v.score for v in verdicts], pa.float64()),
            column([rows[id(v.checks)] for v in verdicts], pa.list_(CHECK)),
        ],
        fields=list(VERDICT),
    )
    task = pa.StructArray.from_arrays(
        [
            column([r.task_id for r in records], pa.string()),
            column([r.task_json for r in records], pa.string()),
        ],
        fields=list(TASK),
    )
    tags = [[{"key": k, "value": v} for k, v in sorted(r.tags.items())] for r in records]
    columns = [
        column([r.id for r in records], pa.string()),
        column([r.world for r in records], pa.string()),
        task,
        column([r.generation for r in records], pa.int32()),
        column([r.data for r in records], schema.field("data").type),
        verdict,
        column(tags, TAGS),
        shared([r.origin for r in records], ORIGIN, Origin.__match_args__),
        shared([r.usage for r in records], USAGE, Usage.__match_args__),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def from_rows(rows: Sequence[dict[str, Any]]) -> list[Record]:
    """Records from `table.to_pylist()`; ValueError with the id when a row is not a record."""
    return [_from_row(row) for row in rows]


def _from_row(row: dict[str, Any]) -> Record:
    try:
        said, origin = row["verdict"], Origin(**row["origin"])
        verdict = Verdict(tuple(Check(**check) for check in said["checks"]), said["score"])
        record = Record(
            id=row["id"],
            world=row["world"],
            task_id=row["task"]["id"],
            task_json=row["task"]["json"],
            generation=row["generation"],
            data=row["data"],
            verdict=verdict,
            tags={tag["key"]: tag["value"] for tag in row["tags"]},
            origin=replace(origin, parents=tuple(origin.parents), evidence=tuple(origin.evidence)),
            usage=Usage(**row["usage"]),
        )
    except (KeyError, TypeError, ValueError) as wrong:
        raise ValueError(f"record {row.get('id')}: {wrong}") from wrong
    # What a Record does not keep as written must not differ unseen.
    if said["ok"] != verdict.ok:
        raise ValueError(
            f"record {record.id}: verdict.ok is {said['ok']}, its checks say otherwise"
        )
    if sorted(record.tags.items()) != [(tag["key"], tag["value"]) for tag in row["tags"]]:
        raise ValueError(f"record {record.id}: its tags are not in canonical form")
    return record
