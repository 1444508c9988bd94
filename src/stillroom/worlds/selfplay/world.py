"""The World `selfplay`: a net plays against itself, learns from the games, and plays again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from stillroom.errors import UserError
from stillroom.record import Record
from stillroom.world import Context, Data, Draft, Finding, Task, Verdict, View, World
from stillroom.worlds.selfplay import auditing, showing, spoiling
from stillroom.worlds.selfplay.checking import Limits, check_game
from stillroom.worlds.selfplay.choosing import GUMBEL, PUCT, Settings
from stillroom.worlds.selfplay.game import Game, game_of
from stillroom.worlds.selfplay.labelling import Label, labeller
from stillroom.worlds.selfplay.records import GAME, record_of
from stillroom.worlds.selfplay.referee import referee_of


class SelfPlay(World):
    """Board games from nothing but their rules: a net plays itself and learns from its search."""

    name: ClassVar[str] = "selfplay"
    schema: ClassVar[pa.StructType] = GAME
    shard: ClassVar[int] = 1  # a task is a batch of games
    formats: ClassVar[tuple[str, ...]] = ("positions", "positions-unique", "positions-chat", "sgf")

    generations: int = Field(default=8, ge=1)

    game: str = "connect4"
    """connect4, go, hex, othello, tictactoe, or a file of your own."""
    game_sha256: str = ""
    """Of a file of your own: filled in, so that its records belong to that very file."""
    size: int | None = None
    komi: float | None = None
    blocks: int = Field(default=4, ge=1, le=40)
    channels: int = Field(default=32, ge=4, le=512)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    batch: int = Field(default=128, ge=1)
    """Games of a task, which are played by one process and lost together.

    `count`, the games of a generation, should be a multiple: what a batch gives beyond is dropped.
    """

    search: Literal["gumbel", "puct"] = "gumbel"
    simulations: int = Field(default=16, ge=1, le=10_000)
    first_simulations: int | None = Field(default=None, ge=1)
    """Simulations of the first generation, from which they grow..."""
    growth: int = Field(default=10, ge=1)
    """...over so many generations."""
    full_share: float = Field(default=1.0, gt=0, le=1)
    """Of the moves that get a full search; the others get `fast` simulations, teach no policy."""
    fast: int = Field(default=4, ge=1)
    proofs: bool = True
    """Whether every move is tried that might end the game, and what is proven counts as exact."""
    temperature_plies: int = Field(default=12, ge=0)
    concentration: float = Field(default=10.83, gt=0)
    """Of PUCT's Dirichlet noise, spread over the legal moves."""
    noise_share: float = Field(default=0.25, ge=0, lt=1)
    opening_share: float = Field(default=0.8, ge=0, le=1)
    """Of the games that begin with random moves; for variety."""
    opening_plies: int = Field(default=30, ge=0)
    resign: float = Field(default=0.0, ge=0, lt=1)
    """A side resigns that twice expects less than minus this; 0 for never."""
    play_on: float = Field(default=0.1, ge=0, le=1)
    """Of the games in which nobody may resign, to see what it costs."""

    exact_ply: int = Field(default=20, ge=0)
    """From which ply on a solver labels the positions, where the game has one..."""
    exact_nodes: int = Field(default=10_000, ge=0)
    """...if it needs no more nodes than this; 0: no labels."""

    window: int = Field(default=20_000, ge=1)
    """Positions to learn from; of a longer run more, as the square root of all."""
    samples: float = Field(default=3.0, ge=0)
    """How often each new position is learnt from, on average."""
    learning_rate: float = Field(default=2e-3, ge=0)
    horizon: int | None = Field(default=None, ge=1)
    """Generations over whose second half the rate falls to a twentieth; None: it stays."""
    learning_batch: int = Field(default=128, ge=1)
    value_mix: float = Field(default=0.5, ge=0, le=1)
    """The search's share in the value to learn; the rest is what came of the game."""
    averaging: float = Field(default=0.99, ge=0, lt=1)
    judge_games: int = Field(default=64, ge=0)
    """Games of each new net against the best, by raw policy; 0: the newest net always goes on."""
    patience: int = Field(default=3, ge=1)
    """So many nets in a row that score less than `least_score`, and the best is put back."""
    least_score: float = Field(default=0.43, ge=0, le=0.5)

    @model_validator(mode="before")
    @classmethod
    def _of_this_file(cls, given: Any) -> Any:
        """The hash of a game's file; ValueError if it is another file than it was."""
        name = given.get("game") if isinstance(given, dict) else None
        if not isinstance(name, str) or not name.endswith(".py") or not Path(name).is_file():
            return given
        found, told = sha256(Path(name).read_bytes()).hexdigest(), given.get("game_sha256")
        if told not in (None, "", found):
            raise ValueError(f"{name} is not the file that the records were made with")
        return given | {"game_sha256": found}

    @model_validator(mode="after")
    def _playable(self) -> "SelfPlay":
        try:
            rules = self.rules
        except UserError as wrong:
            words = "; ".join(filter(None, (wrong.what, wrong.do)))
            raise ValueError(words) from None
        if not rules.compiled:
            raise ValueError(f"{rules.name} has no compiled rules, which self-play needs")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """What makes the game this one, beside its name."""
        given = {"size": self.size, "komi": self.komi}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def rules(self) -> Game:
        return game_of(self.game, **self.options)

    @property
    def label(self) -> Label | None:
        """Exact values of late positions, where a solver knows the game."""
        return labeller(self.rules, self.exact_ply, self.exact_nodes)

    def simulations_of(self, generation: int) -> int:
        """Simulations of a full search: they may grow."""
        if self.first_simulations is None:
            return self.simulations
        part = min(1.0, generation / self.growth)
        return round(self.first_simulations + part * (self.simulations - self.first_simulations))

    def settings(self, generation: int) -> Settings:
        """How a generation's games are searched and played."""
        return Settings(
            kind=GUMBEL if self.search == "gumbel" else PUCT,
            simulations=self.simulations_of(generation),
            fast=self.fast,
            full_share=self.full_share,
            proofs=self.proofs,
            temperature_plies=self.temperature_plies,
            concentration=self.concentration,
            noise_share=self.noise_share,
            opening_share=self.opening_share,
            opening_plies=min(self.opening_plies, self.rules.longest - 1),
            resign=self.resign,
            play_on=self.play_on,
        )

    def plan(self, generation: int) -> Iterator[Task]:
        for first in count(0, self.batch):
            yield {"generation": generation, "first": first, "games": self.batch}

    def expected(self, task: Task) -> int:
        games: int = task["games"]
        return games

    def start(self, ctx: Context) -> Path:
        from stillroom.worlds.selfplay.fitting import first_state

        return first_state(self, ctx)

    def make(self, task: Task, ctx: Context) -> list[Draft | Data]:
        from stillroom.worlds.selfplay.fitting import acting
        from stillroom.worlds.selfplay.play import play_games

        if ctx.state is None:
            raise ValueError("selfplay plays with the net in ctx.state")
        net, evaluate, on_cpu = acting(ctx.state, self)
        generation, wanted = task["generation"], task["games"]
        keys = np.frombuffer(ctx.rng.bytes(8 * wanted), np.uint64)
        slots = 64 if on_cpu else wanted
        games = play_games(self.rules, evaluate, self.settings(generation), keys, slots)
        return [
            record_of(
                self.rules,
                one,
                net=net,
                generation=generation,
                number=task["first"] + one.number,
                label=self.label,
            )
            for one in games
        ]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        """A referee replays the game. Score: the share of positions before the first fault."""
        settings = self.settings(task["generation"])
        limits = Limits(
            settings.simulations,
            self.fast,
            self.search == "gumbel",
            settings.opening_plies if self.opening_share else 0,
            self.resign,
            self.label,
        )
        return check_game(task, data, self.rules, referee_of(self.game, **self.options), limits)

    def learn(
        self, state: Path | None, generations: Sequence[Iterable[Record]], ctx: Context
    ) -> Path:
        from stillroom.worlds.selfplay.fitting import next_state

        if state is None:
            raise ValueError("selfplay learns from the state that start made")
        return next_state(self, state, generations, ctx)

    def audit(self, generations: Sequence[Iterable[Record]], ctx: Context) -> list[Finding]:
        return auditing.audit(self.rules, generations, ctx, self.device)

    def show(self, record: Record) -> View:
        def picture() -> str:
            from stillroom.worlds.selfplay.player import player

            return player(self.rules, referee_of(self.game, **self.options), record.data)

        return replace(showing.show(self.rules, record), html=picture)

    def overview(self, generations: Sequence[Iterable[Record]]) -> str:
        from stillroom.worlds.selfplay.openings import openings

        return openings(self.rules, lambda: referee_of(self.game, **self.options), generations)

    def export(self, records: Iterable[Record], format: str, folder: Path) -> None:
        from stillroom.worlds.selfplay.exporting import export_positions
        from stillroom.worlds.selfplay.sgf import export_sgf

        if format == "sgf":
            komi = getattr(referee_of(self.game, **self.options), "komi", None)
            export_sgf(self.rules, komi, records, folder)
        else:
            export_positions(self.rules, records, format, folder)

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        return spoiling.spoil(data, rng)
