"""Generations: what readers see. Each publish is one directory of Parquet files with a manifest, made visible by swaps of names.

Here lives how a generation is written, sealed, verified, made current, rolled back to and retired; the caller holds the home's writer lock.
Add here what must be true of everything published; a new table is a dbt model in schema marts and needs nothing here.
Must not hold a business rule, nor change a table's content: what dbt built is what is published.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict, ValidationError

from userops_pipeline.ground.faults import crash_point
from userops_pipeline.ground.home import Home, sha256_of, share, write_json
from userops_pipeline.ground.sql import identifier, quoted
from userops_pipeline.ground.verdicts import CheckResult, Finding
from userops_pipeline.publish import dictionary
from userops_pipeline.publish.dictionary import TableDoc
from userops_pipeline.publish.generation_files import (
    EXPORTS,
    MARTS,
    OWN_TABLES,
    GenerationError,
    PublishedFile,
    PublishedTable,
    digest,
    scan,
    sync,
    write_dictionary_table,
    write_own_tables,
    write_pages,
    write_tables,
)

SCHEMA_VERSION = 1  # of the manifest and the directory; raise it when older code must not read newer generations
KEEP_GENERATIONS = 7
KEEP_HOURS = 48  # a generation stays this long after it was last current, so that connections held open keep working
MANIFEST = "manifest.json"
VERSIONS_OF = {"userops": "userops-pipeline", "dbt": "dbt-core", "duckdb": "duckdb"}


# In a manifest's `extra`: by source and kind of file, the nights for which none came though one was expected.
WITHOUT_FILE = "nights_without_file"


class Manifest(BaseModel):
    """What a generation is and what every file of it must be; written last and sealed by a hash of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int
    generation_id: str
    verdict: str
    as_of: date
    window_from: date
    first_on: date
    business_zone: str
    sources: tuple[str, ...]
    published_at: datetime
    config_hash: str
    versions: dict[str, str]
    checks: tuple[CheckResult, ...]
    files: dict[str, PublishedFile]
    extra: dict[str, Any] = {}

    def content_hashes(self) -> dict[str, str]:
        """Content hash by table of the marts and exports: equal dictionaries mean equal tables."""
        return {
            path.removesuffix(".parquet"): file.content_hash
            for path, file in sorted(self.files.items())
            if file.content_hash and path.removesuffix(".parquet") not in OWN_TABLES
        }


@dataclass(frozen=True)
class Generation:
    """A generation on disk."""

    path: Path
    manifest: Manifest
    is_current: bool

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def as_of(self) -> date:
        return self.manifest.as_of


# ---- publish ------------------------------------------------------------------------------------------------------------------------


