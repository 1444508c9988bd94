"""The recipe's table [teacher]: which model answers, how fast it may be asked, what it may cost."""

import json
import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator


class Price(BaseModel, frozen=True, extra="forbid"):
    """Money for a million tokens, in whatever currency the budget is in."""

    prompt: float = Field(default=0.0, ge=0)
    completion: float = Field(default=0.0, ge=0)


class Spend(BaseModel, frozen=True, extra="forbid"):
    """What a run may take all together, recorded answers included."""

    money: float | None = None
    tokens: int | None = None

    @field_validator("money", "tokens")
    @classmethod
    def _something(cls, most: float | None) -> float | None:
        if most is not None and most <= 0:
            raise ValueError("nothing can be asked for that; leave the key out for no limit")
        return most


class Settings(BaseModel, frozen=True, extra="forbid"):
    """A teacher: a server's `url`, or a `folder` with a model, or a `ledger` of recorded answers.

    `key` names the environment variable that holds the key; the key itself stands nowhere.
    """

    model: str = Field(default="", pattern=r"^[^\x00-\x1f]*$")
    url: str = ""
    folder: str = ""
    ledger: str = ""
    key: str = ""
    api: Literal["chat", "completion"] = "chat"
    params: dict[str, Any] = Field(default_factory=dict)
    """Sent with every request, and part of the run's identity: temperature, max_tokens, top_p."""
    in_flight: int = Field(default=256, ge=1, le=4096)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    connect_seconds: float = Field(default=10, gt=0)
    answer_seconds: float = Field(default=600, gt=0)
    price: Price | None = None
    budget: Spend = Spend()

    @field_validator("key", mode="before")
    @classmethod
    def _name_of_a_variable(cls, key: Any) -> Any:
        if key and not (isinstance(key, str) and re.fullmatch("[A-Z_][A-Z0-9_]*", key)):
            raise ValueError(
                "this must be the NAME of an environment variable (capitals, digits, _), such as "
                "OPENAI_API_KEY; a key itself does not belong into a recipe"
            )
        return key

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        if not url:
            return url
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as wrong:
            raise ValueError(f"not a URL: {wrong}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected http://HOST:PORT/v1 or https://...")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "a URL with a name, a password or a query would end up in logs; name an "
                "environment variable with `key` instead"
            )
        path = parts.path.rstrip("/").removesuffix("/chat/completions").removesuffix("/completions")
        return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"

    @model_validator(mode="after")
    def _one_source(self) -> "Settings":
        if bool(self.url) + bool(self.folder) > 1:
            raise ValueError("give a url or a folder, not both")
        if not (self.url or self.folder or self.ledger):
            raise ValueError("give a url, a folder with a model, or a ledger of recorded answers")
        if not self.model and not self.folder:
            raise ValueError("say which model (on the command line: --model NAME)")
        return self

    @property
    def identity(self) -> str:
        """What the answers depend on, as one line: the model's name and the parameters."""
        name = self.model or self.folder.rstrip("/").rpartition("/")[2]
        extra = {"api": self.api} if self.api != "chat" else {}
        settled = {**extra, **self.params}
        return f"{name} {json.dumps(settled, sort_keys=True)}" if settled else name
