"""A model behind an OpenAI-compatible server: vLLM, SGLang, Ollama, llama.cpp, hosted ones."""

import asyncio
import os
import random
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from stillroom.answer import Answer, Reply
from stillroom.errors import Stopped, UserError
from stillroom.teachers import replies
from stillroom.teachers.admission import Admission
from stillroom.teachers.budget import Budget
from stillroom.teachers.replies import Busy, Faulty, Hopeless, Unfit
from stillroom.teachers.settings import Settings
from stillroom.world import Message

if TYPE_CHECKING:
    import aiohttp

ATTEMPTS = 5
LONGEST_WAIT = 60.0  # seconds, of our own back-off after a fault
BUSY_WAIT = 2.0  # and after a refusal that names no time


class NoAnswer(RuntimeError):
    """A question that the server did not answer, and why."""


class Endpoint:
    """Asks a server: one session, as many requests at once as it bears, one budget.

    A refusal for being busy (429, 503) costs no attempt, it slows the asking down; server errors,
    time-outs and unusable answers cost one of five, with full jitter between them. What no request
    can mend (a wrong key, an unknown model, no quota) ends the run at once.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.model = settings, settings.identity
        self.budget = Budget(settings.budget, settings.price)
        self.honours: dict[str, bool | None] = {}
        self._key = _key(settings.key, settings.url)
        path = "/chat/completions" if settings.api == "chat" else "/completions"
        self._address = settings.url + path
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._probing: asyncio.Lock | None = None
        self._answered = False
        self.admission = self._new_admission()

    async def ask(self, messages: Sequence[Message], **params: Any) -> Reply:
        """One answer, as the server sent it. `params` go to the server as they are.

        A `schema` is sent where the server honours it, else told in words; whether the text
        conforms is for the caller to see. Raises NoAnswer for this prompt alone, UserError or
        Stopped when there is no use in asking anything.
        """
        body = await self._body(messages, params.pop("schema", None), params)
        prompt = "\0".join(message["content"] for message in messages)
        tokens = len(prompt) / 4 + float(body.get("max_tokens") or 256)
        raw, answer = await self._persist(orjson.dumps(body), prompt, tokens)
        cost = self.budget.cost(answer.prompt_tokens, answer.completion_tokens)
        self.budget.paid(answer.prompt_tokens + answer.completion_tokens, cost)
        return Reply(raw, cost)

    @property
    def in_flight(self) -> int:
        """How many requests may be on the way at most."""
        return self.settings.in_flight

    async def post(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """One request as it is, without any patience: for probes. The status, and the body."""
        status, _, raw = await self._post(orjson.dumps(body))
        return status, raw

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _body(
        self, messages: Sequence[Message], schema: dict[str, Any] | None, params: dict[str, Any]
    ) -> dict[str, Any]:
        asked = list(messages)
        settled = {"model": self.settings.model, **self.settings.params, **params}
        if schema is not None:
            if await self._honours_schema():
                form = {"name": "answer", "strict": True, "schema": schema}
                settled["response_format"] = {"type": "json_schema", "json_schema": form}
            else:
                words = orjson.dumps(schema).decode()
                told = f"\n\nAnswer with JSON alone, valid under this JSON Schema:\n{words}"
                asked[-1] = {**asked[-1], "content": asked[-1]["content"] + told}
        if self.settings.api == "chat":
            return {**settled, "messages": asked}
        return {**settled, "prompt": "\n\n".join(message["content"] for message in asked)}

    async def _honours_schema(self) -> bool:
        from stillroom.teachers.probe import honours_schema

        if self._probing is None:
            self._probing = asyncio.Lock()
        async with self._probing:
            if "response_format" not in self.honours:
                self.honours["response_format"] = await honours_schema(self)
        return bool(self.honours["response_format"])

    async def _persist(self, body: bytes, prompt: str, tokens: float) -> tuple[bytes, Answer]:
        """Ask until there is an answer, or none is to be had."""
        attempts, refusals, why = 0, 0, ""
        while attempts < ATTEMPTS:
            self._settle_in()
            await self.admission.enter(prompt, tokens)
            raw, said = await self._once(body)
            match said:
                case Answer():
                    self._answered = True
                    return raw, said
                case Hopeless(error):
                    self.admission.end(error)
                    raise error
                case Unfit(why, kind):
                    if kind == "request" and not self._answered:
                        raise self._give_up(UserError(why, do=replies.DOCS))
                    raise NoAnswer(why)
                case Busy(after):
                    refusals += 1
                    # How fast to ask is Admission's affair; the refused one steps back a little.
                    pause = min(BUSY_WAIT, _pause(refusals)) if after is None else _late(after)
                    await asyncio.sleep(pause)
                case Faulty(why, after):
                    attempts += 1
                    self._no_server_yet(why)
                    if attempts < ATTEMPTS:
                        await asyncio.sleep(_pause(attempts) if after is None else _late(after))
        if why.startswith("no connection"):
            raise self._give_up(
                Stopped(
                    f"the server stopped answering ({why})",
                    self._address,
                    "start it again and run the same command: it goes on from here",
                )
            )
        raise NoAnswer(f"no answer from {self._address} after {ATTEMPTS} attempts: {why}")

    async def _once(self, body: bytes) -> tuple[bytes, replies.Meaning]:
        import aiohttp

        began = time.monotonic()
        try:
            self.budget.check()
            status, headers, raw = await self._post(body)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as wrong:
            self.admission.fail()
            return b"", Faulty(f"no connection: {_words(wrong)}")
        except (aiohttp.ClientError, TimeoutError, OSError) as wrong:
            self.admission.fail()
            return b"", Faulty(_words(wrong))
        except BaseException:
            self.admission.fail()
            raise
        said = replies.meaning(status, headers, raw, self._address, self.model)
        self._limits(headers)
        if isinstance(said, (Faulty, Unfit, Hopeless)):
            self.admission.fail()
        else:
            self.admission.leave(time.monotonic() - began, isinstance(said, Busy))
        return raw, said

    async def _post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        async with self._opened().post(self._address, data=body) as answer:
            return answer.status, answer.headers, self._scrub(await answer.read())

    def _scrub(self, raw: bytes) -> bytes:
        """Some servers repeat a wrong key in their answer: it must not come into any file."""
        return raw.replace(self._key.encode(), b"[key]") if self._key else raw

    def _limits(self, headers: Mapping[str, str]) -> None:
        for name, bucket in (
            ("requests", self.admission.requests),
            ("tokens", self.admission.tokens),
        ):
            if f"x-ratelimit-limit-{name}" in headers and (said := replies.limits(headers, name)):
                bucket.told(*said)

    def _no_server_yet(self, why: str) -> None:
        """What goes wrong before anything went right is a wrong address, not bad luck."""
        if self._answered:
            return
        if why.startswith("no connection"):
            raise self._give_up(replies.nobody(self._address, why.partition(": ")[2]))
        if why.startswith("HTML"):
            raise self._give_up(replies.page_instead(self._address))

    def _give_up(self, error: UserError) -> UserError:
        self.admission.end(error)
        return error

    def _settle_in(self) -> None:
        """Futures belong to one event loop: in a new one everything begins anew, but the budget."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._session, self._probing = loop, None, None
            self.admission = self._new_admission()

    def _new_admission(self) -> Admission:
        s = self.settings
        return Admission(s.in_flight, s.requests_per_minute, s.tokens_per_minute)

    def _opened(self) -> "aiohttp.ClientSession":
        import aiohttp

        self._settle_in()
        if self._session is None:
            headers = {"Content-Type": "application/json"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            self._session = aiohttp.ClientSession(
                headers=headers,
                # Admission limits; a pool with a limit of its own would only hide the waiting.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=75),
                timeout=aiohttp.ClientTimeout(
                    total=self.settings.answer_seconds, sock_connect=self.settings.connect_seconds
                ),
                auto_decompress=True,
                trust_env=False,
            )
        return self._session


def _key(variable: str, url: str) -> str:
    if not variable:
        return ""
    key = os.environ.get(variable, "")
    if not key:
        raise UserError(
            f"the environment variable {variable} is not set", url, f"export {variable}=..."
        )
    return key


def _pause(times: int) -> float:
    """Full jitter: anything up to a bound that doubles each time."""
    return random.uniform(0, min(LONGEST_WAIT, 0.25 * 2**times))


def _late(after: float) -> float:
    """When the server says when: then, and a little spread, so that not all come at once."""
    return after * random.uniform(1.0, 1.1) + random.uniform(0, 0.05)


def _words(wrong: BaseException) -> str:
    if isinstance(wrong, TimeoutError):
        return "no answer in time"
    cause = getattr(wrong, "os_error", None)
    return f"{getattr(cause, 'strerror', None) or wrong or type(wrong).__name__}"