def publish(
    home: Home,
    warehouse: duckdb.DuckDBPyConnection,
    *,
    tables: Sequence[PublishedTable],
    as_of: date,
    window_from: date,
    first_on: date,
    sources: Sequence[str],
    business_zone: str,
    checks: Sequence[CheckResult],
    config_hash: str,
    rulebook_json: str,
    docs: Sequence[TableDoc] = (),
    manifest_extra: Mapping[str, Any] | None = None,
    keep: int = KEEP_GENERATIONS,
) -> Generation:
    """Write the tables as a generation and make it current; nothing readers see changes before everything is on disk.

    The same content under the same clock and configuration is the same generation: it is made current again, not written twice.
    Whatever a killed publish left behind is removed first.

    Raises:
        GenerationError: a blocking check failed, there is no check at all, or a table cannot be published.
    """
    _refuse_unchecked(checks)
    _refuse_names(tables)
    home.make()
    _sweep(home)
    building = _generations(home) / f".building-{os.getpid()}"
    try:
        (building / EXPORTS).mkdir(parents=True)
        (building / EXPORTS).chmod(0o700)
        files, columns = write_tables(building, warehouse, tables)
        described = [
            *(dictionary.with_columns(_doc(docs, table.name), columns[table.name]) for table in tables if table.schema == MARTS),
            *OWN_TABLES.values(),
        ]
        files |= write_dictionary_table(building, described)
        body: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "verdict": "PASS",
            "as_of": as_of,
            "window_from": window_from,
            "first_on": first_on,
            "business_zone": business_zone,
            "sources": tuple(sources),
            "config_hash": config_hash,
            "versions": _versions(),
            "checks": tuple(checks),
        }
        generation_id = f"{as_of}-{_identity(body, files, rulebook_json, described)[:10]}"
        published_at = datetime.now(UTC).replace(microsecond=0)
        files |= write_own_tables(building, generation_id, published_at, body, files, described)
        files |= write_pages(building, generation_id, files, described, rulebook_json)
        manifest = Manifest(
            **body,
            generation_id=generation_id,
            published_at=published_at,
            files=files,
            extra=json.loads(json.dumps(dict(manifest_extra or {}), default=str)),
        )
        _write_manifest(building, manifest)
        for path in (building.parent, building, *(path for path in building.iterdir() if path.name != EXPORTS)):
            share(path)
        sync(building / EXPORTS, building)
        crash_point("publish:after_files")
        target = _place(building, _generations(home) / generation_id)
        crash_point("publish:after_rename")
        _make_current(home, target)
    except (duckdb.IOException, OSError) as error:
        raise GenerationError(
            f"The generation could not be written ({error}); the one published before stays. Mend the disk or the folder and run again."
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _retire(home, keep)
    return _read(target, is_current=True)


def _refuse_unchecked(checks: Sequence[CheckResult]) -> None:
    failed = [check.name for check in checks if check.verdict == "failed"]
    if failed:
        shown = ", ".join(failed[:5]) + (f" and {len(failed) - 5} more" if len(failed) > 5 else "")
        raise GenerationError(
            f"Nothing was published: {len(failed)} blocking check(s) failed ({shown}). The generation published before stays; "
            "mend the data or the rule and run the night again."
        )
    if not checks:
        raise GenerationError("Nothing was published: no check looked at this night. Run the gate and the dbt tests before publishing.")


def _refuse_names(tables: Sequence[PublishedTable]) -> None:
    names = [(table.schema, table.name) for table in tables]
    for schema, name in names:
        if schema not in (MARTS, EXPORTS):
            raise GenerationError(f"Table {schema}.{name} cannot be published: only schemas {MARTS} and {EXPORTS} are.")
        if name in OWN_TABLES or names.count((schema, name)) > 1:
            raise GenerationError(f"Table {schema}.{name} cannot be published: its name is taken. Rename the model.")


def _identity(body: Mapping[str, Any], files: Mapping[str, PublishedFile], rulebook_json: str, described: Sequence[TableDoc]) -> str:
    """Hash of what the generation is: not of when it was written, of how many nights were computed to get there, nor of which check ended first."""
    return digest(
        {
            **{key: value for key, value in body.items() if key != "window_from"},
            "checks": sorted((check.name, check.verdict) for check in body["checks"]),
            "content": {path: file.content_hash for path, file in files.items()},
            "rulebook": rulebook_json,
            "docs": [doc.as_dict() for doc in described],
        }
    )


def _write_manifest(directory: Path, manifest: Manifest) -> None:
    document = manifest.model_dump(mode="json")
    write_json(directory / MANIFEST, {**document, "seal": digest(document)})


def _place(building: Path, target: Path) -> Path:
    """Rename the finished directory into place; the same generation, if there, stays, and is mended if it does not verify."""
    if not target.exists():
        os.rename(building, target)
    else:
        try:
            verify(target)
        except GenerationError:
            _mend(building, target)
    sync(target, target.parent)
    return target


def _mend(building: Path, target: Path) -> None:
    """Replace file by file, manifest last: the id promises the same content, so no reader can see a mixture."""
    (target / EXPORTS).mkdir(mode=0o700, exist_ok=True)
    fresh = sorted((path for path in building.rglob("*") if path.is_file()), key=lambda path: (path.name == MANIFEST, path))
    for path in fresh:
        os.replace(path, target / path.relative_to(building))
    wanted = {path.relative_to(building) for path in fresh}
    for path in [path for path in target.rglob("*") if not path.is_dir() and path.relative_to(target) not in wanted]:
        path.unlink()


# ---- what readers see ---------------------------------------------------------------------------------------------------------------


def _make_current(home: Home, target: Path) -> None:
    """Swap the `current` link and the views: two renames, with everything that can fail before them."""
    outgoing = _linked(home)
    if outgoing is not None and outgoing.exists():
        os.utime(outgoing)  # a directory's time says when it was last current
    views = _write_views(home, target)
    link = home.published / ".current.part"
    link.unlink(missing_ok=True)
    link.symlink_to(target.relative_to(home.published))
    os.replace(link, home.published / "current")
    sync(home.published)
    crash_point("publish:after_symlink")
    _wal(_views(home)).unlink(missing_ok=True)
    os.replace(views, _views(home))
    sync(home.published)
    crash_point("publish:after_views")


def _write_views(home: Home, target: Path) -> Path:
    """Write the next userops.duckdb under a temporary name: one view per published table, pinned to this generation's directory.

    Pinned, because a view over `current/` shows two generations in one join when the link moves between two of its files.
    """
    part = home.published / f".{_views(home).name}.part"
    for leftover in (part, _wal(part)):
        leftover.unlink(missing_ok=True)
    with contextlib.closing(duckdb.connect()) as memory:
        tables = [(doc.name, doc.description, doc.label) for doc in OWN_TABLES.values()] + memory.execute(
            f"select table_name, description, label from {scan(target / 'published_tables.parquet')}"
        ).fetchall()
        columns = memory.execute(
            f"select table_name, column_name, description, label from {scan(target / 'data_dictionary.parquet')}"
        ).fetchall()
        memory.execute(f"attach {quoted(str(part))} as views (storage_version 'v1.0.0')")
        memory.execute("begin")
        for path in sorted(target.glob("*.parquet")):
            memory.execute(f"create view views.{identifier(path.stem)} as select * from {scan(path)}")
        for table, description, label in tables:
            memory.execute(f"comment on view views.{identifier(table)} is {quoted(_comment(description, label))}")
        for table, column, description, label in columns:
            memory.execute(f"comment on column views.{identifier(table)}.{identifier(column)} is {quoted(_comment(description, label))}")
        memory.execute("commit")
        memory.execute("detach views")
    part.chmod(0o400)  # opened for writing it would lock everybody else out
    share(part)
    sync(part)
    return part


def _sweep(home: Home) -> None:
    """Remove what a killed publish left behind."""
    for path in _leftovers(home):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _leftovers(home: Home) -> list[Path]:
    return sorted([*_generations(home).glob(".*"), *home.published.glob(".*.part*")])


def _retire(home: Home, keep: int) -> None:
    """Delete generations beyond the last `keep` that have not been current for KEEP_HOURS; never the current one."""
    newest_first = sorted(
        (path for path in _directories(home) if path != _linked(home)), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for path in newest_first[max(keep - 1, 0) :]:
        if time.time() - path.stat().st_mtime > KEEP_HOURS * 3600:
            retired = path.with_name(f".retired-{path.name}")
            os.rename(path, retired)
            shutil.rmtree(retired)


def remove_others(home: Home) -> int:
    """Delete every generation but the current one, and what killed publishes left, whatever their age; returns how many.

    Readers of an older one see what they had open to the end of their connection, as the system keeps a file that is open.
    """
    _sweep(home)
    others = [path for path in _directories(home) if path != _linked(home)]
    for path in others:
        retired = path.with_name(f".retired-{path.name}")
        os.rename(path, retired)
        shutil.rmtree(retired)
    return len(others)


# ---- reading, rolling back, examining -----------------------------------------------------------------------------------------------


def verify(directory: Path) -> Manifest:
    """The generation's manifest, after every file was compared with it.

    Raises:
        GenerationError: the manifest is missing, broken, of another version or not PASS, or a file is missing, added or changed.
    """
    manifest = _read_manifest(directory)
    present = {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()} - {MANIFEST}
    problems = [f"{name} is missing" for name in sorted(set(manifest.files) - present)]
    problems += [f"{name} does not belong to it" for name in sorted(present - set(manifest.files))]
    problems += [
        f"{name} has changed since it was published"
        for name in sorted(present & set(manifest.files))
        if (directory / name).stat().st_size != manifest.files[name].bytes or sha256_of(directory / name) != manifest.files[name].sha256
    ]
    if problems:
        raise GenerationError(f"Generation {directory.name} cannot be trusted: {'; '.join(problems)}. {_ANOTHER}")
    return manifest


def made_current_at(home: Home) -> datetime:
    """When the current generation was made so: published, found to be the same again, or activated."""
    return datetime.fromtimestamp((home.published / "current").lstat().st_mtime, UTC)


def current(home: Home) -> Generation | None:
    """The generation readers see; None before the first publish. Its files are not compared: `verify` does that.

    Raises:
        GenerationError: there should be one, but its directory or manifest is gone or broken.
    """
    target = _linked(home)
    if target is None:
        return None
    if not target.is_dir():
        raise GenerationError(f"The current generation {target.name} is gone from the disk. {_ANOTHER}")
    return _read(target, is_current=True)


def list_generations(home: Home) -> list[Generation]:
    """All generations with a readable manifest, newest first; `doctor` names the others."""
    found = []
    for path in _directories(home):
        with contextlib.suppress(GenerationError):
            found.append(_read(path, is_current=path == _linked(home)))
    return sorted(found, key=lambda generation: (generation.manifest.published_at, generation.id), reverse=True)


def activate(home: Home, generation_id: str) -> Generation:
    """Make an older or newer generation current after verifying it; also rewrites the views.

    Raises:
        GenerationError: there is no such generation, or it does not verify; what is current stays.
    """
    target = _generations(home) / generation_id
    if target not in _directories(home):
        known = ", ".join(generation.id for generation in list_generations(home)) or "none"
        raise GenerationError(f"There is no generation {generation_id!r}. Known generations: {known}.")
    verify(target)
    _make_current(home, target)
    return _read(target, is_current=True)


def doctor(home: Home) -> list[Finding]:
    """Everything wrong with what is published, each with how to mend it; empty when all is well."""
    findings: list[Finding] = []
    sound: list[str] = []
    linked = _linked(home)
    for path in sorted(_directories(home), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            verify(path)
            sound.append(path.name)
        except GenerationError as error:
            findings.append(Finding("error" if path == linked else "warn", str(error)))
    remedy = f"Run `userops generations activate {sound[0]}`." if sound else "Run the night again."
    if linked is None and _directories(home):
        findings.insert(0, Finding("error", f"No generation is current. {remedy}"))
    elif linked is not None and linked.name not in sound:
        findings.insert(0, Finding("error", f"The current generation {linked.name} is missing or cannot be trusted. {remedy}"))
    elif linked is not None:
        findings += _examine_views(home, linked)
    wal = _wal(_views(home))
    if wal.exists():
        findings.append(Finding("warn", f"{wal.name} lies beside {_views(home).name} and may keep it from opening. Delete it, or publish."))
    findings += [
        Finding("warn", f"{path.relative_to(home.published)} was left by a publish that was stopped. The next publish removes it.")
        for path in _leftovers(home)
    ]
    return findings


def _examine_views(home: Home, linked: Path) -> Iterator[Finding]:
    views = _views(home)
    try:
        with contextlib.closing(duckdb.connect(str(views), read_only=True)) as connection:
            shown = connection.execute("select generation_id from generation").fetchall()
    except duckdb.Error as error:
        yield Finding("error", f"{views.name} cannot be read ({type(error).__name__}). Run `userops generations activate {linked.name}`.")
        return
    if shown != [(linked.name,)]:
        yield Finding(
            "warn",
            f"{views.name} shows generation {shown[0][0] if shown else 'none'} while {linked.name} is current. "
            f"Run `userops generations activate {linked.name}`.",
        )


_ANOTHER = "Run `userops doctor` to see which generation to activate, or run the night again."


def _read_manifest(directory: Path) -> Manifest:
    """The manifest, after its seal, verdict, version and id were compared; the files are not looked at."""
    try:
        document = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        seal = document.pop("seal")
    except FileNotFoundError:
        raise GenerationError(f"Generation {directory.name} has no {MANIFEST}: it was never finished. {_ANOTHER}") from None
    except (ValueError, KeyError, AttributeError):
        raise GenerationError(f"Generation {directory.name} has an unreadable {MANIFEST}. {_ANOTHER}") from None
    if document.get("schema_version") != SCHEMA_VERSION:
        raise GenerationError(
            f"Generation {directory.name} has schema version {document.get('schema_version')}, and this version of userops reads "
            f"{SCHEMA_VERSION}. Read it with the version that wrote it, or run the night again."
        )
    if seal != digest(document):
        raise GenerationError(f"Generation {directory.name} has a {MANIFEST} that was changed after it was written. {_ANOTHER}")
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError:
        raise GenerationError(f"Generation {directory.name} has a {MANIFEST} of another shape. {_ANOTHER}") from None
    if manifest.verdict != "PASS":
        raise GenerationError(f"Generation {directory.name} has the verdict {manifest.verdict!r}, not PASS. {_ANOTHER}")
    if manifest.generation_id != directory.resolve().name:
        raise GenerationError(f"Generation {directory.name} says it is {manifest.generation_id}: it was copied or renamed. {_ANOTHER}")
    return manifest


def _read(directory: Path, *, is_current: bool) -> Generation:
    return Generation(directory, _read_manifest(directory), is_current)


# ---- names, files, hashes -----------------------------------------------------------------------------------------------------------


def _generations(home: Home) -> Path:
    return home.published / "generations"


def _directories(home: Home) -> list[Path]:
    return sorted(path for path in _generations(home).glob("[!.]*") if path.is_dir())


def _views(home: Home) -> Path:
    return home.published / "userops.duckdb"


def _wal(database: Path) -> Path:
    return database.with_name(database.name + ".wal")


def _linked(home: Home) -> Path | None:
    """Where `current` points, whether it is there or not."""
    link = home.published / "current"
    return home.published / os.readlink(link) if link.is_symlink() else None


def _doc(docs: Sequence[TableDoc], name: str) -> TableDoc:
    return next((doc for doc in docs if doc.name == name), TableDoc(name=name))


def _versions() -> dict[str, str]:
    def version(package: str) -> str:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return "unknown"

    return {"python": platform.python_version(), **{name: version(package) for name, package in VERSIONS_OF.items()}}


def _comment(description: str | None, label: str | None) -> str:
    return " · ".join(part for part in (label, description) if part)
