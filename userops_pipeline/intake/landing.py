"""Landing: a verbatim copy of every delivered file beside a manifest of what it was.

Here lives how a file is recognised again (same content seen, changed content refused), copied, and remembered.
Add here when a delivery can go wrong in a new way; must not look into values: reading proves the file, conform types it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import duckdb
from pydantic import BaseModel, ConfigDict

from userops_pipeline.ground import contract
from userops_pipeline.ground.home import Home, sha256_of, write_json
from userops_pipeline.ground.tombstones import Tombstones
from userops_pipeline.intake.mappings import files_read
from userops_pipeline.intake.reading import FileRefused, Reading, check_sidecar
from userops_pipeline.intake.source import PLAIN_NAME, Source

# An archive holds every night at once, so its landing folder is named for none.
ARCHIVE = "archive"
SHOWN = 12  # stretches of nights that a sentence names


class Manifest(BaseModel):
    """What a landed file was when it was copied."""

    model_config = ConfigDict(frozen=True)

    source: str
    file: str
    name: str
    night: date | None
    sha256: str
    bytes: int
    rows: int
    encoding: str
    format: str
    delivered_sha256: str = ""  # where records of erased people were taken out, so that the delivery is known again
    erased: int = 0  # records taken out
    compared_with: str = ""  # the tombstones whose people are not in it

    @property
    def delivered(self) -> str:
        """The hash of the file as it was delivered."""
        return self.delivered_sha256 or self.sha256


@dataclass(frozen=True)
class Landed:
    """What became of one delivered file."""

    name: str
    file: str
    night: date | None
    outcome: Literal["landed", "seen", "replaced", "refused", "unfinished"]
    rows: int = 0
    bytes: int = 0
    sentence: str = ""


def nights_between(first: date, last: date) -> list[date]:
    """Every date from first to last, both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _folder(home: Home, source: Source, file: str, night: date | None) -> Path:
    return home.landing / source.name / file / (ARCHIVE if night is None else night.isoformat())


def manifests(home: Home, source: Source, file: str, night: date | None) -> list[tuple[Path, Manifest]]:
    """The landed files of one kind and night with their manifests, in name order."""
    folder = _folder(home, source, file, night)
    found = []
    for path in sorted(folder.glob("*.manifest.json")):
        manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
        found.append((folder / manifest.name, manifest))
    return found


def nights_late(home: Home, source: Source, name: str, as_of: date) -> int:
    """Nights since the last delivery of a daily file, not counting quiet ones; for an archive, nights after its end."""
    if not source.files[name].daily:
        if not manifests(home, source, name, None):
            return (as_of - source.first_night).days + 1
        return max(0, (as_of - source.last_night).days) if source.last_night else 0
    late, night = 0, as_of
    while night >= source.first_night and not manifests(home, source, name, night):
        late += 0 if source.is_quiet(night) else 1
        night -= timedelta(days=1)
    return late


def nights_without(home: Home, source: Source, name: str, until: date) -> list[date]:
    """The nights up to `until` for which a file of a daily kind was expected and none has come, in order.

    Quiet nights are none of them, nor the `fresh_days` that it may be late, nor what lies before its first file where every table that it
    fills has an archive too: that is the archive's.
    """
    if not source.files[name].daily:
        return []
    there = {date.fromisoformat(path.parent.name) for path in (home.landing / source.name / name).glob("????-??-??/*.manifest.json")}
    filled = [read for table in source.tables if name in (read := files_read(source, table))]
    follows = bool(filled) and all(any(not source.files[kind].daily for kind in read) for read in filled)
    late, found = 0, []
    for night in nights_between(min(there) if there and follows else source.first_night, until):
        if night in there:
            late = 0
        elif not source.is_quiet(night):
            late += 1
            if late > source.gate.fresh_days:
                found.append(night)
    return found


def stretches(nights: list[date]) -> str:
    """Nights in order as a person reads them: `2026-03-05, 2026-03-09 to 2026-03-12 (5 nights)`."""
    found: list[list[date]] = []
    for night in nights:
        if found and night - found[-1][-1] == timedelta(days=1):
            found[-1].append(night)
        else:
            found.append([night])
    shown = [str(first) if first == last else f"{first} to {last}" for first, last in ((each[0], each[-1]) for each in found)]
    more = f" and {len(shown) - SHOWN} more stretches" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more + (f" ({len(nights)} nights)" if len(nights) > 1 else "")


