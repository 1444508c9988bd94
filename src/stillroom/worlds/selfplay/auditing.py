"""Truths about a run of selfplay: whether anything was learnt, and how much the games differ."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from stillroom.record import Record
from stillroom.world import Context, Finding
from stillroom.worlds.selfplay import grading
from stillroom.worlds.selfplay.game import Game
from stillroom.worlds.selfplay.kos import games_with_ko
from stillroom.worlds.selfplay.learning import games_of
from stillroom.worlds.selfplay.lineage import Story, read_story

PLIES = 8  # of an opening


def audit(
    game: Game, generations: "Sequence[Iterable[Record]]", ctx: Context, device: str
) -> list[Finding]:
    """Findings on learning, strength, labels, openings, duplicates, tails and resigning."""
    sets = [games_of(records) for records in generations]
    moves = [line for one in sets for line in one.field("moves").to_pylist()]
    found = _learning(read_story(ctx.state)) if ctx.state is not None else []
    canonical = [
        p for s in sets for p in s.field("positions").flatten().field("canonical").to_pylist()
    ]
    if ctx.state is not None:
        found += grading.by_solver(game, ctx.state, device, set(canonical))
        found += grading.by_play(game, ctx.state, device, ctx.rng)
    last = sets[-1].field("positions").flatten()
    found += grading.late_outcomes(last) + _agreement(last) + _openings(moves)
    found += _duplicates(moves, canonical)
    results = np.concatenate([s.field("result").to_numpy() for s in sets])
    ended = Counter(how for s in sets for how in s.field("ended").to_pylist())
    found += _tails(game, moves, results, ended)
    if game.name == "go":
        kos = sum(games_with_ko(game, one) for one in sets)
        found.append(Finding("games with a ko", 100 * kos / len(moves), "%"))
    return found + _resigning([g for s in sets for g in _played_on(s)])


def _learning(story: Story) -> list[Finding]:
    """Whether the nets changed, and the last is better than the random start."""
    if len(set(story.nets)) == 1:
        detail = "no learning: one and the same net in all generations"
        return [Finding("learning", 0.0, "", False, detail)]
    if not story.firsts:
        return [Finding("learning", len(set(story.nets)), "nets", None, "never matched")]
    last, worth = story.firsts[-1], story.put_back
    ok = last > 0.5
    words = "raw policy of the last net against the random start, share of the games"
    detail = words if ok else f"no learning: {words}"
    back = f"after generation {', '.join(map(str, worth))}" if worth else ""
    return [
        Finding("learning", 100 * last, "%", ok, detail),
        Finding("put back", len(worth), "", None, back),
    ]


def _agreement(positions: pa.StructArray) -> list[Finding]:
    """Whether what the search expects, in the last generation, is what comes of the games."""
    value, outcome = (positions.field(n).to_numpy().astype(float) for n in ("value", "outcome"))
    if value.std() == 0 or outcome.std() == 0:
        return []
    found = float(np.corrcoef(value, outcome)[0, 1])
    detail = "" if found > 0 else "who is to move is mistaken somewhere, or nothing is known"
    return [Finding("value and outcome", found, "correlation", found > 0, detail)]


def _openings(moves: list[list[int]]) -> list[Finding]:
    """How many openings there are, as if all were equally frequent: exp of the entropy."""
    lines = Counter(tuple(line[:PLIES]) for line in moves)
    shares = np.array(list(lines.values())) / len(moves)
    effective = float(np.exp(-(shares * np.log(shares)).sum()))
    ((line, times),) = lines.most_common(1)
    detail = f"of {len(moves)} games; the commonest, {' '.join(map(str, line))}, {times} times"
    return [Finding(f"effective {PLIES}-ply openings", effective, "", None, detail)]


def _duplicates(moves: list[list[int]], canonical: list[str]) -> list[Finding]:
    games = len(set(map(tuple, moves)))
    unique = 100 * len(set(canonical)) / len(canonical)
    again = len(moves) - games
    return [
        Finding("games played again", again, "", None, f"of {len(moves)}"),
        Finding("unique positions", unique, "%", None, f"of {len(canonical)}, symmetries as one"),
    ]


def _tails(
    game: Game,
    moves: list[list[int]],
    results: "np.ndarray[tuple[int], np.dtype[np.int8]]",
    ended: Counter[str],
) -> list[Finding]:
    """The rare cases: draws, games of nearly all possible moves, those cut at the cap, passes."""
    count = len(moves)
    found = [
        Finding("draws", 100 * float((results == 0).mean()), "%", None, f"of {count} games"),
        Finding("won by who begins", 100 * float((results == 1).mean()), "%"),
        Finding(
            "long games",
            100 * sum(len(line) >= 0.9 * game.longest for line in moves) / count,
            "%",
            None,
            f"{0.9 * game.longest:.0f} moves or more",
        ),
    ]
    if ended["cap"]:
        found.append(Finding("ended at the cap", 100 * ended["cap"] / count, "%"))
    passes = {a for a, cell in enumerate(game.cell_of) if cell < 0 and not game.drop}
    if passes:
        some = sum(not passes.isdisjoint(line) for line in moves)
        found.append(Finding("games with a pass", 100 * some / count, "%"))
    return found


def _played_on(games: pa.StructArray) -> list[tuple[int, int]]:
    """(ply, result for the first player) of the games in which a side gave up and played on."""
    columns = [games.field(name).to_pylist() for name in ("gave_up", "result", "ended")]
    rows = zip(*columns, strict=True)
    return [(ply, won) for ply, won, how in rows if ply is not None and how != "resigned"]


def _resigning(checked: list[tuple[int, int]]) -> list[Finding]:
    """How often a side that would have resigned did not lose, in the games that were played on."""
    if not checked:
        return []
    wrong = sum((result if ply % 2 == 0 else -result) >= 0 for ply, result in checked)
    share = 100 * wrong / len(checked)
    detail = f"of {len(checked)} games that were played on"
    return [Finding("resigned for nothing", share, "%", share <= 5, detail)]
