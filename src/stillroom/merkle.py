"""Merkle roots over rows, as in RFC 6962: leaves and nodes hashed apart; here index and count too.

A leaf binds its index and a root its count, so rows can't be moved, doubled or cut off unseen.
"""

from collections.abc import Iterable
from hashlib import blake2b

from stillroom.record import digest

EMPTY = digest(b"\x03")


def leaf(row: bytes) -> bytes:
    """Hash of one whole row (canonical JSON), without its place."""
    return digest(b"\x00" + row)


def root(leaves: Iterable[bytes]) -> str:
    """Root over the leaves in order, as hex; memory grows with the logarithm of their number."""
    peaks: list[tuple[int, bytes]] = []  # (height, hash) of complete subtrees, highest first
    count = 0
    for one in leaves:
        content = b"\x00" + count.to_bytes(8, "big") + one
        node, height = blake2b(content, digest_size=32).digest(), 0
        count += 1
        while peaks and peaks[-1][0] == height:
            content = b"\x01" + peaks.pop()[1] + node
            node, height = blake2b(content, digest_size=32).digest(), height + 1
        peaks.append((height, node))
    top = EMPTY
    if peaks:
        top = peaks.pop()[1]
        while peaks:
            top = digest(b"\x01" + peaks.pop()[1] + top)
    return digest(b"\x02%b%b" % (count.to_bytes(8, "big"), top)).hex()
