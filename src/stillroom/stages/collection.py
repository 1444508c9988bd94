"""First-party collections: texts gathered with consent, signed by who gathered them (Ed25519).

A collection file is JSON beside the corpus: `collector`, `consent` (the statement that people
agreed to), `since` and `until` (ISO days), `sha256` of the corpus file, and `signature`: hex, over
the canonical JSON (sorted keys, no spaces) of all the other fields.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom import files
from stillroom.collapse.settings import span
from stillroom.errors import UserError
from stillroom.record import canonical

FIELDS = ("collector", "consent", "since", "until", "sha256")


@dataclass(frozen=True)
class Collection:
    """A collection whose signature was checked."""

    collector: str
    consent: str
    since: str
    until: str
    key: str

    @property
    def words(self) -> str:
        """The collection as a piece of a record's evidence."""
        who = f"collected by {self.collector} from {self.since} to {self.until}"
        return f"first-party: {who}, signed with Ed25519 key {self.key}"


def signed_content(fields: dict[str, Any]) -> bytes:
    """The bytes that a collection's signature is over."""
    return canonical({name: fields[name] for name in FIELDS})


def sign(
    corpus: str | Path, private: bytes, *, collector: str, consent: str, since: str, until: str
) -> Path:
    """Write CORPUS.collection.json, signed with a private Ed25519 key of 32 bytes; its path."""
    _require()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    corpus = Path(corpus)
    fields = {"collector": collector, "consent": consent, "since": since, "until": until}
    fields |= {"sha256": files.sha256(corpus)}
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(signed_content(fields))
    path = corpus.with_name(f"{corpus.name}.collection.json")
    files.write_json(path, fields | {"signature": signature.hex()})
    return path


def read_collection(path: str | Path, key: str, corpus: str) -> Collection:
    """The collection in the file, if `key` (hex) signed it for the corpus of this sha256."""
    path = Path(path)
    told = files.read_json(path)
    if told is None:
        raise UserError("there is no such collection file", path)
    for name in (*FIELDS, "signature"):
        if not isinstance(told.get(name), str) or not told[name].strip():
            raise UserError(
                f"the collection says no {name!r}", path, "see docs/mix.md, first-party data"
            )
    _check(told, key, path)
    if told["sha256"].lower() != corpus:
        raise UserError(
            "the collection was signed for another corpus file: the sha256 differs",
            path,
            "sign the file as it is now, or give back the file that was signed",
        )
    try:
        since, until = span(told["since"])[0], span(told["until"])[1]
    except ValueError as wrong:
        raise UserError(f"the collection's period: {wrong}", path) from None
    if since > until:
        raise UserError(f"the collection ends ({until}) before it begins ({since})", path)
    return Collection(told["collector"], told["consent"], since, until, key.lower())


def _check(told: dict[str, Any], key: str, path: Path) -> None:
    _require()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(told["signature"]), signed_content(told))
    except (InvalidSignature, ValueError):
        raise UserError(
            "the collection's signature is not of this key, or its text was changed",
            path,
            "ask the collector for the key, or for a file that was not edited",
        ) from None


def _require() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise UserError(
            "first-party collections are signed with Ed25519, which needs the cryptography package",
            do="pip install 'stillroom[signed]'",
        ) from None
