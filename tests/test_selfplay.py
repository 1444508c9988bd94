"""The world selfplay, small: tic-tac-toe and Connect Four with nets of a few hundred weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import stillroom
from stillroom import check_world, run, verify
from stillroom import open as open_dataset
from stillroom.errors import UserError
from stillroom.files import seal, tree, write_json
from stillroom.recipe import from_file, settle
from stillroom.record import canonical as canonical_json
from stillroom.world import Context
from stillroom.worlds.selfplay import SelfPlay, learning
from stillroom.worlds.selfplay.choosing import GUMBEL, PUCT, Settings, halving
from stillroom.worlds.selfplay.game import game_of, new_state
from stillroom.worlds.selfplay.grading import unseen
from stillroom.worlds.selfplay.lineage import keep_rungs, read_story
from stillroom.worlds.selfplay.match import best_moves, openings, play_match
from stillroom.worlds.selfplay.net import evaluator, load_net, new_net, save_net, shape_of
from stillroom.worlds.selfplay.play import judging, play_games, search_positions
from stillroom.worlds.selfplay.positions import grade, shipped_positions
from stillroom.worlds.selfplay.records import GAME, canonical, packed, record_of, unpacked
from stillroom.worlds.selfplay.rules import describe
from stillroom.worlds.selfplay.solver import Solver

SMALL = {
    "game": "tictactoe",
    "blocks": 1,
    "channels": 8,
    "simulations": 8,
    "batch": 16,
    "window": 200,
    "opening_plies": 4,
    "device": "cpu",
}
QUICK = ("power.sample=0",)
KEYS = np.arange(40, dtype=np.uint64)


def small(**changes):
    return SelfPlay(**{**SMALL, "generations": 2, **changes})


def learner(generations=3):
    return small(
        generations=generations,
        channels=16,
        samples=20.0,
        learning_batch=32,
        learning_rate=5e-3,
        averaging=0.9,
    )


def after(game, moves):
    state = new_state(game)
    for action in moves:
        game.play(state, action)
    return state


def flat(game):
    """A net that knows nothing."""

    def evaluate(planes):
        return np.zeros((len(planes), game.actions), np.float32), np.zeros(len(planes), np.float32)

    return evaluate


def found_in(result, name):
    (found,) = [f for f in result.findings if f["name"] == name]
    return found


@pytest.fixture(scope="module")
def connect4():
    return game_of("connect4")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Three generations of tic-tac-toe, enough to learn something."""
    folder = tmp_path_factory.mktemp("selfplay") / "run"
    return run(learner(), out=folder, count=64, workers=0, settings=QUICK)


def test_contract(tmp_path):
    check_world(small(), tmp_path, count=32)


@pytest.mark.parametrize(
    "changes",
    [
        {"search": "puct", "full_share": 0.3, "fast": 3, "proofs": False},
        {"game": "othello", "size": 4, "resign": 0.2, "play_on": 0.5, "first_simulations": 2},
        {"game": "go", "size": 3, "komi": 0.5, "proofs": False},
        {"game": "hex", "size": 3, "judge_games": 0},
        {"game": str(Path(__file__).parent.parent / "examples" / "own_game.py"), "size": 3},
    ],
    ids=lambda changes: changes.get("game", "puct").rpartition("/")[2],
)
def test_other_games_and_searches_run_and_are_checked(tmp_path, changes):
    result = run(small(**changes), out=tmp_path / "run", count=16, workers=0)
    assert result.counts["kept"] == result.counts["tasks"] * 16
    # One net plays both sides of a record, and all of it is held against the referee's replay.
    assert result.power["own"]["power"] == 1.0
    assert not verify(result.folder, replay=1).problems


def test_resigning_is_checked_by_games_that_are_played_on(tmp_path):
    world = small(resign=0.01, play_on=0.5, proofs=False, opening_share=0.0)
    result = run(world, out=tmp_path / "run", count=64, workers=0, settings=QUICK)
    ended = [record.data for record in open_dataset(result.folder)]
    assert any(data["ended"] == "resigned" for data in ended)
    wrong, total = 0, 0
    for data in ended:
        if data["gave_up"] is not None and data["ended"] != "resigned":
            loser = 1 if data["gave_up"] % 2 == 0 else -1
            wrong, total = wrong + (data["result"] * loser >= 0), total + 1
    found = found_in(result, "resigned for nothing")
    assert total
    assert found["value"] == pytest.approx(100 * wrong / total)


# The search.


