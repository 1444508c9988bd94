"""Merkle roots over rows, as in RFC 6962: leaves and nodes hashed apart; here index and count too.

A leaf binds its index and a root its count, so rows can't be moved, doubled or cut off unseen.
"""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice

from stillroom.record import digest

CHUNK = 2**12
EMPTY = digest(b"\x03")


def leaf(row: bytes) -> bytes:
    """Hash of one whole row (canonical JSON), without its place."""
    return digest(b"\x00" + row)


def root(leaves: Iterable[bytes]) -> str:
    """Root over the leaves in order, as hex; memory grows with the logarithm of their number."""
    peaks: list[tuple[int, bytes]] = []  # (height, hash) of complete subtrees, highest first
    count, source = 0, iter(leaves)
    while chunk := list(islice(source, CHUNK)):
        nodes = [_hash(b"\x00" + n.to_bytes(8, "big") + one) for n, one in enumerate(chunk, count)]
        count += len(chunk)
        height = 0
        while len(chunk) == CHUNK and len(nodes) > 1:  # a complete subtree at once
            pairs = zip(nodes[::2], nodes[1::2], strict=True)
            nodes, height = [_hash(b"\x01" + left + right) for left, right in pairs], height + 1
        for node in nodes:
            _push(peaks, height, node)
    top = EMPTY
    if peaks:
        top = peaks.pop()[1]
        while peaks:
            top = _hash(b"\x01" + peaks.pop()[1] + top)
    return _hash(b"\x02" + count.to_bytes(8, "big") + top).hex()


def _push(peaks: list[tuple[int, bytes]], height: int, node: bytes) -> None:
    """Add the next subtree; two of one height become one."""
    while peaks and peaks[-1][0] == height:
        node, height = _hash(b"\x01" + peaks.pop()[1] + node), height + 1
    peaks.append((height, node))


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=32).digest()
