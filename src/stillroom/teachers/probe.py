"""What a server really honours of what it is asked for; many ignore half of it without a word."""

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from stillroom.answer import Malformed, Misfit, Reply, conform, read

if TYPE_CHECKING:
    from stillroom.teachers.endpoint import Endpoint

ASKED = ("n", "seed", "logprobs", "response_format", "tools")
PATIENCE = 30  # seconds
_FORM = {
    "type": "object",
    "properties": {"stillroom": {"type": "string", "enum": ["honoured"]}},
    "required": ["stillroom"],
    "additionalProperties": False,
}
_TOOL = {
    "type": "function",
    "function": {
        "name": "clock",
        "description": "Tells the time.",
        "parameters": {"type": "object", "properties": {}},
    },
}


async def probe(endpoint: "Endpoint") -> dict[str, bool | None]:
    """Which of ASKED the server honours; None where no request told.

    Eight short requests. A parameter is honoured when its effect is seen, not when the server
    takes it: two choices, the same text for the same seed and another for another,
    log-probabilities in the answer, the one JSON that a schema allows, a call of the tool.
    """
    said = "Write one random word of six letters."
    n, logprobs, called, form, *texts = await asyncio.gather(
        _choices(endpoint, said, n=2),
        _choices(endpoint, "Say hello.", logprobs=True),
        _choices(endpoint, "What time is it?", tools=[_TOOL], tool_choice="required"),
        honours_schema(endpoint),
        *(_text(endpoint, said, seed=seed, temperature=1.5) for seed in (1, 1, 2, 3)),
    )
    same, others = texts[0] == texts[1], {texts[0], *texts[2:]}
    endpoint.honours |= {
        "n": None if n is None else len(n) == 2,
        # A server that always says the same tells nothing about seeds.
        "seed": None if None in texts or len(others) == 1 else same,
        "logprobs": None if not logprobs else bool(logprobs[0].get("logprobs")),
        "response_format": form,
        "tools": None if not called else bool((called[0].get("message") or {}).get("tool_calls")),
    }
    return endpoint.honours


async def honours_schema(endpoint: "Endpoint") -> bool | None:
    """Whether a JSON schema binds the model: it is asked for the weather, and may say one thing."""
    form = {"name": "probe", "strict": True, "schema": _FORM}
    text = await _text(
        endpoint,
        "Describe the weather in ten words.",
        max_tokens=64,
        response_format={"type": "json_schema", "json_schema": form},
    )
    if text is None:
        return None
    try:
        conform(text, _FORM)
    except Misfit:
        return False
    return True


async def _choices(endpoint: "Endpoint", question: str, **params: Any) -> list[Any] | None:
    """The choices of one answer; None when there is none, as some servers refuse what is new."""
    raw = await _answer(endpoint, question, params)
    if raw is None:
        return None
    found = orjson.loads(raw).get("choices")
    return found if isinstance(found, list) else None


async def _text(endpoint: "Endpoint", question: str, **params: Any) -> str | None:
    raw = await _answer(endpoint, question, params)
    if raw is None:
        return None
    try:
        return read(Reply(raw)).text
    except Malformed:
        return None


async def _answer(endpoint: "Endpoint", question: str, params: dict[str, Any]) -> bytes | None:
    import aiohttp

    asked: dict[str, Any] = {"messages": [{"role": "user", "content": question}]}
    if endpoint.settings.api == "completion":
        asked = {"prompt": question}
    body = {"model": endpoint.settings.model, "max_tokens": 16, **asked, **params}
    try:
        status, raw = await asyncio.wait_for(endpoint.post(body), PATIENCE)
        answer = orjson.loads(raw)
    except (aiohttp.ClientError, OSError, ValueError):  # TimeoutError is an OSError
        return None
    if status != 200 or not isinstance(answer, dict):
        return None
    _pay(endpoint, answer.get("usage"))
    return raw


def _pay(endpoint: "Endpoint", usage: Any) -> None:
    """Probes are paid for like everything else."""
    if isinstance(usage, dict):
        prompt, said = (int(usage.get(f"{of}_tokens") or 0) for of in ("prompt", "completion"))
        endpoint.budget.paid(prompt + said, endpoint.budget.cost(prompt, said))


def words(honours: dict[str, bool | None]) -> str:
    """The outcome as a sentence."""
    ignored = [name for name, yes in honours.items() if yes is False]
    unknown = [name for name, yes in honours.items() if yes is None]
    parts = [f"ignores {', '.join(ignored)}"] if ignored else ["honours all that was asked"]
    parts += [f"could not be tested for {', '.join(unknown)}"] if unknown else []
    return f"the server {' and '.join(parts)}"
