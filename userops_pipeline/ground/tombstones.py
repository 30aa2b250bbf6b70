"""Tombstones: what is left of an erased person, keyed hashes by which a late record of theirs is known again and by which nobody else can read them.

Here live the key, the hashes by kind and the question whether a value is an erased one; add a kind here when a person can be named in a new way.
Must not hold an identifier in the clear, nor decide what is done with a record that matches: conform, delivery and erasure do.

    erasures/key               32 random bytes, readable by the owner only; whoever deletes it makes every tombstone meaningless
            /tombstones.json   HMAC-SHA256 by kind: user, address, device, digits:<how many> of a phone number as it may stand in a text,
                               keys of rows that were the person's (orders.order_id), and stopped:<channel>:<purpose>, an address that
                               stays because it is somebody else's too, but that the person did not want to be contacted
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from userops_pipeline.ground.home import Home, UserOpsError, write_atomically

USER, ADDRESS, DEVICE = "user", "address", "device"
STOPPED = "stopped:"
BLOCK = 64  # bytes of a block of SHA-256, by which HMAC is defined


@dataclass(frozen=True)
class Tombstones:
    """The key and the hashes by kind; without any, nothing is erased and `bool()` is false."""

    key: bytes = field(default=b"", repr=False)
    hashes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, home: Home) -> Tombstones:
        """The tombstones of a home.

        Raises:
            UserOpsError: there are hashes, but they or their key cannot be read, so that nobody could be known again.
        """
        place = _place(home)
        if not place.is_file():
            return cls()
        try:
            key = _key(home).read_bytes()
            hashes = {kind: frozenset(values) for kind, values in json.loads(place.read_text(encoding="utf-8")).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            key, hashes = b"", {}
        if len(key) != 32:
            raise UserOpsError(
                "erasures/tombstones.json or erasures/key is missing or damaged, so an erased person would not be known again and nothing was "
                "done; restore the folder erasures from a backup."
            )
        return cls(key, hashes)

    def __bool__(self) -> bool:
        return any(self.hashes.values())

    @property
    def digest(self) -> str:
        """Changes when anybody is added or taken out; a landed file bears the one it was compared with."""
        people = {
            kind: sorted(values) for kind, values in self.hashes.items() if "." not in kind
        }  # a key such as orders.order_id names nobody new
        return hashlib.sha256(json.dumps(people, sort_keys=True).encode()).hexdigest()[:16]

    def hash_of(self, kind: str, value: str) -> str:
        return hmac.new(self.key, f"{kind}\n{value}".encode(), hashlib.sha256).hexdigest()

    def has(self, kind: str, value: str) -> bool:
        """Whether a value, as it is compared, is an erased one."""
        return kind in self.hashes and self.hash_of(kind, value) in self.hashes[kind]

    def stopped(self) -> Iterator[tuple[str | None, str | None, str]]:
        """(channel, purpose, kind) of every kind of word that an erased person left on an address of somebody else's; null for every one."""
        for kind in self.hashes:
            if kind.startswith(STOPPED):
                _, channel, purpose = kind.split(":")
                yield channel or None, purpose or None, kind

    def sql(self, kind: str, value: str) -> str:
        """SQL of the same hash over a text; the key stands in it, so it must go to a private connection only."""
        padded = self.key.ljust(BLOCK, b"\0")
        inner, outer = (_blob(bytes(byte ^ mask for byte in padded)) for mask in (0x36, 0x5C))
        return f"sha256({outer} || unhex(sha256({inner} || encode({_text(kind)} || chr(10) || {value}))))"


def stopped_kind(channel: str, purpose: str) -> str:
    """The kind of an address that may not be contacted by this channel for this purpose, each empty for every one."""
    return f"{STOPPED}{channel}:{purpose}"


def _blob(content: bytes) -> str:
    return "'" + "".join(f"\\x{byte:02X}" for byte in content) + "'::blob"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def add(home: Home, values: Mapping[str, Iterable[str]]) -> Tombstones:
    """Remember these values, each as it is compared, by kind; the first time a key is made."""
    known = Tombstones.of(home)
    if not known.key:
        known = Tombstones(_new_key(home))
    hashes = dict(known.hashes)
    for kind, named in values.items():
        hashes[kind] = hashes.get(kind, frozenset()) | {known.hash_of(kind, value) for value in named}
    return _write(home, Tombstones(known.key, {kind: found for kind, found in hashes.items() if found}))


def lift(home: Home, values: Mapping[str, Iterable[str]]) -> int:
    """Forget that these values were erased; returns how many were, so that what arrives of them from now on is kept."""
    known = Tombstones.of(home)
    if not known:
        return 0
    hashes = {kind: found - {known.hash_of(kind, value) for value in values.get(kind, ())} for kind, found in known.hashes.items()}
    _write(home, Tombstones(known.key, hashes))
    return sum(len(found) - len(hashes[kind]) for kind, found in known.hashes.items())


def _place(home: Home) -> Path:
    return home.erasures / "tombstones.json"


def _key(home: Home) -> Path:
    return home.erasures / "key"


def _new_key(home: Home) -> bytes:
    home.erasures.mkdir(parents=True, exist_ok=True, mode=0o700)
    home.erasures.chmod(0o700)
    if not _key(home).exists():
        write_atomically(_key(home), secrets.token_bytes(32), mode=0o600)
    return _key(home).read_bytes()


def _write(home: Home, stones: Tombstones) -> Tombstones:
    document = {kind: sorted(values) for kind, values in sorted(stones.hashes.items())}
    write_atomically(_place(home), (json.dumps(document, indent=1) + os.linesep).encode(), mode=0o600)
    return stones
