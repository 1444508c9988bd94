"""Go programs as players, by the Go Text Protocol (version 2, Farnebäck 2002); GNU Go is one.

A program keeps a board of its own, so a player here wants `follow(moves)` before each move, which
the ladder calls; and `settled(moves)` at the end, for by our rules every stone on the board counts,
and programs pass before they have taken what is dead. What a program does wrong is a `Forfeit` with
the reason in words: it costs the game, and the program is started afresh for the next.
"""

import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import IO, NoReturn

import numpy as np

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import GOES_ON, Game, State, new_state
from stillroom.worlds.selfplay.ladder import Forfeit

# By our rules a stone on the board counts, so GNU Go has to take what is dead before it passes.
GNU_GO = (
    "gnugo --mode gtp --chinese-rules --positional-superko --forbid-suicide --capture-all-dead "
    "--never-resign --seed 1 --level {level}"
)
GAMES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/games"])  # Debian's place
COLUMNS = "ABCDEFGHJKLMNOPQRST"  # no I
LONGEST = 1 << 20  # bytes of an answer


class Program:
    """A Go program and the board it keeps: a process, which `close` ends.

    `command` is split as a shell would; `timeout` is in seconds for each answer. UserError for a
    program that is missing, doesn't answer, or can't play the game's size; for a command that no
    shell would take; and for other games.
    """

    def __init__(self, command: str, game: Game, timeout: float = 60) -> None:
        if game.name != "go":
            raise UserError(f"Go programs can't play {game.name}")
        self.command, self.game, self.timeout = command, game, timeout
        komi = re.search(r"komi (\S+?),", game.rules)
        assert komi is not None
        self._komi = komi.group(1)
        try:
            self._words = shlex.split(command)
        except ValueError as wrong:
            what = f"the command {command!r} can't be read: {wrong}"
            raise UserError(what, do="write it as for a shell") from None
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self._moves: list[int] | None = None  # what the program's board shows
        try:
            self._begin()
        except Forfeit as wrong:
            self.close()
            do = "give the command of a Go program that speaks GTP; Debian's is gnugo"
            raise UserError(wrong.what, do=do) from None

    def __enter__(self) -> "Program":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def follow(self, moves: Sequence[int]) -> None:
        """Bring the program's board to where these moves lead from the empty one."""
        known = self._moves
        if known is None or list(moves[: len(known)]) != known:
            self._begin()
            known = []
        for number in range(len(known), len(moves)):
            self.ask(f"play {'BW'[number % 2]} {vertex(self.game, moves[number])}")
        self._moves = list(moves)

    def __call__(self, state: State) -> int:
        """The program's move where `follow` has led; `state` only tells whose it is."""
        assert self._moves is not None, "follow() comes first"
        said = self.ask(f"genmove {'BW'[self.game.moves(state) % 2]}")
        if said.lower() == "resign":
            self._moves = None
            raise Forfeit(f"{self._words[0]} resigned")
        action = action_of(self.game, said)
        if action is None:
            self._fail(f"answered {said[:60]!r} where a move was wanted")
        self._moves.append(action)
        return action

    def settled(self, moves: Sequence[int]) -> list[int]:
        """All moves of a game, and after two passes those by which it takes what is dead: it plays
        both sides from before the passes, till both pass again.

        What our rules forbid counts as a pass. As they are where no passes ended the game, and
        where the program can't go on.
        """
        game, end, played = self.game, self.game.height**2, list(moves)
        if played[-2:] != [end, end]:
            return played
        while played and played[-1] == end:
            played.pop()
        state, mask = new_state(game), np.zeros(game.actions, np.uint8)
        for move in played:
            game.play(state, move)
        while game.result(state) == GOES_ON:
            try:
                self.follow(played)
                action = self(state)
            except Forfeit:
                return list(moves)
            game.legal(state, mask)
            played.append(action if mask[action] else end)
            game.play(state, played[-1])
        return played

    def ask(self, line: str) -> str:
        """The answer to one command. Forfeit for an error, nonsense, silence, or a dead process."""
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
        except OSError:
            self._fail(f"is dead: no {line!r} could be sent", dead=True)
        answer = self._read(line).decode(errors="replace")
        found = re.fullmatch(r"\s*([=?])\d*[ \t]*(.*?)\s*", answer, re.DOTALL)
        if found is None:
            self._fail(f"answered {line!r} with {answer.strip()[:60]!r}, which isn't GTP")
        if found.group(1) == "?":
            self._moves = None
            raise Forfeit(f"{self._words[0]} refused {line!r}: {found.group(2)[:200]}")
        return found.group(2)

    def close(self) -> None:
        """End the process, and what it started."""
        process, self._process, self._moves = self._process, None, None
        if process is not None:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            for pipe in (process.stdin, process.stdout):
                try:
                    assert pipe is not None
                    pipe.close()
                except OSError:  # what was still to be sent to a dead process
                    pass
            process.wait()
        if self._complaints is not None:
            self._complaints.close()
            self._complaints = None

    def _begin(self) -> None:
        """An empty board of our size, with our komi."""
        self._moves = None
        for line in (f"boardsize {self.game.height}", "clear_board", f"komi {self._komi}"):
            self.ask(line)

    def _start(self) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            name = self._words[0]
            self._process = subprocess.Popen(
                [shutil.which(name, path=GAMES) or name, *self._words[1:]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                start_new_session=True,  # so that `close` reaches what a wrapper starts
            )
        except (OSError, IndexError) as wrong:
            self.close()
            why = wrong.strerror if isinstance(wrong, OSError) else "the command is empty"
            raise Forfeit(f"can't start {self.command!r}: {why}") from None

    def _read(self, line: str) -> bytes:
        """Bytes up to an empty line."""
        assert self._process is not None
        assert self._process.stdout is not None
        pipe, got, until = self._process.stdout.fileno(), b"", time.monotonic() + self.timeout
        while not re.search(rb"\S[^\n]*\n\r?\n", got):
            waits = until - time.monotonic()
            if waits <= 0 or not select.select([pipe], [], [], waits)[0]:
                self._fail(f"gave no answer to {line!r} within {self.timeout:g} s")
            more = os.read(pipe, 1 << 16)
            if not more:
                self._fail(f"died at {line!r}", dead=True)
            got += more
            if len(got) > LONGEST:
                self._fail(f"answered {line!r} without an end")
        return got

    def _fail(self, what: str, dead: bool = False) -> NoReturn:
        """End the process; a Forfeit that tells what it did, and its last words if it died."""
        words = ""
        if dead and self._complaints is not None:
            self._complaints.seek(0)
            lines = self._complaints.read(LONGEST).decode(errors="replace").split("\n")
            words = next((f": {line.strip()[:200]}" for line in lines[::-1] if line.strip()), "")
        self.close()
        raise Forfeit(f"{self._words[0]} {what}{words}")


def vertex(game: Game, action: int) -> str:
    """An action of Go in the protocol's words, such as C3 or pass; A1 is the lowest left cell."""
    size = game.height
    if action == size * size:
        return "pass"
    return f"{COLUMNS[action % size]}{size - action // size}"


def action_of(game: Game, word: str) -> int | None:
    """The action that a vertex names, None if it names none on this board."""
    size = game.height
    if word.lower() == "pass":
        return size * size
    found = re.fullmatch(r"([A-HJ-Ta-hj-t])([1-9]\d?)", word)
    if found is None:
        return None
    column, row = COLUMNS.index(found.group(1).upper()), int(found.group(2))
    return (size - row) * size + column if column < size and row <= size else None
