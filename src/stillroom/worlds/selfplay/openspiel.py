"""OpenSpiel's two-player games of perfect information, as a Game in plain Python; its tree search.

A state holds the number of moves and the moves themselves; OpenSpiel's own states are kept aside,
and made again where they are missing. Slow, and no compiled search can call it: it's for judges.
OpenSpiel is an extra, `judges`.
"""

import difflib
import hashlib
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import (
    DRAWN,
    GOES_ON,
    LOST,
    WON,
    Floats,
    Game,
    Mask,
    State,
)

# What OpenSpiel calls our games, and the size at which it knows those that it has at one alone.
NAMES = {
    "tictactoe": ("tic_tac_toe", (3, 3)),
    "connect4": ("connect_four", (6, 7)),
    "othello": ("othello", (8, 8)),
    "hex": ("hex", None),
    "go": ("go", None),
}
KEPT = 4096  # OpenSpiel states


def openspiel_game(name: str, **parameters: Any) -> Game:
    """The game that OpenSpiel calls `name`: `openspiel_game("hex", board_size=7)`.

    Its actions, and a last one: to pass, where OpenSpiel lets the same player move again. Planes
    are the observation of who is to move. UserError without OpenSpiel, for a game or parameters
    that it doesn't know, and for games of chance, of hidden cards, of another number of players.
    """
    played = _load(name, parameters)
    return _adapt(name, played)


def _load(name: str, parameters: dict[str, Any]) -> Any:
    try:
        import pyspiel
    except ImportError as wrong:
        what = f"OpenSpiel can't be imported: {wrong}"
        raise UserError(what, do="pip install 'stillroom[judges]'") from None
    known = pyspiel.registered_names()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else "see pyspiel.registered_names()"
        raise UserError(f"OpenSpiel has no game {name!r}", do=hint)
    try:
        played = pyspiel.load_game(name, parameters)
    except (RuntimeError, TypeError) as wrong:
        known = sorted(pyspiel.load_game(name).get_parameters())
        what = f"OpenSpiel's {name} refuses {parameters}: {wrong}"
        raise UserError(what, do=f"it takes {', '.join(known) or 'nothing'}") from None
    kind = played.get_type()
    wanted = {
        "two players": played.num_players() == 2,
        "turns": kind.dynamics == pyspiel.GameType.Dynamics.SEQUENTIAL,
        "no chance": kind.chance_mode == pyspiel.GameType.ChanceMode.DETERMINISTIC,
        "nothing hidden": kind.information == pyspiel.GameType.Information.PERFECT_INFORMATION,
    }
    lacks = [what for what, has in wanted.items() if not has]
    if lacks:
        raise UserError(f"self-play can't play {name}: a game needs {', '.join(lacks)}")
    return played


def _adapt(name: str, played: Any) -> Game:
    actions = played.num_distinct_actions()
    shape = _observed(played)
    known: dict[bytes, Any] = {}

    def at(row: State) -> Any:
        """The OpenSpiel state after the row's moves; not to be changed."""
        made = int(row[0])
        wanted = row[1 : made + 1].tobytes()
        if wanted not in known:
            last = known.get(wanted[:-8]) if made else None
            moves = row[made : made + 1] if last is not None else row[1 : made + 1]
            found = played.new_initial_state() if last is None else last.clone()
            for move in moves:
                if move < actions:
                    found.apply_action(int(move))
            if len(known) >= KEPT:
                known.clear()
            known[wanted] = found
        return known[wanted]

    def start(row: State) -> None:
        row[:] = 0

    def legal(row: State, mask: Mask) -> int:
        state, mover = at(row), int(row[0]) % 2
        mask[:] = 0
        mask[state.legal_actions() if state.current_player() == mover else [actions]] = 1
        return int(mask.sum())

    def play(row: State, action: int) -> None:
        row[int(row[0]) + 1] = action
        row[0] += 1

    def result(row: State) -> int:
        state, mover = at(row), int(row[0]) % 2
        if not state.is_terminal():
            return GOES_ON
        returns = state.returns()
        ahead = returns[mover] - returns[1 - mover]
        return WON if ahead > 0 else LOST if ahead < 0 else DRAWN

    def plane(row: State, out: Floats) -> None:
        out[:] = 0.0
        if played.get_type().provides_observation_tensor:
            out.ravel()[:] = at(row).observation_tensor(int(row[0]) % 2)

    def key(row: State) -> int:
        moves = row[: int(row[0]) + 1].astype("<u8").tobytes()
        return int.from_bytes(hashlib.blake2b(moves, digest_size=8).digest())

    def moves(row: State) -> int:
        return int(row[0])

    def score(row: State, out: Floats) -> float:
        out[:] = 0.0
        return 0.0

    longest = 2 * played.max_game_length()  # a pass may stand between any two moves
    cells = shape[1] * shape[2]
    places = np.arange(actions + 1, dtype=np.int32)
    places[min(actions, cells) :] = -1
    return Game(
        name=f"openspiel:{name}",
        rules=f"OpenSpiel {version('open_spiel')}, {played}",
        height=shape[1],
        width=shape[2],
        actions=actions + 1,
        words=longest + 1,
        longest=longest,
        planes=shape[0],
        symmetries=np.arange(actions + 1, dtype=np.int32)[None],
        cells=np.arange(cells, dtype=np.int32)[None],
        cell_of=places if actions in (cells, cells + 1) else np.full_like(places, -1),
        start=start,
        legal=legal,
        play=play,
        result=result,
        plane=plane,
        key=key,
        moves=moves,
        score=score,
        compiled=False,
    )


