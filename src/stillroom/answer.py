"""A model's raw answer, and what is read from it: the raw one is kept, reading is done anew.

A raw answer is one JSON object: the body that an OpenAI-compatible server sent, or {"text": ...,
"prompt_tokens": ...} from any other teacher.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from stillroom.world import Message


class Reply(NamedTuple):
    """What a teacher gives for one call: the raw answer as JSON, and what it cost."""

    raw: bytes
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A raw answer as read: text, what it took, and whatever else the model gave.

    finish     why the model stopped: "stop", "length", "tool_calls"; empty when it did not say
    reasoning  what a reasoning model thought before it spoke, where the server shows it
    logprobs   (token, log-probability) of each token of the text, where the server gives them
    tools      the tool calls, as the server sent them
    value      the text as JSON, when a schema was asked for and fits
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    finish: str = ""
    reasoning: str = ""
    logprobs: tuple[tuple[str, float], ...] | None = None
    tools: tuple[dict[str, Any], ...] = ()
    value: Any = None


class Malformed(ValueError):
    """A raw answer that holds none: no choice, no text, not the shape that was promised."""


class Misfit(ValueError):
    """A model's text that is not JSON, or JSON that the schema does not allow."""


def raw_of(said: Any) -> Reply:
    """What `ask` of any teacher returned, as a raw answer: text, an object, or a Reply as it is."""
    if isinstance(said, Reply):
        return said
    if isinstance(said, str):
        return Reply(orjson.dumps({"text": said}))
    if isinstance(said, dict) and isinstance(said.get("text"), str):
        return Reply(orjson.dumps(said), float(said.get("cost", 0.0)))
    raise TypeError(f"a teacher's ask() gives text or {{'text': ...}}, not {said!r:.60}")


def read(reply: Reply) -> Answer:
    """A raw answer as an Answer; Malformed says what it lacks."""
    try:
        body = orjson.loads(reply.raw)
    except orjson.JSONDecodeError as wrong:
        raise Malformed(f"not JSON: {wrong}") from None
    if not isinstance(body, dict):
        raise Malformed(f"a JSON object was expected, not {type(body).__name__}")
    if "choices" in body:
        return _of_choice(body, reply.cost)
    if not isinstance(body.get("text"), str):
        raise Malformed("neither choices nor text in it")
    prompt, completion = body.get("prompt_tokens", 0), body.get("completion_tokens", 0)
    return Answer(body["text"], prompt, completion, reply.cost, body.get("finish", ""))


def _of_choice(body: dict[str, Any], cost: float) -> Answer:
    choices = body["choices"]
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Malformed("choices is empty")
    choice = choices[0]
    message = choice.get("message", choice)  # the older completion API has the text in the choice
    if not isinstance(message, dict):
        raise Malformed("the choice holds no message")
    tools = message.get("tool_calls") or []
    text = message.get("content", message.get("text"))
    if text is None and tools:
        text = ""
    if not isinstance(text, str):
        raise Malformed(f"the content is {json.dumps(text)[:40]}, not text")
    usage = body.get("usage") or {}
    return Answer(
        text,
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
        cost,
        str(choice.get("finish_reason") or ""),
        str(message.get("reasoning_content") or message.get("reasoning") or ""),
        _logprobs(choice.get("logprobs")),
        tuple(tools),
    )


def _logprobs(given: Any) -> tuple[tuple[str, float], ...] | None:
    """Both shapes: {"content": [{token, logprob}]} of chats, {"tokens", "token_logprobs"}."""
    if not isinstance(given, dict):
        return None
    if isinstance(given.get("content"), list):
        return tuple((one["token"], one["logprob"]) for one in given["content"])
    if isinstance(given.get("tokens"), list) and isinstance(given.get("token_logprobs"), list):
        pairs = zip(given["tokens"], given["token_logprobs"], strict=True)
        return tuple((token, float("nan") if lp is None else lp) for token, lp in pairs)
    return None


def strict_json(text: str | bytes) -> Any:
    """JSON whose objects name each key once; ValueError otherwise. (RFC 8259 leaves it open.)"""
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1)
        raise ValueError(f"the key {twice!r} stands there twice")
    return found


def conform(text: str, schema: dict[str, Any]) -> Any:
    """The JSON value in a model's text (perhaps in a ``` fence); Misfit when schema says no."""
    plain = text.strip()
    if plain.startswith("```") and plain.endswith("```"):
        plain = plain.partition("\n")[2].removesuffix("```").strip()
    try:
        value = strict_json(plain)
    except ValueError as wrong:
        raise Misfit(f"not JSON: {wrong}") from None
    error = next(_validator(orjson.dumps(schema)).iter_errors(value), None)
    if error is not None:
        where = "/".join(map(str, error.absolute_path)) or "the whole"
        raise Misfit(f"{where}: {error.message:.200}")
    return value


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(orjson.loads(schema))


THINK, ANSWER = "<think>", "</think>"  # around reasoning, as open reasoning models write it


def spoken(message: Message) -> str:
    """An assistant's turn as one text: `<think>` reasoning `</think>` answer, or the answer."""
    reasoning = message.get("reasoning_content")
    return f"{THINK}{reasoning}{ANSWER}{message['content']}" if reasoning else message["content"]


def turn(text: str) -> Message:
    """The assistant's turn that such a text is."""
    reasoning, mark, answer = text.rpartition(ANSWER)
    if not mark:
        return {"role": "assistant", "content": text}
    reasoning = reasoning.removeprefix(THINK)
    return {"role": "assistant", "content": answer, "reasoning_content": reasoning}