def manifest_path(path: Path) -> Path:
    """Where the manifest of a landed file lies."""
    return path.with_name(f"{path.name}.manifest.json")


def land(
    home: Home,
    source: Source,
    nights: list[date],
    *,
    accept_changed: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Landed]:
    """Copy what the source delivered for these nights into landing; a refused file is kept beside, with its reason.

    The copy is renamed into place before its manifest, so a file without a manifest was never landed. The same content under the
    same name is seen and skipped; other content under the same name is refused unless `accept_changed`; the same content under
    another name of the same night is skipped, since its records are already here; the content of another night again, where it says what
    happened, is refused unless `accept_changed`.
    """
    outcomes: list[Landed] = []
    with home.scratch("reading") as scratch, duckdb.connect(config={"temp_directory": str(scratch)}) as connection:
        for file_name, file in source.files.items():
            earlier = _Contents(home, source, file_name) if file.daily and _tells_what_happened(source, file_name) else None
            for night in nights if file.daily else [None]:
                delivery = _Delivery(home, source, file_name, night, connection, scratch, earlier)
                for path in source.unfinished_of(file, night or nights[0]):
                    outcomes.append(Landed(path.name, file_name, night, "unfinished", sentence=_left(path.name, file_name)))
                for path in source.files_of(file, night or nights[0]):
                    outcomes.append(delivery.land(path, accept_changed))
                    if len(outcomes) % 100 == 0:
                        progress(f"landed {len(outcomes)} files")
    return outcomes


def _left(name: str, kind: str) -> str:
    which = name if PLAIN_NAME.fullmatch(name) else "a file"
    return (
        f"{kind}: {which} is still being written, or was put aside, by its name; it was left where it lies. If it is a delivery, rename it."
    )


