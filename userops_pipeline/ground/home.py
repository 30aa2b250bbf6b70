"""The home: the one folder that holds everything a shop's pipeline writes, and the atomic ways to write there.

Here live the names of the home's folders, who may enter them, the writer's lock, scratch, and the write-then-rename helpers of every room.
Add a folder here when a new kind of data needs a place; must not hold what is inside the folders or how it is made.

    USEROPS_SHARE_PUBLISHED=group | everyone    others on this machine may read the published tables and pages; nothing else of the home
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

PACKAGE_DIR = Path(__file__).resolve().parents[1]
# A checkout has what the product reads beside the package, an installed wheel inside it (setup.py puts it there).
IS_CHECKOUT = (PACKAGE_DIR.parent / "pyproject.toml").is_file()
SHIPPED_DIR = PACKAGE_DIR.parent if IS_CHECKOUT else PACKAGE_DIR
DBT_PROJECT_DIR, WORKSPACE = SHIPPED_DIR / "dbt_project", SHIPPED_DIR / "workspace.yaml"
# Where relative places of data are looked for: a checkout's data lie in it, an installed engine's where it is called.
PROJECT_DIR = PACKAGE_DIR.parent if IS_CHECKOUT else Path.cwd()


SHOP_FILE = "shop.yml"
TEMPLATES_DIR = PACKAGE_DIR / "templates"
# Bits beside the owner's on a published file, by what USEROPS_SHARE_PUBLISHED says.
SHARED_BITS = {"": 0, "group": 0o040, "everyone": 0o044}
# What the machine says, and what a person is told.
_STAYS = "What was published before stays as it was; nothing half-written is used."
MACHINE_FAULTS = {
    r"no space left|disk is full|disk quota|file too large|not enough space|max_temp_directory_size": "The disk is full, or holds no more "
    f"for this user. {_STAYS} Free space and run again.",
    r"read-only file system|readonly database": f"The disk can only be read. {_STAYS} Make it writable and run again.",
    r"permission denied": f"A file or folder of the home belongs to another user. {_STAYS} Run as its owner, or give the home to this user.",
    r"too many open files": f"There are too many open files. {_STAYS} Raise the limit (ulimit -n) and run again.",
    r"OutOfMemory|MemoryError|failed to allocate": f"There is not enough memory. {_STAYS} Give the machine more, or run fewer nights at once.",
    r"RecursionError": f"A document is nested deeper than any is. {_STAYS} Look for the file or rule that was changed last.",
}
_SPILLS = itertools.count()  # two databases of one process must not spill into one folder


def keep_private() -> None:
    """What this process and those it starts write from now on is the owner's alone; every entry says this before its first file."""
    os.umask(0o077)


class UserOpsError(Exception):
    """A fault told in one sentence: what, where and how to mend it; the CLI prints it without a traceback."""


def fault_of_machine(error: BaseException | str) -> str | None:
    """What the machine could not do, behind an error or in its text, in one sentence; None where it is none of the machine's."""
    texts = [error] if isinstance(error, str) else []
    while isinstance(error, BaseException):
        texts.append(f"{type(error).__name__} {getattr(error, 'errno', '')} {error}")
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    for pattern, sentence in MACHINE_FAULTS.items():
        if any(re.search(pattern, text, re.IGNORECASE) for text in texts):
            return sentence
    return None


def shop_folder() -> Path | None:
    """The folder of the shop: `USEROPS_SHOP`, else the nearest one upwards that has a shop.yml, as git finds its own; None where there is none.

    Raises:
        UserOpsError: USEROPS_SHOP names a folder without a shop.yml.
    """
    if named := os.environ.get("USEROPS_SHOP"):
        if not (Path(named) / SHOP_FILE).is_file():
            raise UserOpsError(
                f"USEROPS_SHOP is {named!r}, where there is no {SHOP_FILE}; name the folder of a shop, or make one: `userops init`."
            )
        return Path(named).resolve()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / SHOP_FILE).is_file()), None)


