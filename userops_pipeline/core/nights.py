"""Nights: the mark that each conformed night leaves in the lake, by which others see that it is there, what it holds and what it changes.

Here lives what is written into that mark and how all of them are read; add here what a later step must know of a night without opening its rows.
Must not open a Parquet file or a database: conform hands in what it counted.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

from userops_pipeline.core import contract
from userops_pipeline.core.home import Home, write_json
from userops_pipeline.core.lake_proof import Files, files_of, landed
from userops_pipeline.core.landing import manifests
from userops_pipeline.core.source import Source

# What decides how a landed record is read.
TYPING_MODULES = ("addresses", "binding", "conform", "fields", "stops")
TYPING_LIBRARIES = ("email-validator", "idna", "phonenumbers")


@dataclass(frozen=True)
class Night:
    """What a conformed night holds: the hash of its rows and the earliest business date they change."""

    source: str
    night: date
    content_hash: str
    window_from: date
    config_hash: str
    files: Files = field(default_factory=dict, compare=False, repr=False)
    landed: tuple[str, ...] = field(default=(), compare=False, repr=False)  # what it was made of, by path below lake/landing/


def mark_nights(home: Home, source: Source, nights: list[date], contents: Mapping[date, str], windows: Mapping[date, date]) -> None:
    """One JSON per night, written last: with it the night is conformed, and its files can be held against it. `windows` has the nights that
    reach back further than to themselves."""
    config = config_hash(home, source)
    for night in nights:
        place = home.nights / night.isoformat() / f"{source.name}.json"
        content, window = contents.get(night, ""), windows.get(night, night)
        if place.is_file():
            before = json.loads(place.read_text(encoding="utf-8"))
            if before["content_hash"] != content:
                # What the old content touched is gone from the lake, so all of it is recomputed.
                window = min(window, *(known.window_from for known in conformed_nights(home)))
        mark = {"source": source.name, "night": night, "content_hash": content, "window_from": window, "config_hash": config}
        write_json(place, {**mark, "files": files_of(home, source.name, night), "landed": sorted(landed(home, source, night))})


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
        digest.update(Path(__file__).with_name(f"{module}.py").read_bytes())
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
                date.fromisoformat(document["window_from"]),
                document["config_hash"],
                {name: (size, digest) for name, (size, digest) in document.get("files", {}).items()},
                tuple(document.get("landed", ())),
            )
        )
    return found