@pytest.mark.parametrize("kind", [PUCT, GUMBEL])
@pytest.mark.parametrize("proofs", [True, False])
def test_search_wins_and_blocks(connect4, kind, proofs):
    wins = after(connect4, [0, 6, 0, 6, 0, 5])  # X has three in column 0
    blocks = after(connect4, [0, 6, 0, 6, 1, 6])  # O threatens column 6
    states = np.array([wins, blocks])
    settings = judging(128 if proofs else 512, kind, proofs)
    found = search_positions(connect4, flat(connect4), states, settings)
    assert found.move.tolist() == [0, 6]
    assert found.proof[0] == (1 if proofs else 2)


def test_values_change_their_sign_at_each_step(connect4):
    """A net that likes positions in which the mover holds the middle column, and nothing else."""

    def evaluate(planes, sign=1.0):
        middle = planes[:, 0, :, 3].sum(1) - planes[:, 1, :, 3].sum(1)
        return np.zeros((len(planes), 7), np.float32), np.tanh(sign * middle).astype(np.float32)

    start = new_state(connect4)[None]
    for kind in (PUCT, GUMBEL):
        settings = judging(7, kind)  # each move once: its child's value is all there is
        right = search_positions(connect4, evaluate, start, settings)
        assert right.move[0] == 3
        wrong = search_positions(connect4, lambda p: evaluate(p, -1.0), start, settings)
        assert wrong.move[0] != 3
        assert right.value[0] > wrong.value[0]


def test_a_proof_is_what_a_full_search_of_the_game_says():
    game = game_of("tictactoe")

    def value(state):
        result = game.result(state)
        if result != 2:
            return result
        mask = np.zeros(9, np.uint8)
        game.legal(state, mask)
        best = -1
        for action in np.flatnonzero(mask):
            child = state.copy()
            game.play(child, int(action))
            best = max(best, -value(child))
        return best

    states = openings(game, 60, 6, np.random.default_rng(0))
    found = search_positions(game, flat(game), states, judging(400, PUCT, proofs=True))
    proven = found.proof != 2
    assert proven.mean() > 0.5
    for state, proof in zip(states[proven], found.proof[proven], strict=True):
        assert value(state) == proof


def test_halving_gives_each_round_the_same_and_drops_the_worse_half():
    order = halving(8, 24)
    assert order[8].tolist() == [0] * 8 + [1] * 4 + [2] * 4 + [3, 3, 4, 4, 5, 5, 6, 6]
    assert order[1].tolist() == list(range(24))
    assert order[2, :6].tolist() == [0, 0, 1, 1, 2, 2]


def test_a_fast_search_is_told_apart_and_teaches_no_policy(connect4):
    settings = Settings(simulations=12, fast=3, full_share=0.4, proofs=False)
    games = play_games(connect4, flat(connect4), settings, KEYS)
    spent = np.concatenate([g.searched["simulations"] for g in games])
    full = np.concatenate([g.searched["full"] for g in games]) == 1
    assert 0.3 < full.mean() < 0.5
    assert (spent == np.where(full, 12, 3)).all()
    data = [record_of(connect4, g, net="0" * 32, generation=0, number=g.number) for g in games]
    positions = learning.positions_of(connect4, pa.array(data, GAME), 0.0)
    assert (positions.trusted == full).all()


def test_a_game_depends_on_its_key_alone(connect4):
    """Neither on its slot, nor on the games beside it, nor on the cache."""
    evaluate = evaluator(new_net(shape_of(connect4, 1, 8), 1))
    settings = Settings(simulations=8, opening_share=0.5, opening_plies=10)
    games = play_games(connect4, evaluate, settings, KEYS, slots=40)
    for other in (
        play_games(connect4, evaluate, settings, KEYS[::-1].copy(), slots=7)[::-1],
        play_games(connect4, evaluate, settings, KEYS, slots=40, cache=False),
    ):
        for one, two in zip(games, other, strict=True):
            assert one.opening.tolist() == two.opening.tolist()
            assert one.searched.tolist() == two.searched.tolist()
            assert one.policy.tobytes() == two.policy.tobytes()


def test_openings_and_noise_make_games_differ(connect4):
    settings = Settings(simulations=8)
    games = play_games(connect4, flat(connect4), settings, KEYS)
    assert len({tuple(g.searched["move"][:6]) for g in games}) > 30
    quiet = settings._replace(noise=False)
    again = play_games(connect4, flat(connect4), quiet, KEYS)
    assert len({tuple(g.searched["move"]) for g in again}) == 1


# Records.


