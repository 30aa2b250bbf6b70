"""The home: the one folder that holds everything a shop's pipeline writes, and the atomic ways to write there.

Here live the names of the home's folders, the writer's lock and the write-then-rename helpers every other room uses.
Add a folder here when a new kind of data needs a place; must not hold what is inside the folders or how it is made.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

PROJECT_DIR = Path(__file__).resolve().parents[2]
PACKAGE_DIR = PROJECT_DIR / "userops_pipeline"
DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"


class UserOpsError(Exception):
    """A fault told in one sentence: what, where and how to mend it; the CLI prints it without a traceback."""


@dataclass(frozen=True)
class Home:
    """Folders of one shop's data; nothing is created until it is written."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """`USEROPS_HOME`, or `data/` of the project."""
        return cls(Path(os.environ.get("USEROPS_HOME") or PROJECT_DIR / "data").resolve())

    @property
    def landing(self) -> Path:
        return self.root / "lake" / "landing"

    @property
    def refused(self) -> Path:
        return self.root / "lake" / "refused"

    @property
    def raw(self) -> Path:
        return self.root / "lake" / "raw"

    @property
    def nights(self) -> Path:
        return self.root / "lake" / "nights"

    @property
    def quarantine(self) -> Path:
        return self.root / "lake" / "quarantine"

    @property
    def accounting(self) -> Path:
        return self.root / "lake" / "accounting"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse" / "userops.duckdb"

    @property
    def scored(self) -> Path:
        """What was checked of the scores; there is none from the beginning of a build until its scores are written."""
        return self.root / "warehouse" / "score.json"

    @property
    def dbt_target(self) -> Path:
        return self.root / "warehouse" / "dbt"

    @property
    def spark(self) -> Path:
        return self.root / "warehouse" / "spark"

    @property
    def data_docs(self) -> Path:
        return self.root / "warehouse" / "data_docs"

    @property
    def published(self) -> Path:
        return self.root / "published"

    def review_of(self, night: date) -> Path:
        """The page that shows a published night to people."""
        return self.published / "reviews" / f"{night}.html"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def erasures(self) -> Path:
        """What is left of erased people: a key, keyed hashes and one journal per erasure; outside the lake, and never the person."""
        return self.root / "erasures"

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def runs(self) -> Path:
        """One file per run: its nights and how it ended."""
        return self.root / "runs"

    def is_being_written(self) -> bool:
        """Whether a process holds the writer's place now."""
        try:
            with open(self.root / ".writer.lock", encoding="utf-8") as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @contextlib.contextmanager
    def writer_lock(self, purpose: str) -> Iterator[None]:
        """Hold the home's single writer's place; the kernel frees it when the process ends, however it ends.

        Raises:
            UserOpsError: another process holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / ".writer.lock", "a+", encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read().strip() or "another process"
                raise UserOpsError(
                    f"The home {self.root.name!r} is being written by {holder}; nothing was started. Try again when it has ended."
                ) from None
            handle.truncate(0)
            handle.write(f"{purpose} (process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC)")
            handle.flush()
            try:
                yield
            finally:
                handle.truncate(0)


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write `content` under a temporary name beside `path`, sync it, and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document atomically, with stable key order so that equal content gives equal bytes."""
    write_atomically(path, (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True, default=str) + "\n").encode())


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
