"""The World `selfplay`: games that a net plays against itself (docs/selfplay.md)."""

from typing import Any

__all__ = ["SelfPlay"]


def __getattr__(name: str) -> Any:
    # Lazily: the games and their referees are of use without a net.
    if name == "SelfPlay":
        from stillroom.worlds.selfplay.world import SelfPlay

        return SelfPlay
    raise AttributeError(name)
