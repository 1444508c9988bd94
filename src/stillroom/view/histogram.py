"""Histograms of numbers that come one after the other, in bins with round edges."""

from math import floor, isfinite, log10

MOST_VALUES = 1000  # distinct numbers that are held as they are
MOST_BINS = 40


class Histogram:
    """Counts by bin and kind. Memory stays small however many numbers come.

    Numbers are held exactly while they are few; then in bins whose width grows with the range,
    each width a whole multiple of the one before, so that no count is ever moved by guess.
    """

    def __init__(self, kinds: int) -> None:
        self._kinds = kinds
        self._exact: dict[float, list[int]] | None = {}
        self._bins: dict[int, list[int]] = {}
        self._step = 0
        self.whole = True

    def add(self, value: float, kind: int) -> None:
        """Count one number; what is not finite has no place on an axis and is left out."""
        if not isfinite(value):
            return
        self.whole = self.whole and float(value).is_integer()
        if self._exact is not None:
            self._exact.setdefault(value, [0] * self._kinds)[kind] += 1
            if len(self._exact) > MOST_VALUES:
                self._bins, self._step = self._binned(self._exact, MOST_VALUES // 5)
                self._exact = None
            return
        self._bins.setdefault(_place(value, self._step), [0] * self._kinds)[kind] += 1
        while len(self._bins) > MOST_VALUES:
            self._bins, self._step = _coarser(self._bins, self._step)

    def bins(self) -> list[tuple[float, float, list[int]]]:
        """(from, to, counts by kind) of the bins that hold something, in order."""
        bins, step = dict(self._bins), self._step
        if self._exact is not None:
            if not self._exact:
                return []
            bins, step = self._binned(self._exact, MOST_BINS)
        while max(bins) - min(bins) >= MOST_BINS:
            bins, step = _coarser(bins, step)
        edge = _width(step)
        return [(n * edge, (n + 1) * edge, bins[n]) for n in sorted(bins)]

    def _binned(self, exact: dict[float, list[int]], most: int) -> tuple[dict[int, list[int]], int]:
        span = (max(exact) - min(exact)) / most
        # Whole numbers get whole widths; a single value gets a width of its own size.
        least = 1.0 if self.whole else (abs(next(iter(exact))) / most or 1.0)
        step = 2 * floor(log10(max(span, 1e-300) if span else least))
        step = max(step, 0) if self.whole else step
        while _width(step) < span:
            step += 1
        bins: dict[int, list[int]] = {}
        for value, counts in exact.items():
            _merge(bins, _place(value, step), counts)
        return bins, step


def _width(step: int) -> float:
    """..., 0.1, 0.2, 1, 2, 10, 20, ...: each a multiple of the one before."""
    # Written as text: 10 ** -1 * 2 would not be the number that a person reads.
    return float(f"{2 if step % 2 else 1}e{step // 2}")


def _place(value: float, step: int) -> int:
    return floor(round(value / _width(step), 9))  # 0.3 / 0.1 is 2.9999999999999996


def _coarser(bins: dict[int, list[int]], step: int) -> tuple[dict[int, list[int]], int]:
    factor = 5 if step % 2 else 2
    fewer: dict[int, list[int]] = {}
    for place, counts in bins.items():
        _merge(fewer, place // factor, counts)
    return fewer, step + 1


def _merge(bins: dict[int, list[int]], place: int, counts: list[int]) -> None:
    old = bins.get(place)
    bins[place] = [a + b for a, b in zip(old, counts, strict=True)] if old else list(counts)