def _observed(played: Any) -> tuple[int, int, int]:
    """Planes, height and width of what OpenSpiel shows; without a board, planes of 1x1."""
    if not played.get_type().provides_observation_tensor:
        return 1, 1, 1
    shape = played.observation_tensor_shape()
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    return int(np.prod(shape)), 1, 1


class Rollouts:
    """OpenSpiel's tree search with random rollouts (UCT, in C++) as a player of one of our games.

    A game is replayed in OpenSpiel by the moves that `follow` is given, as the ladder does before
    each turn. Proven moves are played at once. The same position gets the same move, whatever was
    played before. UserError without OpenSpiel, for a game or a size that it doesn't know, and for
    fewer than two simulations.
    """

    def __init__(
        self, game: Game, simulations: int, seed: int = 0, exploration: float = 2.0
    ) -> None:
        if simulations < 2:
            raise UserError(
                f"OpenSpiel can't search with {simulations} simulations", do="2 or more"
            )
        self.game, self.simulations, self.seed = game, simulations, seed
        self.exploration, self._played = exploration, _ours(game)
        self._moves: Sequence[int] = ()

    def follow(self, moves: Sequence[int]) -> None:
        """All moves of the game so far."""
        self._moves = moves

    def __call__(self, state: State) -> int:
        """The move after those of `follow`; Forfeit where OpenSpiel calls that game over."""
        import pyspiel

        from stillroom.worlds.selfplay.ladder import Forfeit

        theirs, mask = self._played.new_initial_state(), np.zeros(self.game.actions, np.uint8)
        for number, move in enumerate(self._moves):
            if move not in theirs.legal_actions():
                raise Forfeit(f"OpenSpiel knows no move {move} after {number} moves")
            theirs.apply_action(move)
        if theirs.is_terminal():
            raise Forfeit(f"OpenSpiel sees this game as over after {len(self._moves)} moves")
        told = f"{self.seed} {int(self.game.key(state))}".encode()
        seed = int.from_bytes(hashlib.blake2b(told, digest_size=4).digest()) >> 1
        rollouts = pyspiel.RandomRolloutEvaluator(1, seed)
        bot = pyspiel.MCTSBot(
            self._played, rollouts, self.exploration, self.simulations, 1000, True, seed, False
        )
        root = bot.mcts_search(theirs)
        best = int(root.best_child().action)
        self.game.legal(state, mask)
        if not mask[best]:  # in Go, where it may bring back an older position
            allowed = [child for child in root.children if mask[child.action]]
            best = int(max(allowed, key=lambda child: child.explore_count).action)
        return best


def _ours(game: Game) -> Any:
    """One of our games as OpenSpiel's."""
    name, size = NAMES.get(game.name, (None, None))
    if name is None or size not in (None, (game.height, game.width)):
        known = "tictactoe, connect4 6x7, othello 8x8, hex and go"
        raise UserError(f"OpenSpiel doesn't play {game.rules}", do=f"it plays {known}")
    parameters: dict[str, Any] = {} if size else {"board_size": game.height}
    komi = re.search(r"komi (\S+?),", game.rules)
    if komi is not None:
        parameters["komi"] = float(komi.group(1))
    return _load(name, parameters)
