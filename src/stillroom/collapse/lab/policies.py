"""The arms of the laboratory: from what each of them learns next. A newcomer is one row of ARMS."""

from collections.abc import Sequence
from dataclasses import dataclass

Stretch = tuple[int, int]
"""Human items `first` to `stop` (exclusive) of a seed's endless stream of them."""


@dataclass(frozen=True)
class Policy:
    """What the next corpus holds, and what happens to samples on their way into it.

    anchor: the first n human items are kept for ever. fresh: a share of human items that no
    generation had before. same: the same share of human items again and again. accumulate: the
    samples of all generations, not of the last one alone. synthetic: whether samples are learnt
    from at all. exact: wrong samples are refused; again: and their questions asked anew. biased: of
    rare samples some are refused, right or wrong. cool and nucleus: a temperature below 1, and
    top-p, in sampling.
    """

    anchor: bool = False
    fresh: bool = False
    same: bool = False
    accumulate: bool = False
    synthetic: bool = True
    exact: bool = False
    again: bool = False
    biased: bool = False
    cool: bool = False
    nucleus: bool = False

    @property
    def needs_rules(self) -> bool:
        """Whether it needs data whose items are right or wrong and whose types are drawn first."""
        return self.exact or self.again or self.biased or self.cool or self.nucleus


ARMS = {
    "replace": Policy(),
    "same": Policy(same=True),
    "fresh": Policy(fresh=True),
    "anchor": Policy(anchor=True),
    "anchor-fresh": Policy(anchor=True, fresh=True),
    "accumulate": Policy(anchor=True, accumulate=True),
    "exact": Policy(exact=True),
    "exact-again": Policy(exact=True, again=True),
    "biased": Policy(biased=True),
    "exact-biased": Policy(exact=True, biased=True),
    "cool": Policy(cool=True),
    "top-p": Policy(nucleus=True),
    "human": Policy(synthetic=False),
}


def fraction(n: int, share: float) -> int:
    """How many human items the share is, of a corpus of n."""
    return round(n * share)


def samples(policy: Policy, n: int, share: float) -> int:
    """How many items a student of this arm samples for the next corpus."""
    if not policy.synthetic:
        return 0
    return n - fraction(n, share) if policy.fresh or policy.same else n


def next_human(policy: Policy, before: Sequence[Stretch], n: int, share: float) -> list[Stretch]:
    """The human items of the next corpus, where the arm's corpora so far had those of `before`.

    Fresh ones begin where the furthest of those ended: each is used once.
    """
    unused = max((stop for _, stop in before), default=0)
    more = fraction(n, share)
    chosen: list[Stretch] = []
    if policy.anchor:
        chosen.append((0, n))
    if policy.same:
        chosen.append((0, more))
    if policy.fresh:
        chosen.append((unused, unused + more))
    if not policy.synthetic:
        chosen.append((unused, unused + n))
    return chosen


def human_of(policy: Policy, generation: int, n: int, share: float) -> list[Stretch]:
    """The same for any generation, without looking at those before it: what a check expects."""
    if generation == 0:
        return [(0, n)]
    more = fraction(n, share)
    kept = [(0, n)] if policy.anchor else [(0, more)] if policy.same else []
    if policy.fresh:
        return [*kept, (n + (generation - 1) * more, n + generation * more)]
    return kept if policy.synthetic else [(generation * n, (generation + 1) * n)]


def size(policy: Policy, generation: int, n: int, share: float) -> int:
    """How many items the corpus of a generation holds."""
    human = sum(stop - first for first, stop in human_of(policy, generation, n, share))
    turns = generation if policy.accumulate else min(generation, 1)
    return human + turns * samples(policy, n, share)
