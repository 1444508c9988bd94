"""Texts as sets of shingles, hashed: of tokens that a caller brings, or of the words of raw text.

Hashes are BLAKE2, SplitMix64 and polynomials, never Python's `hash`, so the same texts have the
same shingles everywhere.

Words of raw text, as its UTF-8 bytes tell them, with ASCII letters in lower case:
- letters and digits in a row; a letter is one of a-z or any character from U+00C0 to U+07FF (Latin,
  Greek, Cyrillic, Hebrew, Arabic) or from U+1E00 to U+1FFF (more Latin and Greek);
- each of the signs + - * / = < > ^ %, which tell one formula from another;
- each other character from U+0800 on, since many of these scripts write no blanks;
- nothing else: white space, other ASCII marks, U+0080 to U+00BF, the marks of U+2000 to U+203F and
  of U+3000 to U+303F part words.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Shingles = npt.NDArray[np.uint64]
"""A text as the sorted set of its shingles' 64-bit hashes."""
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

WORDS = 5
"""Words of a shingle of raw text."""

PARTS, JOINS, ALONE, CONTINUES = range(4)


def shingles(tokens: Sequence[str], size: int, table: dict[str, int]) -> Shingles:
    """The set of a text's shingles, hashed; `table` keeps the hashes of tokens between calls.

    A text shorter than a shingle is one shingle.
    """
    codes = token_codes(tokens, table)
    return np.unique(grams(codes, min(size, len(codes)))) if len(codes) else codes


def token_codes(tokens: Sequence[str], table: dict[str, int]) -> Shingles:
    """The hash of each token, in order; `table` keeps them between calls."""
    for token in set(tokens).difference(table):
        raw = blake2b(token.encode(errors="surrogatepass"), digest_size=8).digest()
        table[token] = int.from_bytes(raw, "little")
    return np.fromiter(map(table.__getitem__, tokens), np.uint64, len(tokens))


def grams(codes: Shingles, size: int) -> Shingles:
    """The hash of every `size` successive tokens, in order; none where there are fewer."""
    mixed = np.zeros(max(0, len(codes) - size + 1), np.uint64)
    for place in range(size):  # a polynomial in an odd number, mixed at every step
        mixed = mix(mixed + codes[place : place + len(mixed)])
    return mixed


def mix(value: Shingles) -> Shingles:
    """SplitMix64's finalizer (Steele, Lea and Flood, OOPSLA 2014); wraps at 2**64."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def joined(texts: Sequence[str]) -> tuple[Bytes, Ints]:
    """Texts one after the other in UTF-8, a line feed after each, and where each begins.

    The second array has one number more than there are texts: where a further text would begin.
    """
    raw = [text.encode(errors="surrogatepass") for text in texts]
    starts = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([len(one) + 1 for one in raw], out=starts[1:])
    return np.frombuffer(b"\n".join((*raw, b"")), np.uint8), starts


def text_grams(text: Bytes, starts: Ints) -> tuple[Shingles, Ints]:
    """Hashes of the shingles of `joined` texts, in order, repeated ones too; how many each has.

    A text of fewer than WORDS words has none.
    """
    codes, places = words(text)
    first = np.searchsorted(places, starts)
    hashed = grams(codes, WORDS)
    whole = np.ones(len(hashed), bool)
    for before in range(1, WORDS):  # a shingle that begins in one text and ends in the next
        across = first[1:-1] - before
        whole[across[(across >= 0) & (across < len(whole))]] = False
    return hashed[whole], np.maximum(np.diff(first) - WORDS + 1, 0)


def words(text: Bytes) -> tuple[Shingles, Ints]:
    """The hash of each word of `joined` texts, in order, and the place where it begins."""
    kind, leads = KINDS[text], np.ones(len(text), bool)
    if text.max(initial=0) >= 0x80:
        leads = _characters(text, kind)
    joins, alone = kind == JOINS, kind == ALONE
    begins = leads & (joins | alone)
    begins[1:] &= alone[1:] | ~joins[:-1]
    # What is in a word ends it where the next byte parts words or begins one; the last byte parts.
    ends = (joins | alone)[:-1] & (begins | ~(joins | alone))[1:]
    places, last = np.flatnonzero(begins), np.flatnonzero(ends)
    powers, inverse = _powers(max(1 << 18, 1 << len(text).bit_length()))
    sums = np.zeros(len(text) + 1, np.uint64)
    np.cumsum(LOWER[text] * powers[: len(text)], out=sums[1:])
    return mix((sums[last + 1] - sums[places]) * inverse[places]), places


def _characters(text: Bytes, kind: Bytes) -> Flags:
    """Gives every byte the kind of its character, in place; tells which bytes begin one."""
    lead, second = text[:-1], text[1:]
    kind[:-1][((lead == 0xE2) | (lead == 0xE3)) & (second == 0x80)] = PARTS
    kind[:-1][(lead == 0xE1) & (second >= 0xB8)] = JOINS
    leads: Flags = kind != CONTINUES
    for _ in range(3):  # a character has three further bytes at most
        rest = np.flatnonzero(kind == CONTINUES)
        kind[rest] = kind[rest - 1]
    return leads


def _table() -> Bytes:
    """The kind of a character by its first byte; `_characters` knows the exceptions."""
    table = np.full(256, PARTS, np.uint8)
    table[[n for n in range(128) if chr(n).isalnum()]] = JOINS
    table[list(b"+-*/=<>^%")] = ALONE
    table[0x80:0xC0] = CONTINUES
    table[0xC3:0xE0] = JOINS
    table[0xE0:0xF8] = ALONE
    return table


KINDS = _table()
LOWER = np.array([ord(chr(n).lower()) if n < 128 else n for n in range(256)], np.uint64)
BASE = 0xD6E8FEB86659FD93
"""A word's hash is the sum of its bytes times powers of this odd number, modulo 2**64, mixed."""


@lru_cache(maxsize=2)
def _powers(count: int) -> tuple[Shingles, Shingles]:
    """BASE to the powers 0, 1, ... and to 0, -1, ..., modulo 2**64."""
    both = []
    for base in (BASE, pow(BASE, -1, 1 << 64)):
        factors = np.full(count, base, np.uint64)
        factors[0] = 1
        both.append(np.cumprod(factors))
    return both[0], both[1]