@dataclass(frozen=True)
class Home:
    """Folders of one shop's data; nothing is created until it is written."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """`USEROPS_HOME`; else `.userops/` of the shop around; else `data/` of the project."""
        shop = shop_folder()
        return cls(Path(os.environ.get("USEROPS_HOME") or (shop / ".userops" if shop else PROJECT_DIR / "data")).resolve())

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
    def profiles(self) -> Path:
        """What each column of a night looked like, in counts and shares."""
        return self.root / "lake" / "profiles"

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
    def project(self) -> Path:
        """The dbt project as this shop builds it: the engine's models, what Python made of the rules, and the shop's own models."""
        return self.root / "warehouse" / "project"

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

    def make(self) -> None:
        """Create the home for its owner alone, and close what an earlier version left open.

        A root that was there before keeps its mode, for it may hold other things too; the folders in it are ours.

        Raises:
            UserOpsError: USEROPS_SHARE_PUBLISHED has no such value.
        """
        shared = _shared_bits()
        for folder in reversed([folder for folder in (self.root, *self.root.parents) if not folder.exists()]):
            folder.mkdir(exist_ok=True)
            if folder == self.root:
                folder.chmod(0o700 | shared >> 2)  # to be passed through, not to be looked into
        open_ones = (self.published, self.published / "reviews")
        for folder in (self.root / "lake", self.warehouse.parent, self.exports, self.dagster, self.runs, *open_ones):
            with contextlib.suppress(OSError):  # missing, or another user's: then its owner says who enters
                bits = shared | shared >> 2 if folder in open_ones else 0
                if stat.S_IMODE(folder.stat().st_mode) != 0o700 | bits:
                    folder.chmod(0o700 | bits)

    def spill(self) -> dict[str, str | bool | int | float | list[str]]:
        """For `duckdb.connect(config=…)` in memory: what does not fit spills into the home, not into the folder the process stands in."""
        return {"temp_directory": str(self.root / "lake" / f".spill-{os.getpid()}-{next(_SPILLS)}")}

    @contextlib.contextmanager
    def scratch(self, purpose: str) -> Iterator[Path]:
        """A private folder beside the lake's own, gone when this ends, or when the next writer begins if the process died in between."""
        lake = self.root / "lake"
        self.make()
        lake.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{purpose}-{os.getpid()}-", dir=lake) as folder:
            yield Path(folder)

    def sweep(self) -> None:
        """Remove what processes that died left half done: scratch, spilled rows, files that were never renamed into place."""
        lake, warehouse = self.root / "lake", self.warehouse.parent
        for folder in (*lake.glob(".*-*-*"), *warehouse.glob(f".{self.data_docs.name}.*"), *warehouse.glob("*.tmp")):
            if not _is_alive(folder.name):
                shutil.rmtree(folder, ignore_errors=True)
        for root in (lake, warehouse, self.exports, self.published / "reviews"):
            for folder, _, names in os.walk(root):
                for name in names:
                    if name.startswith(".") and ".part" in name and not _is_alive(name):
                        Path(folder, name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def writer_lock(self, purpose: str) -> Iterator[None]:
        """Hold the home's single writer's place; the kernel frees it when the process ends, however it ends.

        Raises:
            UserOpsError: another process holds it.
        """
        self.make()
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
                self.sweep()
                yield
            finally:
                handle.truncate(0)


def _shared_bits() -> int:
    said = os.environ.get("USEROPS_SHARE_PUBLISHED", "")
    if said not in SHARED_BITS:
        raise UserOpsError(f"USEROPS_SHARE_PUBLISHED is {said[:20]!r}; it is `group`, `everyone`, or not set where nobody else reads.")
    return SHARED_BITS[said]


def share(path: Path) -> None:
    """Let those whom USEROPS_SHARE_PUBLISHED names read a published file, or enter a published folder; without it, nobody."""
    bits = _shared_bits()
    if path.is_dir():
        path.chmod(0o700 | bits | bits >> 2)
    else:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700 | bits)


def _is_alive(name: str) -> bool:
    """Whether another process, whose id stands in the name, may still be at work on it."""
    found = re.search(r"^\.[a-z_]+[-.](\d+)(-|$)|\.(\d+)\.part", name)
    process = int(found[1] or found[3]) if found else 0
    if process in (0, os.getpid()):
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
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
