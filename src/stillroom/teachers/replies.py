"""What an OpenAI-compatible server's answer means: good, busy, faulty for now, or no use asking."""

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import orjson

from stillroom.answer import Answer, Malformed, Reply, read, strict_json
from stillroom.errors import Stopped, UserError

HOPELESS = (401, 402, 403, 404, 405)
DOCS = "docs/teachers.md says how to start one"


@dataclass(frozen=True, slots=True)
class Busy:
    """The server has too much to do: asking again, `after` so many seconds, costs no attempt."""

    after: float | None


@dataclass(frozen=True, slots=True)
class Faulty:
    """Something went wrong that may go right next time: one attempt is used up."""

    why: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Unfit:
    """The server won't take this prompt: the task fails, the others go on."""

    why: str
    kind: Literal["context", "request"] = "request"


@dataclass(frozen=True, slots=True)
class Hopeless:
    """No request can succeed as things are."""

    error: UserError


Meaning = Answer | Busy | Faulty | Unfit | Hopeless


def meaning(status: int, headers: Mapping[str, str], body: bytes, url: str, model: str) -> Meaning:
    """What an HTTP answer means for the request and for those that follow."""
    if status == 200:
        return _good(headers, body, url)
    said, code = _error_of(body)
    if status == 402 or "quota" in code or "billing" in code:
        return Hopeless(
            Stopped(
                f"the provider's quota is used up ({said or status})",
                url,
                "pay or wait, and run the same command again: it goes on from here",
            )
        )
    if status in (429, 503):
        return Busy(retry_after(headers))
    if status in HOPELESS:
        return Hopeless(_hopeless(status, said, url, model))
    if status >= 500 or status in (408, 409, 425):
        return Faulty(f"HTTP {status} {said}".strip(), retry_after(headers))
    if "context" in code or "context length" in said or "maximum context" in said:
        return Unfit(
            f"the prompt is over the context of {model} at {url} ({said}); shorten what goes into "
            "it, lower max_tokens, or take a model with a larger context",
            "context",
        )
    return Unfit(f"{url} answers HTTP {status}: {said or 'no reason given'}")


def _good(headers: Mapping[str, str], body: bytes, url: str) -> Meaning:
    if body.lstrip()[:1] == b"<" or "html" in headers.get("Content-Type", ""):
        return Faulty("HTML instead of JSON")
    try:
        strict_json(body)  # a body that says a thing twice says nothing
        return read(Reply(body))
    except (Malformed, ValueError, TypeError, KeyError) as wrong:
        return Faulty(f"an answer that can't be used: {wrong}")


def _hopeless(status: int, said: str, url: str, model: str) -> UserError:
    if status in (401, 403):
        return UserError(
            f"the server refuses the key (HTTP {status})",
            url,
            "put the right key into the environment variable that the recipe's teacher.key names",
        )
    return UserError(
        f"HTTP {status} from the server{f': {said}' if said else ''}",
        url,
        f"is the model's name right ({model!r}), and does the URL end in /v1? {DOCS}",
    )


def page_instead(url: str) -> UserError:
    return UserError(
        "the server answers with an HTML page, not with JSON",
        url,
        f"give the address of the API, which mostly ends in /v1; {DOCS}",
    )


def nobody(url: str, why: str) -> UserError:
    return UserError(f"no server answers there: {why}", url, f"start it, or mend the URL; {DOCS}")


def _error_of(body: bytes) -> tuple[str, str]:
    """The message and the code in an error's body, as the OpenAI API and its kin write them."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    error = found.get("error", found) if isinstance(found, dict) else {}
    if isinstance(error, str):
        return error[:300], ""
    if not isinstance(error, dict):
        return "", ""
    said = error.get("message") or error.get("detail") or ""
    code = f"{error.get('code') or ''} {error.get('type') or ''}"
    return str(said)[:300], code


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header in either form (RFC 9110, 10.2.3); None without one."""
    given = headers.get("Retry-After", "").strip()
    if not given:
        return None
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def limits(headers: Mapping[str, str], name: str) -> tuple[float, float, float] | None:
    """Size of a server's bucket of requests or tokens, what is left, seconds until it is full.

    As the OpenAI API writes them: x-ratelimit-reset-requests is such as "6m0s" or "20ms".
    """
    try:
        limit, left = (float(headers[f"x-ratelimit-{of}-{name}"]) for of in ("limit", "remaining"))
        reset = headers.get(f"x-ratelimit-reset-{name}", "")
        if not reset:
            return limit, left, 60 * (limit - left) / limit  # a minute's worth, then
        found = re.findall(r"([\d.]+)(ms|s|m|h|d|$)", reset)
        return limit, left, sum(float(number) * _SECONDS[unit] for number, unit in found)
    except (KeyError, ValueError, ZeroDivisionError):
        return None


_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
