"""How the test server treats a request: limits, faults, refusals, statistics. No sockets."""

import dataclasses
import email.utils
import math
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
from endpoint_answers import Json, Speaker, complete, load_function, prompt_text, tokens, wrong_text

FAULTS = (
    *("429", "503", "500", "hang", "slow_first_byte", "drop", "truncated_json", "html"),
    *("wrong_schema", "content_null", "finish_length", "duplicate_keys", "empty_choices"),
    *("quota", "logprobs_missing"),
)


@dataclass
class Options:
    """How the server behaves; 0 and "" mean no limit and anything goes."""

    latency_ms: float = 50  # of every answer that is no refusal
    admit_per_s: float = 0  # requests; over it 429
    tokens_per_s: float = 0  # prompt tokens; over it 429
    burst_s: float = 1  # a full bucket holds so many seconds of either
    retry_after: str = "seconds"  # "seconds" | "date" | "none"
    retry_after_s: float = 0  # what 429 and 503 ask for; 0: the bucket's wait in whole seconds
    ratelimit_headers: bool = False
    key: str = ""  # a wrong key is echoed in the error
    model: str = ""
    context: int = 0  # tokens a prompt may have
    faults: dict[str, float] = field(default_factory=dict)  # kind -> probability
    fault_seed: int = 0  # the same body meets the same faults, whatever the order of arrival
    script: tuple[str, ...] = ()  # kinds of fault ("ok": none) of the first requests, in order
    slow_s: float = 2
    ignores: tuple[str, ...] = ()  # n, seed, logprobs, response_format, tools
    mode: str = "echo"  # "echo" | "fixed" | "python:FILE:FUNCTION" of (messages, params)
    text: str = "A fixed answer."
    usage_missing: bool = False
    prefix_chars: int = 256  # of the first message, whose changes /stats counts

    def __post_init__(self) -> None:
        wrong = {*self.faults, *self.script} - {*FAULTS, "ok"}
        if wrong or self.retry_after not in ("seconds", "date", "none"):
            raise ValueError(f"no such fault or Retry-After: {sorted(wrong)} {self.retry_after}")


class Reply(NamedTuple):
    """What goes back. `kind`: the fault; `digest`: of the body that this answers in full."""

    status: int
    body: bytes
    delay: float = 0
    headers: str = ""
    kind: str = ""
    digest: bytes = b""
    mime: str = "application/json"


class Bucket:
    """A token bucket; `rate` 0 admits everything."""

    def __init__(self, rate: float, burst_s: float) -> None:
        self.rate, self.full = rate, max(1.0, rate * burst_s)
        self.level, self.at = self.full, time.monotonic()

    def wait(self, amount: float) -> float:
        """Seconds until there is `amount`: 0 now. More than a full bucket waits for a full one."""
        if not self.rate:
            return 0
        now = time.monotonic()
        self.level = min(self.full, self.level + (now - self.at) * self.rate)
        self.at = now
        return max(0.0, (min(amount, self.full) - self.level) / self.rate)

    def take(self, amount: float) -> None:
        self.level -= amount if self.rate else 0

    def headers(self, of: str) -> str:
        """OpenAI's limit (a minute), what is left now, and the time until the bucket is full."""
        self.wait(0)
        limit, left = (self.rate * 60, self.level) if self.rate else (1e6, 1e6)
        reset = round((self.full - self.level) / self.rate * 1000) if self.rate else 0
        fields = {"limit": f"{limit:.0f}", "remaining": int(max(0, left)), "reset": f"{reset}ms"}
        return "".join(f"x-ratelimit-{name}-{of}: {v}\r\n" for name, v in fields.items())


