"""Self-play: games that a net plays against itself (docs/selfplay.md)."""