def test_canonical_form_is_one_for_all_images(connect4):
    rng = np.random.default_rng(3)
    go = game_of("go", size=5)
    for game in (connect4, go):
        planes, _ = describe(game, openings(game, 20, 12, rng))
        names, turns = canonical(planes, game.cells)
        for turn in game.cells:
            image = np.empty_like(planes.reshape(20, game.planes, -1))
            image[:, :, turn] = planes.reshape(20, game.planes, -1)
            assert canonical(image, game.cells)[0] == names
        assert len(set(turns)) > 1
        bits, levels = packed(planes)
        assert (unpacked(bits, levels, planes.shape[1:]) == planes).all()


def test_sampled_games_are_replayed_bit_for_bit(finished):
    report = verify(finished.folder, replay=2)
    assert not report.problems
    other = evaluator(new_net(shape_of(game_of("tictactoe"), 1, 8), 99))
    first = next(iter(open_dataset(finished.folder)))
    world = learner()
    task = first.task
    ctx = Context(first.task_id, finished.folder / "make" / "g000" / "state" / "state")
    games = world.make(task, ctx)  # with the next generation's net
    assert canonical_json(games[0]) != canonical_json(first.data)
    assert other is not None


def test_outcomes_seen_by_the_wrong_side_are_refused(finished):
    world = learner()
    seen = 0
    for record in open_dataset(finished.folder):
        data = json.loads(json.dumps(record.data, default=lambda raw: raw.hex()))
        for at, old in zip(data["positions"], record.data["positions"], strict=True):
            at["planes"] = old["planes"]
            at["outcome"] = -at["outcome"]
        verdict = world.check(record.task, data, Context("0"))
        assert verdict.ok == (data["result"] == 0)
        seen += not verdict.ok
    assert seen > 50