def error(status: int, message: str, code: str | None = None, **more: Any) -> Reply:
    """A refusal with the body that OpenAI would send."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"message": message, "type": code or kind, "param": None, "code": code}
    return Reply(status, orjson.dumps({"error": body}), **more)


def body_digest(body: Json) -> bytes:
    """The name under which /stats counts a request's body: order of keys doesn't matter."""
    return blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=12).digest()


class Endpoint:
    """Options, statistics, and the reply to each request; no sockets."""

    def __init__(self, options: Options) -> None:
        self.set(options, set(vars(options)))
        self.reset()

    def set(self, options: Options, changed: set[str]) -> None:
        """Change options; a script and buckets begin anew only where they are changed."""
        self.options = options
        if "script" in changed:
            self.script = iter(options.script)
        if changed & {"admit_per_s", "tokens_per_s", "burst_s"}:
            self.requests_left = Bucket(options.admit_per_s, options.burst_s)
            self.tokens_left = Bucket(options.tokens_per_s, options.burst_s)
        self.speak: Speaker | None = None
        if options.mode == "fixed":
            self.speak = lambda messages, params: options.text
        elif options.mode != "echo":
            self.speak = load_function(options.mode)

    def reset(self) -> None:
        self.requests = self.prefix_changes = self.abandoned = self.bugs = 0
        self.in_flight = self.peak = getattr(self, "in_flight", 0)
        self.by_status, self.by_fault = Counter[str](), Counter[str]()
        self.admitted, self.answered = Counter[bytes](), Counter[bytes]()
        self.prefix: str | None = None
        self.cpu, self.began, self.ended = time.process_time(), 0.0, 0.0

    def statistics(self, full: bool) -> Json:
        """`answers` (body digest -> times answered in full) lists repeats only unless `full`."""
        answers = {d.hex(): n for d, n in self.answered.items() if full or n > 1}
        return {
            "requests": self.requests,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak,
            "by_status": self.by_status,
            "by_fault": self.by_fault,
            "bodies": len(self.admitted),
            "bodies_answered": len(self.answered),
            "answers": answers,
            "prefix_changes": self.prefix_changes,
            "abandoned": self.abandoned,
            "bugs": self.bugs,
            "span_s": max(0.0, self.ended - self.began),  # first request to last answer
            "cpu_s": time.process_time() - self.cpu,
        }

    def arrived(self) -> None:
        """Count a request for a completion."""
        self.began = self.began or time.monotonic()
        self.requests += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)

    def left(self, reply: Reply | None) -> None:
        """Count a reply that has left; None: the client went first."""
        self.in_flight -= 1
        if reply is None:
            self.abandoned += 1
            return
        self.ended = time.monotonic()
        dropped = reply.kind == "drop"
        self.by_status["dropped" if dropped else str(reply.status)] += 1
        if reply.digest:
            self.answered[reply.digest] += 1

    def reply(self, method: str, path: str, key: str, payload: bytes) -> Reply:
        """The reply to any request; our own mistakes show as 500 and in `bugs`."""
        try:
            path, _, query = path.partition("?")
            if path == "/stats":
                return Reply(200, orjson.dumps(self.statistics("full" in query)))
            if path == "/control":
                return self._control(orjson.loads(payload))
            return self._api(method, path, key, payload)
        except Exception:
            traceback.print_exc()
            self.bugs += 1
            return error(500, traceback.format_exc(limit=-3), "bug")

    def _control(self, changes: Json) -> Reply:
        if changes.pop("reset", False):
            self.reset()
        if changes:
            try:
                self.set(dataclasses.replace(self.options, **changes), set(changes))
            except (TypeError, ValueError, OSError) as problem:
                return error(400, str(problem))
        return Reply(200, orjson.dumps(dataclasses.asdict(self.options)))

    def _api(self, method: str, path: str, key: str, payload: bytes) -> Reply:
        options = self.options
        if options.key and key != options.key:
            return error(401, f"Incorrect API key provided: {key}.", "invalid_api_key")
        if (method, path) == ("GET", "/v1/models"):
            served = {"id": options.model or "mock", "object": "model", "owned_by": "tests"}
            return Reply(200, orjson.dumps({"object": "list", "data": [served]}))
        if method != "POST" or path not in ("/v1/chat/completions", "/v1/completions"):
            return error(404, f"Unknown request URL: {method} {path}.", "unknown_url")
        chat = path == "/v1/chat/completions"
        try:
            body = orjson.loads(payload)
            prompt = prompt_text(body["messages"]) if chat else "".join(body["prompt"])
            first = body["messages"][0].get("content") or "" if chat else prompt
        except (ValueError, LookupError, TypeError, AttributeError) as problem:
            return error(400, f"We could not parse your request: {problem!r}.")
        prefix = str(first)[: options.prefix_chars]
        self.prefix_changes += self.prefix is not None and prefix != self.prefix
        self.prefix = prefix
        digest = body_digest(body)
        self.admitted[digest] += 0
        if body.get("stream"):
            return error(400, "This server does not stream.")
        if options.model and body.get("model") != options.model:
            message = f"The model `{body.get('model')}` does not exist."
            return error(404, message, "model_not_found")
        size = tokens(prompt)
        if options.context and size > options.context:
            message = f"This model's maximum context length is {options.context} tokens: {size}."
            return error(400, message, "context_length_exceeded")
        waits = self.requests_left.wait(1), self.tokens_left.wait(size)
        if max(waits) > 0:
            over = "requests" if waits[0] >= waits[1] else "tokens"
            return self._too_many(f"Rate limit reached on {over}.", max(waits))
        self.admitted[digest] += 1
        kind = self._fault(digest)
        self.by_fault.update([kind] if kind else ())
        if kind == "429":
            return self._too_many("Rate limit reached.", 0, kind)
        if kind == "quota":
            return error(429, "You exceeded your current quota.", "insufficient_quota", kind=kind)
        self.requests_left.take(1)
        self.tokens_left.take(size)
        delay, headers = options.latency_ms / 1000, self._limits()
        if kind in ("500", "503"):
            after = self._after(0) if kind == "503" else ""
            return error(int(kind), "Overloaded.", headers=after, kind=kind, delay=delay)
        delay += options.slow_s if kind == "slow_first_byte" else 0
        answer = complete(body, chat, self.admitted[digest], self.speak, tuple(options.ignores))
        if options.usage_missing:
            del answer["usage"]
        if kind == "html":
            page = b"<!DOCTYPE html><html><body><h1>Please log in</h1></body></html>"
            return Reply(200, page, delay, kind=kind, mime="text/html")
        if kind in ("", "slow_first_byte"):
            return Reply(200, orjson.dumps(answer), delay, headers, kind, digest)
        return Reply(200, spoilt(answer, kind, body), delay, headers, kind)

    def _too_many(self, message: str, wait: float, kind: str = "") -> Reply:
        headers = self._after(wait) + self._limits()
        return error(429, message, "rate_limit_exceeded", headers=headers, kind=kind)

    def _fault(self, digest: bytes) -> str:
        kind = next(self.script, None)
        if kind is not None:
            return "" if kind == "ok" else kind
        if not self.options.faults:
            return ""
        key = b"%d %d" % (self.options.fault_seed, self.admitted[digest])
        number = blake2b(digest, key=key[:64], digest_size=8).digest()
        left = int.from_bytes(number, "big") / 2**64
        for kind, share in self.options.faults.items():
            left -= share
            if left < 0:
                return kind
        return ""

    def _after(self, wait: float) -> str:
        seconds = self.options.retry_after_s or max(1, math.ceil(wait))
        if self.options.retry_after == "none":
            return ""
        if self.options.retry_after == "date":
            date = email.utils.formatdate(math.ceil(time.time() + seconds), usegmt=True)
            return f"Retry-After: {date}\r\n"
        return f"Retry-After: {seconds:g}\r\n"

    def _limits(self) -> str:
        if not self.options.ratelimit_headers:
            return ""
        return self.requests_left.headers("requests") + self.tokens_left.headers("tokens")


def spoilt(answer: Json, kind: str, body: Json) -> bytes:
    """The answer's bytes with a fault of that kind in them."""
    choice = answer["choices"][0]
    message = choice.get("message", choice)
    where = "content" if "message" in choice else "text"
    if kind == "truncated_json":
        whole = orjson.dumps(answer)
        return whole[: len(whole) // 2]
    if kind == "duplicate_keys":
        return b'{"choices":[],"model":"another",' + orjson.dumps(answer)[1:]
    if kind == "empty_choices":
        answer["choices"] = []
    elif kind == "content_null":
        message[where] = None
    elif kind == "finish_length":
        text = message[where] or ""
        message[where], choice["finish_reason"] = text[: len(text) // 2], "length"
    elif kind == "logprobs_missing":
        for each in answer["choices"]:
            each["logprobs"] = None
    elif kind == "wrong_schema":
        message[where] = wrong_text(body)
        if message[where] is None:
            del answer["choices"]
    return orjson.dumps(answer)
