"""What the model behind the test server says: texts, choices, log-probabilities, tool calls.

All of it follows from the request: the same prompt with the same seed gets the same answer.
"""

import importlib.util
import random
import re
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, cast

import orjson

Json = dict[str, Any]
Speaker = Callable[[list[Json], Json], str | Json]
DEPTH = 4  # below it a schema's optional properties are left out, so that recursion ends


def load_function(mode: str) -> Speaker:
    """The function named by "python:FILE:FUNCTION"."""
    _, file, name = mode.split(":")
    spec = importlib.util.spec_from_file_location("endpoint_teacher", file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Speaker, getattr(module, name))


def words(key: bytes, count: int = 16) -> str:
    """Words that mean nothing and depend on `key` alone."""
    digest = "".join(blake2b(key, salt=bytes([n])).hexdigest() for n in range(-(-count // 25)))
    return " ".join(digest[at : at + 5] for at in range(0, 5 * count, 5))


def tokens(text: str) -> int:
    """How many tokens usage numbers and the context limit count for a text."""
    return len(text) // 4 + 1


def prompt_text(messages: list[Json]) -> str:
    """The text of all messages; parts that are no text count by their JSON."""
    parts = [message.get("content") or "" for message in messages]
    return "\n".join(p if isinstance(p, str) else orjson.dumps(p).decode() for p in parts)


def fit(schema: Any, rng: random.Random, root: Any = None, depth: int = 0) -> Any:
    """A value that fits a JSON schema made of types, enums, bounds, references and unions."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or not schema:
        return words(rng.randbytes(8), 2)
    if "$ref" in schema:
        target = root
        for step in schema["$ref"].lstrip("#/").split("/"):
            target = target[step]
        return fit(target, rng, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            options = schema[union]
            return fit(options[-1 if depth > DEPTH else 0], rng, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        needed = schema.get("required", ())
        return {
            name: fit(part, rng, root, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if name in needed or depth < DEPTH
        }
    if kind == "array":
        least = schema.get("minItems", 0 if depth >= DEPTH else 1)
        count = rng.randint(least, max(least, min(schema.get("maxItems", 3), least + 2)))
        return [fit(schema.get("items", {}), rng, root, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        high = schema.get("maximum", schema.get("exclusiveMaximum", max(low, 0) + 101) - 1)
        whole = rng.randint(int(low), max(int(low), int(high)))
        return whole if kind == "integer" else min(whole + rng.randrange(4) / 4, max(low, high))
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "null":
        return None
    text = words(rng.randbytes(8), 3).ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]


def wrong_text(body: Json) -> str | None:
    """JSON that doesn't match the schema the request asks for; None where it asks for none."""
    asked = body.get("response_format") or {}
    if asked.get("type") != "json_schema":
        return None
    kind = asked.get("json_schema", {}).get("schema", {}).get("type", "object")
    return '["unexpected"]' if kind == "object" else '{"unexpected": true}'


def _message(body: Json, messages: list[Json], key: bytes, ignores: tuple[str, ...]) -> Json:
    """What echo mode says: a tool call, JSON made to the schema, or words."""
    tools = () if "tools" in ignores else body.get("tools") or ()
    choice = body.get("tool_choice", "auto")
    if tools and choice != "none" and messages[-1].get("role") != "tool":
        rng = random.Random(key)
        named = choice["function"]["name"] if isinstance(choice, dict) else None
        functions = [tool["function"] for tool in tools]
        function = next((f for f in functions if f["name"] == named), rng.choice(functions))
        arguments = orjson.dumps(fit(function.get("parameters", {"type": "object"}), rng)).decode()
        call = {"name": function["name"], "arguments": arguments}
        made = {"id": "call_" + rng.randbytes(9).hex(), "type": "function", "function": call}
        return {"role": "assistant", "content": None, "tool_calls": [made]}
    asked = {} if "response_format" in ignores else body.get("response_format") or {}
    if asked.get("type") == "json_schema":
        text = orjson.dumps(fit(asked["json_schema"]["schema"], random.Random(key))).decode()
    elif asked.get("type") == "json_object":
        text = orjson.dumps({"text": words(key)}).decode()
    else:
        text = words(key)
    return {"role": "assistant", "content": text}


def _pieces(text: str, key: bytes) -> list[tuple[str, float]]:
    """The text as tokens, each with a log-probability."""
    cut = re.findall(r"\s*\S{1,6}|\s+$", text)
    noise = blake2b(key + text.encode()).digest()
    return [(token, -noise[n % 64] / 64) for n, token in enumerate(cut)]


def _chat_logprobs(text: str, key: bytes, top: int) -> Json:
    def entry(token: str, logprob: float) -> Json:
        return {"token": token, "logprob": logprob, "bytes": list(token.encode())}

    return {
        "content": [
            entry(token, value)
            | {"top_logprobs": [entry(token + "~" * n, value - n) for n in range(top)]}
            for token, value in _pieces(text, key)
        ],
        "refusal": None,
    }


def _plain_logprobs(text: str, key: bytes, top: int, echoed: bool) -> Json:
    pieces = _pieces(text, key)
    values: list[float | None] = [value for _, value in pieces]
    likely: list[Json | None] = [{t + "~" * n: v - n for n in range(top)} for t, v in pieces]
    if echoed and values:
        values[0] = likely[0] = None  # nothing stands before a prompt's first token
    offsets, at = [], 0
    for token, _ in pieces:
        offsets.append(at)
        at += len(token)
    return {
        "tokens": [token for token, _ in pieces],
        "token_logprobs": values,
        "top_logprobs": likely,
        "text_offset": offsets,
    }


def complete(
    body: Json,
    chat: bool,
    turn: int,
    speak: Speaker | None = None,
    ignores: tuple[str, ...] = (),
) -> Json:
    """The server's whole answer to a request, without faults.

    `turn` counts equal requests: without a seed (and above temperature 0) each gets another
    text. `speak` takes the place of echo mode; a dict that it returns is the whole message.
    """
    prompts = body["messages"] if chat else body["prompt"]
    each = [prompts] if chat or isinstance(prompts, str) else prompts
    seed = None if "seed" in ignores else body.get("seed")
    settled = seed is not None or body.get("temperature") == 0
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    wants = None if "logprobs" in ignores else body.get("logprobs")
    count = 1 if "n" in ignores else body.get("n") or 1
    choices: list[Json] = []
    asked = made = 0
    for prompt in each:
        messages = prompt if chat else [{"role": "user", "content": prompt}]
        asked += tokens(prompt_text(messages))
        for sample in range(count):
            start = orjson.dumps([messages, seed, sample, None if settled else turn])
            key = blake2b(start, digest_size=16).digest()
            if speak:
                params = {k: v for k, v in body.items() if k not in ("messages", "prompt")}
                said = speak(messages, params | {"choice": sample})
            else:
                said = _message(body, messages, key, ignores)
            message = {"role": "assistant", "content": said} if isinstance(said, str) else said
            text: str | None = message.get("content")
            finish = "tool_calls" if message.get("tool_calls") else "stop"
            if text is not None and limit is not None and tokens(text) > limit:
                text = message["content"] = text[: 4 * limit]
                finish = "length"
            made += tokens(text or orjson.dumps(message).decode())
            choice: Json = {"index": len(choices), "finish_reason": finish, "logprobs": None}
            if chat:
                choice["message"] = message
                if wants and text is not None:
                    top = body.get("top_logprobs") or 0
                    choice["logprobs"] = _chat_logprobs(text, key, top)
            else:
                echoed = bool(body.get("echo"))
                choice["text"] = (prompt if echoed else "") + (text or "")
                if wants is not None:
                    choice["logprobs"] = _plain_logprobs(choice["text"], key, wants, echoed)
            choices.append(choice)
    return {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{key.hex()}",
        "object": "chat.completion" if chat else "text_completion",
        "created": int(time.time()),
        "model": body.get("model", ""),
        "choices": choices,
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": made,
            "total_tokens": asked + made,
        },
    }