# A solver's word.


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Two generations of Connect Four, whose late positions the solver labels."""
    folder = tmp_path_factory.mktemp("labelled") / "run"
    world = small(game="connect4", simulations=4, opening_plies=20, exact_nodes=2000)
    return world, run(world, out=folder, count=16, workers=0, settings=QUICK)


def test_late_positions_have_exact_labels(labelled, connect4):
    world, result = labelled
    solver, labels = Solver(connect4), 0
    for record in open_dataset(result.folder):
        for at in record.data["positions"]:
            if at["ply"] < world.exact_ply:
                assert at["exact"] is None
                continue
            state = after(connect4, record.data["moves"][: at["ply"]])[None]
            assert at["exact"] in (None, solver.values(state)[0])
            labels += at["exact"] is not None
    assert labels > 100


def test_a_label_or_a_proof_that_the_solver_denies_is_refused(labelled):
    world, result = labelled
    for record in open_dataset(result.folder):
        data = record.data
        for at in data["positions"]:
            if at["exact"] in (1, -1):
                at["exact"] = -at["exact"]
                verdict = world.check(record.task, data, Context("0"))
                assert "exact value" in verdict.reason
                at["exact"] = -at["exact"]
                at["proof"], at["value"] = -at["exact"], float(-at["exact"])
                verdict = world.check(record.task, data, Context("0"))
                assert "where the solver says" in verdict.reason
                return
    raise AssertionError("no label to spoil")


def test_audit_says_how_many_outcomes_the_solver_confirms(labelled):
    _, result = labelled
    assert verify(result.folder, replay=1).ok
    right = [
        at["exact"] == at["outcome"]
        for record in open_dataset(result.folder)
        for at in record.data["positions"]
        if record.data["generation"] == 1 and at["exact"] is not None
    ]
    found = found_in(result, "outcomes that the solver confirms")
    assert found["value"] == pytest.approx(100 * np.mean(right))
    assert f"of {len(right)} " in found["detail"]


def test_audit_grades_the_last_net_on_positions_that_no_game_met(labelled, connect4):
    _, result = labelled
    positions = shipped_positions(connect4)
    state = result.folder / "make/g001/state/state"
    net = load_net(state / "net.safetensors", connect4)
    graded = grade(lambda s: best_moves(connect4, evaluator(net), s), positions)
    found = found_in(result, "raw policy keeps the result")
    assert found["value"] == pytest.approx(100 * graded.all.share)  # no position was met
    assert 0 < found["low"] < found["value"] < found["high"] < 100
    first = new_net(net.shape, read_story(state).seed)
    begun = grade(lambda s: best_moves(connect4, evaluator(first), s), positions)
    series = [found_in(result, f"raw policy keeps the result, net {n}") for n in range(3)]
    assert series[0]["value"] == pytest.approx(100 * begun.all.share)
    assert [series[2][key] for key in ("value", "low", "high")] == [
        found[key] for key in ("value", "low", "high")
    ]
    searched = found_in(result, "search of 64 keeps the result")
    assert searched["value"] > found["value"]
    # A trained position excludes its mirror image too.
    mirrored = positions.states[7].copy()
    bits = np.unpackbits(mirrored.view(np.uint8).reshape(2, 8), axis=1, bitorder="little")
    bits[:, connect4.cells[1]] = bits[:, : connect4.height * connect4.width].copy()
    state = np.packbits(bits, axis=1, bitorder="little").view("<u8")[:, 0].copy()
    hashes, _ = canonical(describe(connect4, state[None])[0], connect4.cells)
    left = unseen(connect4, positions, set(hashes))
    assert len(left) == len(positions) - 1
    assert not (left.states == positions.states[7]).all(axis=1).any()


def test_audit_rates_the_nets_of_the_run(labelled, finished):
    """Tic-tac-toe was learnt in three generations, and its ladder rises."""
    ladder = found_in(finished, "ladder rises")
    assert ladder["value"] > 0.5
    rated = [found_in(finished, f"Elo of raw policies, net {n}") for n in range(4)]
    assert (rated[0]["value"], rated[0]["low"], rated[0]["high"]) == (0, 0, 0)
    assert all(one["low"] < one["value"] < one["high"] for one in rated[1:])
    assert not any(f["name"] == "Elo of raw policies, net 4" for f in finished.findings)
    assert found_in(finished, "last net against random play")["value"] > 75


def test_a_state_keeps_a_few_of_the_earlier_nets(tmp_path):
    folders = [tmp_path / str(n) for n in range(16)]
    for folder in folders:
        folder.mkdir()
        (folder / "net.safetensors").write_text(folder.name)
    for number in range(1, 16):
        keep_rungs(folders[number - 1], folders[number], number)
    kept = {p.stem: p.read_text() for p in (folders[15] / "rungs").iterdir()}
    assert kept == {"0004": "4", "0008": "8", "0012": "12"}
    assert len(list((folders[6] / "rungs").iterdir())) == 6


# Learning.


def test_the_raw_policy_learns_and_the_run_says_so(finished):
    learnt = found_in(finished, "learning")
    assert learnt["ok"]
    assert learnt["value"] > 60


def test_a_frozen_learner_is_reported(tmp_path):
    world = small(learning_rate=0.0)
    result = run(world, out=tmp_path / "run", count=16, workers=0, settings=QUICK)
    learnt = found_in(result, "learning")
    assert learnt["ok"] is False
    assert "no learning" in learnt["detail"]
    assert found_in(result, "ladder rises")["value"] == 0.0


def agreement(folder):
    """How far the last net's values agree with the outcomes of the run's games: a correlation."""
    game = game_of("tictactoe")
    net = folder / "make" / "g002" / "state" / "state" / "net.safetensors"
    planes, outcomes = [], []
    for record in open_dataset(folder):
        for at in record.data["positions"]:
            planes.append(np.frombuffer(at["planes"], np.uint8))
            outcomes.append(at["outcome"])
    levels = np.ones((len(planes), game.planes), np.float32)
    boards = unpacked(np.array(planes), levels, (game.planes, 3, 3))
    rows = len(boards) // 32 * 32
    values = evaluator(load_net(net, game))(boards[:rows])[1]
    return np.corrcoef(values, outcomes[:rows])[0, 1]


def test_a_sign_error_planted_in_the_value_is_caught(tmp_path, monkeypatch, finished):
    assert agreement(finished.folder) > 0.3
    assert found_in(finished, "value and outcome")["ok"]
    right = learning.positions_of

    def wrong(*given):
        found = right(*given)
        return found._replace(value=-found.value)

    monkeypatch.setattr(learning, "positions_of", wrong)
    result = run(learner(), out=tmp_path / "run", count=64, workers=0, settings=QUICK)
    assert agreement(result.folder) < 0.0


def test_best_net_is_put_back_when_strength_falls(tmp_path):
    world = small(learning_rate=1.0, patience=1, least_score=0.5, generations=3, averaging=0.0)
    result = run(world, out=tmp_path / "run", count=16, workers=0, settings=QUICK)
    told = result.folder / "make" / "g002" / "state" / "state" / "course.json"
    story = json.loads(told.read_text())
    assert story["put_back"]
    assert story["nets"][story["put_back"][0]] in story["nets"][: story["put_back"][0]]


def test_a_generation_relearned_gives_the_same_files(finished):
    report = verify(finished.folder, relearn=[1, 2])
    assert report.ok
    assert (report.relearned, report.notes) == (2, [])


def sealed_anew(path, told):
    write_json(path, seal({key: value for key, value in told.items() if key != "seal"}))


@pytest.fixture
def forged(finished, tmp_path):
    """A run whose net after generation 1 is another, and every hash agrees with it."""
    folder = tmp_path / "forged"
    shutil.copytree(finished.folder, folder)
    home = folder / "make" / "g001" / "state"
    net = load_net(home / "state" / "live.safetensors")
    with torch.no_grad():
        net.stem.weight[0, 0, 0, 0] += 1e-4
    save_net(net, home / "state" / "live.safetensors")
    note = json.loads(home.with_suffix(".json").read_text())
    note["files"] = tree(home)
    sealed_anew(home.with_suffix(".json"), note)
    return folder


def test_a_net_that_was_not_learnt_from_the_games_is_found(forged):
    assert verify(forged).ok
    report = verify(forged, relearn=[1])
    assert report.problems == [
        "g001/state: state/live.safetensors is another when it is learnt once more"
    ]


def test_elsewhere_relearning_tells_how_far_the_weights_are(forged):
    about = json.loads((forged / "run.json").read_text())
    about["made_with"]["cpu"] = "another"
    sealed_anew(forged / "run.json", about)
    report = verify(forged, relearn=[1])
    assert report.ok
    (note,) = report.notes
    assert "within the tolerance of 5 %" in note
    assert "differ by 0 %" not in note


def test_what_cannot_be_relearned_is_said(finished):
    with pytest.raises(UserError, match="nothing was learnt after a generation 7"):
        verify(finished.folder, relearn=[7])


@pytest.mark.slow
def test_a_run_can_be_cut_and_goes_on_to_the_same_root(tmp_path, finished):
    run(learner(2), out=tmp_path / "run", count=64, workers=0, settings=QUICK)
    grown = run(learner(), out=tmp_path / "run", count=64, workers=2, settings=QUICK)
    assert grown.root == finished.root


# Bad input.


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"game": "chess"}, "no game is called 'chess'"),
        ({"game": "conect4"}, "did you mean 'connect4'"),
        ({"game": "go", "size": 30}, "can't have size 30"),
        ({"game": "connect4", "size": 7}, "no option 'size'"),
        ({"game": "mine.py"}, "no file"),
        ({"simulations": 0}, "greater than or equal to 1"),
    ],
)
def test_a_config_that_no_game_can_have_is_refused_in_words(config, words):
    raw = {"name": "x", "world": {"use": "selfplay", **config}}
    with pytest.raises(UserError, match="(?s)" + words.replace("'", ".")):
        settle(raw, "here", Path())


def test_a_game_of_ones_own_is_known_by_its_file(tmp_path):
    source = Path(__file__).parent.parent / "examples" / "own_game.py"
    file = tmp_path / "mine.py"
    file.write_bytes(source.read_bytes())
    world = small(game=str(file), size=3)
    assert SelfPlay(**world.model_dump()) == world
    file.write_text(source.read_text() + "# changed\n")
    with pytest.raises(ValueError, match="not the file"):
        SelfPlay(**world.model_dump())


def test_a_net_of_another_game_is_refused(tmp_path, connect4):
    path = tmp_path / "net.safetensors"
    save_net(new_net(shape_of(game_of("go", size=5), 1, 8), 0), path)
    with pytest.raises(UserError, match=r"plays go 5x5.* not connect4"):
        load_net(path, connect4)
    with pytest.raises(UserError, match=r"plays go 5x5.* not go 7x7"):
        load_net(path, game_of("go", size=7))
    path.write_bytes(b"not safetensors")
    with pytest.raises(UserError, match="not a net of selfplay"):
        load_net(path, connect4)


def test_an_illegal_position_is_refused(finished):
    world = learner()
    record = next(iter(open_dataset(finished.folder)))
    data = record.data
    data["moves"][-1] = data["moves"][0]
    data["positions"][-1]["move"] = data["moves"][0]
    verdict = world.check(record.task, data, Context("0"))
    assert not verdict.ok
    assert "illegal" in verdict.reason


def test_the_same_net_makes_the_same_match(connect4):
    evaluate = evaluator(new_net(shape_of(connect4, 1, 8), 5))
    begin = openings(connect4, 8, 6, np.random.default_rng(1))
    assert play_match(connect4, evaluate, evaluate, begin).score == 0.5
    assert (best_moves(connect4, evaluate, begin) < 7).all()


def test_the_recipe_is_sound():
    settled, _, world = settle(
        from_file(Path(stillroom.__file__).parent / "recipes" / "selfplay.toml"), "recipe", Path()
    )
    assert isinstance(world, SelfPlay)
    assert settled.count % world.batch == 0
    assert settled.make.minutes == 10
