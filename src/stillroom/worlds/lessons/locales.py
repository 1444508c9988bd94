"""Names and written numbers by country."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Locale(NamedTuple):
    """A country's names, decimal sign, and what stands between groups of digits."""

    country: str
    names: tuple[str, ...]
    point: str
    group: str

    def write(self, number: str) -> str:
        """A plain number ("12500.5") as it is written there; four digits stay together."""
        if not re.fullmatch(r"\d+(?:\.\d+)?", number):
            return number
        whole, _, rest = number.partition(".")
        if len(whole) > 4:
            tail, head = whole[-3:], whole[:-3]
            size = 2 if self.country == "India" else 3
            parts = [tail]
            while head:
                parts.append(head[-size:])
                head = head[:-size]
            whole = self.group.join(reversed(parts))
        return f"{whole}{self.point}{rest}" if rest else whole

    def read(self, text: str) -> str:
        """The plain number of a written one; ValueError when it is not written so there."""
        plain = text.replace(self.group, "").replace(self.point, ".")
        if self.write(plain) != text:
            raise ValueError(f"{text} is not how numbers are written in {self.country}")
        return plain


@cache
def locales() -> dict[str, Locale]:
    raw = tomllib.loads((files(__package__) / "locales.toml").read_text("utf-8"))
    return {
        country: Locale(country, tuple(one["names"]), one["point"], one["group"])
        for country, one in raw.items()
    }


@cache
def all_names() -> frozenset[str]:
    """Every name of every country, for measures that mask them."""
    return frozenset(name for locale in locales().values() for name in locale.names)
