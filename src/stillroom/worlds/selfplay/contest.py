"""A run's last net in paired games against whoever else plays its game.

`python -m stillroom.worlds.selfplay.contest RUN --against WHOM` prints the score; WHOM is

    random             any legal move
    rollouts 1000      tree search with so many random rollouts
    openspiel 1000     OpenSpiel's tree search, the same in C++ (extra `judges`)
    perfect            the exact solver (Connect Four)
    gnugo 1            GNU Go at that level (Go; Debian's package gnugo)
    gtp COMMAND        any other Go program that speaks GTP, by its command line
    a run's folder     that run's last net

A game of Go that two passes end is played out by the program, which takes what is dead.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch

from stillroom import files, store
from stillroom.errors import UserError
from stillroom.parts import generation_folders
from stillroom.worlds.selfplay.game import Game
from stillroom.worlds.selfplay.grading import raw, searching
from stillroom.worlds.selfplay.gtp import GNU_GO, Program
from stillroom.worlds.selfplay.ladder import AnyPlayer, Batch, Played, Rating, match, ratings
from stillroom.worlds.selfplay.ladder import openings as drawn_openings
from stillroom.worlds.selfplay.net import Net, evaluator, load_net
from stillroom.worlds.selfplay.openspiel import Rollouts
from stillroom.worlds.selfplay.positions import shipped_openings
from stillroom.worlds.selfplay.rungs import perfect_player, random_player, rollout_player
from stillroom.worlds.selfplay.solver import Solver
from stillroom.worlds.selfplay.world import SelfPlay

NET, OTHER = "net", "other"
MOST = 1_000_000  # simulations of an opponent
PLIES = {"go": 2, "hex": 2, "tictactoe": 2}  # random moves of an opening; elsewhere 4


class Contest(NamedTuple):
    """All games, their points for the net (a draw is a half), and its Elo over the other's 0."""

    games: list[Played]
    points: float
    rating: Rating


def contest(
    run: str | Path, against: str, pairs: int = 50, simulations: int = 64, seed: int = 0
) -> Contest:
    """Play each of `pairs` openings twice, with the colours swapped.

    The net moves by a search of so many simulations, without noise and proofs; by its raw policy
    where they are 0. UserError for a folder that holds no run of selfplay, for more pairs than the
    game has openings, and for an opponent that is unknown, missing or plays another game.
    """
    torch.set_num_threads(1)
    game, net = last_net(Path(run))
    starts = _starts(game, pairs, seed)
    with opponent(game, against, simulations, seed) as other:
        played = match(game, {NET: _player(game, net, simulations), OTHER: other}, starts)
    rating = ratings(played, OTHER)[NET]
    return Contest(played, rating.points, rating)


def last_net(run: Path) -> tuple[Game, Net]:
    """A run's game and the newest net that it learnt. UserError where there is none."""
    about = files.read_json(run / "run.json", "parts", "private")
    if about is None or about["parts"]["world"]["name"] != SelfPlay.name:
        raise UserError("no run of selfplay is there", run, "give the folder that `run` named")
    try:
        game = SelfPlay(**about["parts"]["config"]).rules
    except ValueError as wrong:  # a game of one's own whose file is gone, or another
        raise UserError(f"the run's game can't be played: {wrong}", run) from None
    for number in (*reversed(generation_folders(run)), None):
        known, state = store.read_state(run, number, about["private"])
        if known and state is not None:
            return game, load_net(state / "net.safetensors", game)
    raise UserError("this run has no net yet", run, "run its recipe first")


@contextmanager
def opponent(game: Game, whom: str, simulations: int = 64, seed: int = 0) -> Iterator[AnyPlayer]:
    """The player that these words name (see above); a program ends with the block."""
    kind, _, rest = whom.partition(" ")
    if kind in ("random", "perfect") and rest:
        raise UserError(f"{kind} takes nothing more: {whom!r}", do=f"say {kind}")
    if kind in ("gnugo", "gtp"):
        command = GNU_GO.format(level=_number(whom, rest)) if kind == "gnugo" else rest
        with Program(command, game) as program:
            yield program
    elif kind == "random":
        yield random_player(game, seed)
    elif kind == "rollouts":
        yield rollout_player(game, _number(whom, rest), seed)
    elif kind == "openspiel":
        yield Rollouts(game, _number(whom, rest), seed)
    elif kind == "perfect":
        yield perfect_player(Solver(game), seed)
    elif Path(whom).is_dir():
        theirs, net = last_net(Path(whom))
        if theirs.rules != game.rules:
            raise UserError(f"that run plays {theirs.rules}, and not {game.rules}", whom)
        yield _player(game, net, simulations)
    else:
        known = "random, rollouts N, openspiel N, perfect, gnugo LEVEL, gtp COMMAND"
        raise UserError(f"nobody is called {whom!r}", do=f"say {known}, or a run's folder")


def _number(whom: str, text: str) -> int:
    kind = whom.split()[0]
    if not (text.isascii() and text.isdecimal()) or not int(text):
        raise UserError(f"{whom!r} lacks its number", do=f"for example {kind} 10")
    if int(text) > MOST:
        raise UserError(f"{whom!r} is more than can be played", do=f"{kind} {MOST} at most")
    return int(text)


def _player(game: Game, net: Net, simulations: int) -> Batch:
    evaluate = evaluator(net)
    choose: Callable[[Any], Any] = (
        searching(game, evaluate, simulations) if simulations else raw(game, evaluate)
    )
    return Batch(choose)


def _starts(game: Game, count: int, seed: int) -> list[tuple[int, ...]]:
    """Openings that a solver calls drawn, where such are shipped; else random moves."""
    shipped = shipped_openings(game)
    if shipped and count > len(shipped):
        what = f"{game.rules} has {len(shipped)} balanced openings here, and {count} are asked for"
        raise UserError(what, do=f"--pairs {len(shipped)} at most")
    if shipped:
        return shipped[:count]
    return drawn_openings(game, count, PLIES.get(game.name, 4), seed)


@click.command(help=__doc__)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--against", required=True, metavar="WHOM")
@click.option("--pairs", default=50, show_default=True, type=click.IntRange(1, MOST))
@click.option("--simulations", default=64, show_default=True, type=click.IntRange(0, MOST))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**63 - 1))
def main(run: Path, against: str, pairs: int, simulations: int, seed: int) -> None:
    try:
        found = contest(run, against, pairs, simulations, seed)
    except UserError as wrong:
        click.echo(f"error: {wrong}", err=True)
        raise SystemExit(wrong.code) from None
    won = sum(one.result == (1 if one.first == NET else -1) for one in found.games)
    drawn = sum(one.result == 0 for one in found.games)
    rating, games = found.rating, len(found.games)
    click.echo(f"against {against}: won {won}, drawn {drawn}, lost {games - won - drawn}")
    click.echo(f"{100 * found.points / games:.1f} % of the points; Elo {rating.elo:+.0f} "
               f"({rating.low:+.0f} to {rating.high:+.0f})")  # fmt: skip
    for why in sorted({one.forfeit for one in found.games if one.forfeit}):
        times = sum(one.forfeit == why for one in found.games)
        click.echo(f"{times} given up: {why}")


if __name__ == "__main__":
    main()
