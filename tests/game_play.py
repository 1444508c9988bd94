"""Random games for the tests: played by the players' rules, replayed by the referee's."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from stillroom.worlds.selfplay.game import GOES_ON, Game, game_of, new_state, stones
from stillroom.worlds.selfplay.referee import Referee, referee_of


def legal(game: Game, state: Any) -> list[int]:
    mask = np.full(game.actions, 7, np.uint8)  # what was there before must not matter
    count = game.legal(state, mask)
    assert count == mask.sum()
    return np.flatnonzero(mask).tolist()  # type: ignore[no-any-return]


def after(game: Game, moves: Sequence[int]) -> Any:
    """The state after moves, each of which must be legal."""
    state = new_state(game)
    for move in moves:
        assert game.result(state) == GOES_ON
        assert move in legal(game, state), move
        game.play(state, move)
    return state


def random_game(game: Game, rng: np.random.Generator) -> Iterator[tuple[Any, int]]:
    """States with the move made in each; the last state with -1."""
    state = new_state(game)
    while game.result(state) == GOES_ON:
        move = int(rng.choice(legal(game, state)))
        yield state.copy(), move
        game.play(state, move)
    yield state, -1


def board(game: Game, state: Any) -> list[int]:
    """Whose stones are where, 1 the first player's."""
    own, other = stones(game, state)
    return (mover(game, state) * (own.astype(int) - other)).tolist()  # type: ignore[no-any-return]


def mover(game: Game, state: Any) -> int:
    return 1 - 2 * (game.moves(state) % 2)


def ending(game: Game, state: Any) -> tuple[int | None, float, list[int]]:
    """Result, score and owners as the first player sees them; no result while it goes on."""
    player, owners = mover(game, state), np.full(game.height * game.width, 9, np.float32)
    ahead, result = game.score(state, owners), game.result(state)
    seen = None if result == GOES_ON else player * result
    return seen, player * ahead, (player * owners).astype(int).tolist()


def planes(game: Game, state: Any) -> Any:
    out = np.full((game.planes, game.height, game.width), 9, np.float32)
    game.plane(state, out)
    return out.reshape(game.planes, -1)


def agree(name: str, games: int, seed: int = 0, **options: Any) -> dict[str, int]:
    """Assert that referee and players agree at every step; how many games ended in which way."""
    game, rng, ends = game_of(name, **options), np.random.default_rng(seed), dict[str, int]()
    for _ in range(games):
        referee = referee_of(name, **options)
        for number, (state, move) in enumerate(random_game(game, rng)):
            agrees(game, state, referee, number)
            if move >= 0:
                referee.play(move)
        longest = game.moves(state) == game.longest
        how = f"{referee.result()}{' at the cap' if longest and name == 'go' else ''}"
        ends[how] = ends.get(how, 0) + 1
    return ends


def agrees(game: Game, state: Any, referee: Referee, made: int) -> None:
    assert (game.moves(state), referee.made) == (made, made)
    assert board(game, state) == referee.board
    assert ending(game, state) == (referee.result(), *referee.score())
    if referee.result() is None:
        assert legal(game, state) == referee.legal()
        np.testing.assert_allclose(planes(game, state), referee.planes(), rtol=1e-6)
