"""Nights: the mark that each conformed night leaves in the lake, by which others see that it is there, what it holds and what it changes.

Here lives what is written into that mark and how all of them are read; add here what a later step must know of a night without opening its rows.
Must not open a Parquet file or a database: conform hands in what it counted.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import version

from userops_pipeline.ground import contract
from userops_pipeline.ground.home import PACKAGE_DIR, Home, write_json
from userops_pipeline.intake.lake_proof import Files, files_of, landed
from userops_pipeline.intake.landing import manifests
from userops_pipeline.intake.source import Source

# What decides how a landed record is read.
TYPING_MODULES = ("ground/addresses", "ground/channels", "intake/binding", "intake/conform", "intake/fields", "intake/stops")
TYPING_LIBRARIES = ("email-validator", "idna", "phonenumbers")


@dataclass(frozen=True)
class Reach:
    """Earliest business dates that arrivals change: of a fact that appeared, vanished or changed, and of a row that tells of one."""

    window_from: date
    rows_from: date

    def or_further(self, other: Reach | None) -> Reach:
        """Back to the earlier of both."""
        return self if other is None else Reach(min(self.window_from, other.window_from), min(self.rows_from, other.rows_from))


@dataclass(frozen=True)
class Night:
    """What a conformed night holds: the hash of its rows, and how far back they reach."""

    source: str
    night: date
    content_hash: str
    reach: Reach
    config_hash: str
    files: Files = field(default_factory=dict, compare=False, repr=False)
    landed: tuple[str, ...] = field(default=(), compare=False, repr=False)  # what it was made of, by path below lake/landing/


def mark_nights(home: Home, source: Source, nights: list[date], contents: Mapping[date, str], reaches: Mapping[date, Reach]) -> None:
    """One JSON per night, written last: with it the night is conformed, and its files can be held against it. `reaches` has the nights that
    reach back further than to themselves, and later ones, conformed before, that follow other versions now."""
    _reach_further(home, {night: reach for night, reach in reaches.items() if night not in nights})
    config = config_hash(home, source)
    for night in nights:
        place = home.nights / night.isoformat() / f"{source.name}.json"
        content, reach = contents.get(night, ""), Reach(night, night).or_further(reaches.get(night))
        if place.is_file():
            before = json.loads(place.read_text(encoding="utf-8"))
            if before["content_hash"] != content:
                # What the old content touched is gone from the lake, so all of it is recomputed.
                for known in conformed_nights(home):
                    reach = reach.or_further(known.reach)
        mark = {"source": source.name, "night": night, "content_hash": content, **asdict(reach), "config_hash": config}
        write_json(place, {**mark, "files": files_of(home, source.name, night), "landed": sorted(landed(home, source, night))})


def _reach_further(home: Home, reaches: Mapping[date, Reach]) -> None:
    """Nights conformed before an earlier one: they follow its versions now, so taking them away again changes what these say."""
    for night, reach in reaches.items():
        for place in sorted((home.nights / night.isoformat()).glob("*.json")):
            document = json.loads(place.read_text(encoding="utf-8"))
            write_json(place, {**document, **asdict(_reach_of(document).or_further(reach))})


def _reach_of(document: Mapping[str, str]) -> Reach:
    return Reach(date.fromisoformat(document["window_from"]), date.fromisoformat(document["rows_from"]))


def config_hash(home: Home, source: Source) -> str:
    """Changes when what every night is conformed from changes.

    That is the source's own files, the contract, an archive, which holds all nights, and the code and libraries that type a row: one half
    of a lake read by an older version would write addresses differently from the other.
    """
    archives = [
        manifest.sha256 for name, file in source.files.items() if not file.daily for _, manifest in manifests(home, source, name, None)
    ]
    return hashlib.sha256(source.config_hash().encode() + _typing_hash() + " ".join(archives).encode()).hexdigest()[:16]


@functools.cache
def _typing_hash() -> bytes:
    digest = hashlib.sha256(contract.CONTRACT_FILE.read_bytes())
    for module in TYPING_MODULES:
        digest.update((PACKAGE_DIR / f"{module}.py").read_bytes())
    for library in TYPING_LIBRARIES:
        digest.update(f"{library} {version(library)}".encode())
    return digest.digest()


def conformed_nights(home: Home, source: str | None = None) -> list[Night]:
    """Every night the lake holds, by date and source."""
    found = []
    for path in sorted(home.nights.glob(f"*/{source or '*'}.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        found.append(
            Night(
                document["source"],
                date.fromisoformat(document["night"]),
                document["content_hash"],
                _reach_of(document),
                document["config_hash"],
                {name: (size, digest) for name, (size, digest) in document.get("files", {}).items()},
                tuple(document.get("landed", ())),
            )
        )
    return found
