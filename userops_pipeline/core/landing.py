"""Landing: a verbatim copy of every delivered file beside a manifest of what it was.

Here lives how a file is recognised again (same content seen, changed content refused), copied, and remembered.
Add here when a delivery can go wrong in a new way; must not look into values: reading proves the file, conform types it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import duckdb
from pydantic import BaseModel, ConfigDict

from userops_pipeline.core.home import Home, sha256_of, write_json
from userops_pipeline.core.reading import FileRefused, Reading, check_sidecar
from userops_pipeline.core.source import Source
from userops_pipeline.core.tombstones import Tombstones

# An archive holds every night at once, so its landing folder is named for none.
ARCHIVE = "archive"


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
    outcome: Literal["landed", "seen", "replaced", "refused"]
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
    another name of the same night is skipped, since its records are already here.
    """
    outcomes: list[Landed] = []
    with duckdb.connect() as connection:
        for file_name, file in source.files.items():
            for night in nights if file.daily else [None]:
                for path in source.files_of(file, night or nights[0]):
                    outcomes.append(_land_one(home, source, file_name, path, night, accept_changed, connection))
                    if len(outcomes) % 100 == 0:
                        progress(f"landed {len(outcomes)} files")
    return outcomes


def _land_one(
    home: Home, source: Source, file_name: str, path: Path, night: date | None, accept_changed: bool, connection: duckdb.DuckDBPyConnection
) -> Landed:
    file = source.files[file_name]
    folder = _folder(home, source, file_name, night)
    known = {manifest.name: manifest for _, manifest in manifests(home, source, file_name, night)}
    digest = sha256_of(path)
    size = path.stat().st_size
    before = known.get(path.name)
    if before is not None and before.delivered == digest:
        _forget_refusal(home, source, file_name, path.name, night)
        return Landed(path.name, file_name, night, "seen", before.rows, before.bytes)
    twin = next((other for other in known.values() if other.delivered == digest), None)
    if twin is not None:
        _forget_refusal(home, source, file_name, path.name, night)
        return Landed(
            path.name, file_name, night, "seen", twin.rows, twin.bytes, f"{path.name} is {twin.name} under another name; not loaded again."
        )
    if before is not None and not accept_changed:
        sentence = (
            f"{path.name} changed since it was landed ({before.bytes} bytes then, {size} now); "
            "nothing of it was loaded. Run again with --accept-changed if the new content is right."
        )
        return _refuse(home, source, file_name, path, night, sentence)
    try:
        check_sidecar(path, file)
        reading = Reading(path, file, path.name, connection)
        reading.close()
    except FileRefused as refusal:
        return _refuse(home, source, file_name, path, night, str(refusal))
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{path.name}.{os.getpid()}.part"
    shutil.copyfile(path, part)
    part.chmod(0o600)
    if sha256_of(part) != digest:
        part.unlink()
        return _refuse(
            home, source, file_name, path, night, f"{path.name} changed while it was copied; wait until the sender has finished."
        )
    with open(part, "rb") as handle:
        os.fsync(handle.fileno())
    os.replace(part, folder / path.name)
    manifest = Manifest(
        source=source.name,
        file=file_name,
        name=path.name,
        night=night,
        sha256=digest,
        bytes=size,
        rows=reading.rows,
        encoding=file.encoding,
        format=file.format,
    )
    write_json(manifest_path(folder / path.name), manifest.model_dump(mode="json"))
    _forget_refusal(home, source, file_name, path.name, night)
    return Landed(path.name, file_name, night, "landed" if before is None else "replaced", reading.rows, size, "; ".join(reading.notices))


def _refusal_folder(home: Home, source: Source, file_name: str, night: date | None) -> Path:
    return home.refused / source.name / file_name / (ARCHIVE if night is None else night.isoformat())


def _refuse(home: Home, source: Source, file_name: str, path: Path, night: date | None, sentence: str) -> Landed:
    folder = _refusal_folder(home, source, file_name, night)
    folder.mkdir(parents=True, exist_ok=True)
    if Tombstones.of(home):
        (folder / path.name).unlink(missing_ok=True)  # nobody can tell whether an erased person stands in a file that cannot be read
    else:
        part = folder / f".{path.name}.part"
        shutil.copyfile(path, part)
        part.chmod(0o600)
        os.replace(part, folder / path.name)
    write_json(folder / f"{path.name}.reason.json", {"name": path.name, "file": file_name, "night": night, "reason": sentence})
    return Landed(path.name, file_name, night, "refused", bytes=path.stat().st_size, sentence=sentence)


def _forget_refusal(home: Home, source: Source, file_name: str, name: str, night: date | None) -> None:
    """A file that was mended and landed is no longer waiting."""
    folder = _refusal_folder(home, source, file_name, night)
    for path in (folder / f"{name}.reason.json", folder / name):
        path.unlink(missing_ok=True)


def refused(home: Home, source: Source | None = None, nights: list[date] | None = None) -> Iterator[dict[str, str]]:
    """Files still refused: source, file, night, name, reason; in path order."""
    for path in sorted(home.refused.glob(f"{source.name if source else '*'}/*/*/*.reason.json")):
        night = path.parent.name
        if nights is not None and night != ARCHIVE and date.fromisoformat(night) not in nights:
            continue
        document = json.loads(path.read_text(encoding="utf-8"))
        yield {"source": path.parts[-4], "file": document["file"], "night": night, "name": document["name"], "reason": document["reason"]}
