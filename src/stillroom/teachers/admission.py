"""Who may be on the way to a server: how many at once, how many a second, in which order.

The number in flight follows additive increase and multiplicative decrease (Chiu and Jain, 1989)
with a slow start: it doubles every round trip until the server refuses for the first time. The
rate is held back only when more than a few per cent are refused: then it follows what the server
takes. One object serves one server and one event loop; nothing here waits in a thread.
"""

import asyncio
import heapq
import time
from itertools import count

START = 32  # requests in flight at first
CUT = 0.7  # of the limit is left after a refusal
WINDOW = 0.5  # seconds over which refusals are counted
MOST_REFUSED = 0.03  # share of refusals that is borne
CALM = 8  # windows without any refusal, after which the rate grows faster and faster


class Admission:
    """Lets requests go: `await enter`, then `leave` with what came of it."""

    def __init__(
        self, most: int, requests_per_minute: float | None, tokens_per_minute: float | None
    ) -> None:
        self.most = most
        self.limit = float(min(START, most))
        self.flying = 0
        self.peak = 0
        self.requests = Bucket(requests_per_minute)
        self.tokens = Bucket(tokens_per_minute)
        self.pace = Pace()
        self._starting = True
        self._round_trip, self._last_cut = 0.1, 0.0
        self._queue: list[tuple[str, int, float, asyncio.Future[None]]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None
        self._end: BaseException | None = None

    async def enter(self, prompt: str, tokens: float) -> None:
        """Wait until it is this prompt's turn: prompts with the same beginning go together, so that
        a server's prefix cache serves them.
        """
        if self._end is not None:
            raise self._end
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (prompt, next(self._order), tokens, turn))
        self._let_go()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._gone()
            raise

    def leave(self, seconds: float, refused: bool) -> None:
        """A request came back; `refused` when the server has too many (429, 503)."""
        now = time.monotonic()
        if refused:
            self.pace.refused(now)
            # One cut for all that were on the way together.
            if now - self._last_cut > self._round_trip:
                self.limit, self._last_cut = max(1.0, self.limit * CUT), now
            self._starting = False
        else:
            self._round_trip += 0.2 * (seconds - self._round_trip)
            self.pace.served(now)
            grown = self.limit + (1 if self._starting else 1 / self.limit)
            self.limit = min(float(self.most), grown)
        self._gone()

    def fail(self) -> None:
        """A request that was not answered: it says nothing about how many the server takes."""
        self._gone()

    def end(self, why: BaseException) -> None:
        """Nobody goes any more: all who wait, and all who come, get this exception."""
        self._end = why
        for *_, turn in self._queue:
            if not turn.done():
                turn.set_exception(why)
        self._queue.clear()

    def _gone(self) -> None:
        self.flying -= 1
        self._let_go()

    def _let_go(self) -> None:
        while self._queue and self.flying < int(self.limit):
            *_, tokens, turn = self._queue[0]
            if turn.done():  # whoever waited has been cancelled
                heapq.heappop(self._queue)
                continue
            now = time.monotonic()
            waits = (self.pace.wait(now), self.requests.wait(1, now), self.tokens.wait(tokens, now))
            if max(waits) > 0:
                self._come_back(max(waits))
                return
            heapq.heappop(self._queue)
            self.pace.take(now)
            self.requests.take(1, now)
            self.tokens.take(tokens, now)
            self.flying += 1
            self.peak = max(self.peak, self.flying)
            turn.set_result(None)

    def _come_back(self, seconds: float) -> None:
        if self._timer is None:

            def again() -> None:
                self._timer = None
                self._let_go()

            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(max(seconds, 0.001), 5.0), again)


class Bucket:
    """So much a minute, at most a minute's worth at once; None: no limit, until a server says one.

    A request larger than the whole bucket goes when the bucket is full.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._size = per_minute or 0.0
        self._most = self._rate = None if per_minute is None else per_minute / 60
        self._level, self._at = self._size, time.monotonic()

    def wait(self, cost: float, now: float) -> float:
        """Seconds until so much may go."""
        if self._rate is None:
            return 0.0
        self._fill(now, self._rate)
        return max(0.0, (min(cost, self._size) - self._level) / self._rate)

    def take(self, cost: float, now: float) -> None:
        if self._rate is not None:
            self._fill(now, self._rate)
            self._level -= cost

    def told(self, limit: float, left: float, reset: float) -> None:
        """What a server's headers say: its bucket's size, what is left in it, and how many seconds
        it takes to be full again. A limit is a minute's, unless that time tells of a longer one.
        The recipe's own limit holds where it is lower.
        """
        now, used = time.monotonic(), limit - left
        if self._rate is not None:
            self._fill(now, self._rate)
        if used >= 1 and reset > 0:
            rate = min(limit / 60, used / reset)
            self._rate = rate if self._most is None else min(rate, self._most)
            first, self._size = not self._size, min(self._size or limit, limit)
            self._level = left if first else min(self._level, left)
            self._at = now

    def _fill(self, now: float, rate: float) -> None:
        self._level = min(self._size, self._level + (now - self._at) * rate)
        self._at = now


class Pace:
    """Requests a second, once a server has refused more than a few per cent of them.

    Window by window: too many refused, and the rate becomes what was served; none refused, and it
    grows, by little at first, so that the limit is found again without running into it.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        self._next = 0.0
        self._since, self._served, self._refused, self._calm = 0.0, 0, 0, 0

    def wait(self, now: float) -> float:
        return 0.0 if self.rate is None else max(0.0, self._next - now)

    def take(self, now: float) -> None:
        if self.rate is not None:
            # A late one may be made up for, but not a second's worth at once.
            self._next = max(self._next, now - 0.05) + 1 / self.rate

    def served(self, now: float) -> None:
        self._served += 1
        self._look(now)

    def refused(self, now: float) -> None:
        self._refused += 1
        self._look(now)

    def _look(self, now: float) -> None:
        self._since = self._since or now
        span, seen = now - self._since, self._served + self._refused
        # A server that turns most away is not asked for the rest of a window.
        flood = span >= WINDOW / 5 and self._refused > max(10, self._served)
        if (span < WINDOW and not flood) or seen < 10:
            return
        share = self._refused / seen
        if share > MOST_REFUSED:
            self.rate, self._calm = max(0.5, 0.99 * self._served / span), 0
        elif self.rate is not None and not self._refused:
            self._calm += 1
            self.rate *= 1.01 ** max(1, self._calm - CALM)
        self._since, self._served, self._refused = now, 0, 0