class _Delivery:
    """The files of one kind and night, with what is known of them already."""

    def __init__(
        self,
        home: Home,
        source: Source,
        file_name: str,
        night: date | None,
        connection: duckdb.DuckDBPyConnection,
        scratch: Path,
        contents: _Contents | None,
    ) -> None:
        self.home, self.source, self.name, self.night = home, source, file_name, night
        self.file = source.files[file_name]
        self.folder = _folder(home, source, file_name, night)
        self.connection, self.scratch, self.contents = connection, scratch, contents
        self.known = {manifest.name: manifest for _, manifest in manifests(home, source, file_name, night)}
        self.by_digest = {manifest.delivered: manifest for manifest in self.known.values()}

    def land(self, path: Path, accept_changed: bool) -> Landed:
        digest = sha256_of(path)
        size = path.stat().st_size
        before, twin = self.known.get(path.name), self.by_digest.get(digest)
        if twin is not None:
            again = before if before is not None and before.delivered == digest else twin
            self._forget_refusal(path.name)
            sentence = "" if again is before else f"{path.name} is {twin.name} under another name; not loaded again."
            return Landed(path.name, self.name, self.night, "seen", again.rows, again.bytes, sentence)
        if before is not None and not accept_changed:
            return self._refuse(
                path,
                f"{path.name} changed since it was landed ({before.bytes} bytes then, {size} now); "
                "nothing of it was loaded. Run again with --accept-changed if the new content is right.",
            )
        other = self.contents.nights.get(digest, self.night) if self.contents else self.night
        if other != self.night and not accept_changed:
            return self._refuse(
                path,
                f"{path.name} is the file of {other} again (the same content); nothing of it was loaded. Deliver the file of {self.night}, "
                "or run again with --accept-changed if that night did bring the same.",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f".{os.getpid()}.part.{path.name}"
        try:
            # What is proved is the copy that is kept: what happens to the sender's file meanwhile no longer matters.
            if _copy(path, part) != digest:
                raise FileRefused(f"{path.name} changed while it was copied; wait until the sender has finished.")
            check_sidecar(path, self.file, digest)
            reading = Reading(part, self.file, path.name, self.connection, self.scratch, name=path.name)
            reading.close()
        except FileRefused as refusal:
            part.unlink(missing_ok=True)
            return self._refuse(path, str(refusal))
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        os.replace(part, self.folder / path.name)
        manifest = Manifest(
            source=self.source.name,
            file=self.name,
            name=path.name,
            night=self.night,
            sha256=digest,
            bytes=size,
            rows=reading.rows,
            encoding=self.file.encoding,
            format=self.file.format,
        )
        write_json(manifest_path(self.folder / path.name), manifest.model_dump(mode="json"))
        if before is not None:
            self.by_digest.pop(before.delivered, None)
        self.known[path.name] = self.by_digest[digest] = manifest
        if self.contents is not None and self.night is not None and manifest.rows:
            self.contents.nights.setdefault(digest, self.night)
        self._forget_refusal(path.name)
        outcome = "landed" if before is None else "replaced"
        return Landed(path.name, self.name, self.night, outcome, reading.rows, size, "; ".join(reading.notices))

    def _refuse(self, path: Path, sentence: str) -> Landed:
        folder = _refusal_folder(self.home, self.source, self.name, self.night)
        folder.mkdir(parents=True, exist_ok=True)
        if Tombstones.of(self.home):
            (folder / path.name).unlink(missing_ok=True)  # nobody can tell whether an erased person stands in a file that cannot be read
        else:
            part = folder / f".{os.getpid()}.part.{path.name}"
            try:
                _copy(path, part)
                os.replace(part, folder / path.name)
            finally:
                part.unlink(missing_ok=True)
        document = {"name": path.name, "file": self.name, "night": self.night, "reason": sentence}
        write_json(folder / f"{path.name}.reason.json", document)
        return Landed(path.name, self.name, self.night, "refused", bytes=path.stat().st_size, sentence=sentence)

    def _forget_refusal(self, name: str) -> None:
        """A file that was mended and landed is no longer waiting."""
        folder = _refusal_folder(self.home, self.source, self.name, self.night)
        for path in (folder / f"{name}.reason.json", folder / name):
            path.unlink(missing_ok=True)


def _tells_what_happened(source: Source, file_name: str) -> bool:
    """Whether the rows of a kind of file happen in time; a list of what there is (products, users) may come the same every night."""
    tables = contract.tables()
    return any(tables[table].at is not None and file_name in files_read(source, table) for table in source.tables)


class _Contents:
    """What a kind of file has brought so far; looked up only where there is something new."""

    def __init__(self, home: Home, source: Source, file_name: str) -> None:
        self._place = home, source, file_name

    @functools.cached_property
    def nights(self) -> dict[str, date]:
        """The first night each content was landed for; files without a record are alike and say nothing."""
        home, source, file_name = self._place
        found: dict[str, date] = {}
        for folder in sorted((home.landing / source.name / file_name).glob("????-??-??")):
            night = date.fromisoformat(folder.name)
            for _, manifest in manifests(home, source, file_name, night):
                if manifest.rows:
                    found.setdefault(manifest.delivered, night)
        return found


def _copy(path: Path, target: Path) -> str:
    """Copy a plain file for its owner alone, onto the disk; gives the digest of what was copied."""
    digest = hashlib.sha256()
    with (
        open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as source,
        open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as copy,
    ):
        while block := source.read(1 << 20):
            digest.update(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


def _refusal_folder(home: Home, source: Source, file_name: str, night: date | None) -> Path:
    return home.refused / source.name / file_name / (ARCHIVE if night is None else night.isoformat())


def refused(home: Home, source: Source | None = None, nights: list[date] | None = None) -> Iterator[dict[str, str]]:
    """Files still refused: source, file, night, name, reason; in path order."""
    for path in sorted(home.refused.glob(f"{source.name if source else '*'}/*/*/*.reason.json")):
        night = path.parent.name
        if nights is not None and night != ARCHIVE and date.fromisoformat(night) not in nights:
            continue
        document = json.loads(path.read_text(encoding="utf-8"))
        yield {"source": path.parts[-4], "file": document["file"], "night": night, "name": document["name"], "reason": document["reason"]}
