"""A source: a folder with source.yml and one SQL mapping per contract table it can fill.

Here lives how source.yml is typed, where its files are looked for, and the sentences said when it is wrong.
Add a key here when every source may need it; what a single source needs belongs in its own folder.
Must not read data: landing and conform do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import os
import re
import stat
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from userops_pipeline.ground import contract
from userops_pipeline.ground.home import PACKAGE_DIR, PROJECT_DIR, SHIPPED_DIR, UserOpsError, shop_folder

SOURCES_DIR = PACKAGE_DIR / "sources"
PLAIN_NAME = re.compile(r"[\w][\w.\- ]*")
# Names of what a sender is still writing, or has put aside: nothing of a shop's is in them, or it is there twice.
UNFINISHED = re.compile(
    r"\..*|.*(~|\.(tmp|temp|part|partial|filepart|crdownload|download|inprogress|swp|bak|backup|old|orig|save))(\.gz)?", re.I
)
KIND_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What conform's own tables are called where mappings read files by name.
TAKEN = frozenset(
    ("accounting", "again", "aside", "changed", "erased_records", "erased_values", "found", "judged", "kept", "kinds", "known", "mapped", "named",
     "night_hash", "nights", "profiles", "rates", "repeated", "stops", "verdicts", "winner")
)  # fmt: skip
LINEAGE = ("_file", "_row", "_night")  # what a record has beside its columns
LONGEST_NAME = 200  # bytes; what lies beside a landed file has a longer one, and 255 is what file systems take
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

# What stands in an id column where there is no id, in lower case; a source whose ids are among them states its own list.
NOTHING = (
    "null", "none", "nil", "nan", "na", "n/a", "#n/a", "undefined", "unknown", "(null)", "<null>", "(none)", "(not set)", "\\n", "-", "0",
    "[object object]", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
)  # fmt: skip


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, OSError):
        raise ValueError(f"{name!r} is not a time zone, such as Europe/Paris") from None
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Root(BaseModel):
    """Where a source's files lie: an installed Python package, a folder named by an environment variable, or a folder of the shop, or of
    the project where there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: str | None = None
    env: str | None = None
    path: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Root:
        if not (self.package or self.env or self.path):
            raise ValueError("root needs one of package, env or path")
        return self

    def folder(self) -> Path:
        """The folder, existing or not.

        Raises:
            UserOpsError: the package is not installed, or the variable is not set and no path is given.
        """
        if self.package:
            spec = importlib.util.find_spec(self.package)
            if spec is None or spec.origin is None:
                raise UserOpsError(f"The Python package {self.package!r} that holds the source's files is not installed; run `make setup`.")
            return Path(spec.origin).parent / (self.path or "")
        if self.env and os.environ.get(self.env):
            return Path(os.environ[self.env])
        if self.path:
            mine, ours = (shop_folder() or PROJECT_DIR) / self.path, SHIPPED_DIR / self.path  # the sample's files come with the engine
            return ours if ours.exists() and not mine.exists() else mine
        raise UserOpsError(f"The folder of the source's files is not known; set the environment variable {self.env}.")


class File(BaseModel):
    """One kind of file a source delivers. `{night}` in its path makes it a daily drop; without it the file is an archive of all nights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    columns: tuple[str, ...] = Field(min_length=1)
    format: Literal["csv", "jsonl", "parquet"] = "csv"
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    header: bool = True  # of a CSV; without one the columns are the declared ones in their order
    extra_columns: Literal["refuse", "keep"] = "refuse"
    sidecar: Literal["optional", "required"] = "optional"
    max_bytes: int = Field(default=16 << 30, gt=0)  # of one file, unpacked

    @model_validator(mode="after")
    def _inside_the_root(self) -> File:
        if Path(self.path).is_absolute() or ".." in Path(self.path).parts:
            raise ValueError(f"path {self.path!r} must stay inside the source's root")
        spelled = [name.lower() for name in self.columns]  # a name in SQL has no case
        twice = sorted({name for name in self.columns if spelled.count(name.lower()) > 1})
        if twice:
            raise ValueError(f"columns names {', '.join(twice)} twice" + ("" if len(twice) < 2 else ", in other case"))
        if taken := [name for name in self.columns if not name or name.lower() in LINEAGE]:
            raise ValueError(f"columns names {taken[0]!r}, which every record has of its own ({', '.join(LINEAGE)}) or is no name")
        meaningless = {"csv": (), "jsonl": ("delimiter", "header"), "parquet": ("delimiter", "header", "encoding")}[self.format]
        for name in meaningless:
            if name in self.model_fields_set:
                raise ValueError(f"{name} says nothing about a {self.format} file; leave it out")
        if not self.header and self.extra_columns == "keep":
            raise ValueError("extra_columns: keep says nothing about a file without a header; declare every column")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"encoding {self.encoding!r} is not known, such as utf-8 or gb18030") from None
        return self

    @property
    def daily(self) -> bool:
        return "{night}" in self.path


class Mapping(BaseModel):
    """How a contract table is filled by `<table>.sql`.

    `each` names the file every record of which must become exactly one row. `known_keys: skip` is for tables a mapping can only derive
    from the night's facts (products from lines): what an earlier night brought stays, and a row of a known key counts as a duplicate.
    `keeps_first` names columns that stay as an earlier night brought them while the others follow the newest (of users: registered_at).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    each: str | None = None
    exact_duplicates: Literal["drop", "keep"] = "drop"
    known_keys: Literal["update", "skip"] = "update"
    keeps_first: tuple[str, ...] = ()


class Rate(BaseModel):
    """What one unit of a currency is worth in the source's own, from a day on until the next rate of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    from_on: date
    rate: Decimal = Field(gt=0, max_digits=18, decimal_places=8)


class Quiet(BaseModel):
    """Nights on which no file is expected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weekdays: tuple[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], ...] = ()
    dates: tuple[date, ...] = ()


class Gate(BaseModel):
    """How much a source's raw data may deviate before the night is held."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    orphan_share: Share = 0.01
    quarantine_share: Share = 0.02
    volume: tuple[Ratio, Ratio] = (0.2, 5.0)
    fresh_days: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Gate:
        low, high = self.volume
        if not low < 1 < high:
            raise ValueError(f"volume [{low:g}, {high:g}] holds every usual night; the first must lie below 1 and the second above it")
        return self


class Source(BaseModel):
    """A source as source.yml states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    about: str
    business_zone: Zone
    zone: Zone
    root: Root
    nothing: tuple[str, ...] = NOTHING
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    rates: tuple[Rate, ...] = ()
    phone_prefix: str | None = Field(default=None, pattern=r"^\+[1-9][0-9]{0,3}$")
    first_night: date
    last_night: date | None = None
    files: dict[str, File]
    tables: dict[str, Mapping]
    quiet: Quiet = Quiet()
    gate: Gate = Gate()
    folder: Path

    @model_validator(mode="after")
    def _rates_of_other_currencies(self) -> Source:
        if self.rates and self.currency is None:
            raise ValueError("rates are worth nothing without the currency they lead to; state currency")
        days = [(rate.currency, rate.from_on) for rate in self.rates]
        if any(rate.currency == self.currency for rate in self.rates) or len(set(days)) < len(days):
            raise ValueError("rates must be of other currencies than the source's, one per currency and day")
        return self

    @field_validator("files")
    @classmethod
    def _names_to_read_by(cls, files: dict[str, File]) -> dict[str, File]:
        for name in files:
            if not KIND_NAME.fullmatch(name):
                raise ValueError(f"{name[:80]!r} is no name that a mapping can read; use letters, digits and _")
            if name.lower() in TAKEN:
                raise ValueError(f"{name} is the name of a table of ours; call the file otherwise")
            if [other.lower() for other in files].count(name.lower()) > 1:
                raise ValueError(f"{name} stands twice, in other case; a name in SQL has no case")
        return files

    @field_validator("nothing")
    @classmethod
    def _lower_case(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(word.strip().lower() for word in words)

    @model_validator(mode="after")
    def _nights_in_order(self) -> Source:
        if self.last_night is not None and self.last_night < self.first_night:
            raise ValueError(f"last_night {self.last_night} lies before first_night {self.first_night}")
        return self

    def mapping_sql(self, table: str) -> str:
        """The text of a table's mapping.

        Raises:
            UserOpsError: it is not UTF-8.
        """
        try:
            return (self.folder / f"{table}.sql").read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UserOpsError(f"{self.name}/{table}.sql is not UTF-8; save it as UTF-8.") from None

    def is_quiet(self, night: date) -> bool:
        """True when nobody expects a file of this night."""
        return WEEKDAYS[night.weekday()] in self.quiet.weekdays or night in self.quiet.dates

    def night_before(self, night: date) -> date:
        return night - timedelta(days=1)

    def files_of(self, file: File, night: date) -> list[Path]:
        """Files of one kind for one night (for an archive: the archive), in name order; links and odd names are refused.

        Those that are still being written, or put aside, are none (`unfinished_of`), unless the kind's path asks for such names.

        Raises:
            UserOpsError: the root is missing, or a match is not a plain file.
        """
        found = self._matches(file, night)
        for number, path in enumerate(found, start=1):
            if _is_unfinished(path, file):
                continue
            wrong = _wrong_with(path, self.root.folder())
            if wrong:
                # The name is somebody else's to choose, so it is told only where it is a plain one.
                which = path.name if PLAIN_NAME.fullmatch(path.name) else f"the {number}. file in the order of names that {file.path} finds"
                raise UserOpsError(f"Source {self.name}: {which[:80]} is not a plain file with a plain name: {wrong}.")
        return [path for path in found if path.suffix != ".sha256" and not _is_unfinished(path, file)]

    def unfinished_of(self, file: File, night: date) -> list[Path]:
        """What lies where one kind's files of a night are looked for, but is still being written, or put aside, by its name."""
        return [path for path in self._matches(file, night) if _is_unfinished(path, file)]

    def drops(self) -> Path:
        """The folder that the source's files are looked for in.

        Raises:
            UserOpsError: it is not known, or does not exist.
        """
        root = self.root.folder()
        if not root.is_dir():
            how = f"set {self.root.env} to the folder" if self.root.env else "put the files there"
            raise UserOpsError(f"Source {self.name}: its folder of files does not exist; {how}.")
        return root

    def _matches(self, file: File, night: date) -> list[Path]:
        return sorted(self.drops().glob(file.path.replace("{night}", night.isoformat())))

    def config_hash(self) -> str:
        """Changes when source.yml or a mapping changes."""
        digest = hashlib.sha256()
        for path in sorted([self.folder / "source.yml", *self.folder.glob("*.sql")]):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()[:16]


def _is_unfinished(path: Path, file: File) -> bool:
    return bool(UNFINISHED.fullmatch(path.name)) and not UNFINISHED.fullmatch(Path(file.path).name)


def _wrong_with(path: Path, root: Path) -> str | None:
    """Why a file of a drop is not taken: nothing but plain files in plain folders is, so that a drop cannot show what lies elsewhere."""
    way = [path, *itertools.takewhile(lambda folder: folder != root, path.parents)]
    if any(place.is_symlink() for place in way):
        return "it is a link, or lies in a folder that is one; put the file itself there"
    if not stat.S_ISREG(path.lstat().st_mode):
        return "it is a folder, a pipe or a device; remove it"
    if not PLAIN_NAME.fullmatch(path.name):
        return "its name has other characters than letters, digits, spaces and . - _; rename it"
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        return f"its name is longer than {LONGEST_NAME} bytes; rename it"
    return None


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML without duplicate keys: the second of two equal keys would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def load_source(name_or_folder: str) -> Source:
    """The source of that name under sources/, or of that folder.

    Raises:
        UserOpsError: no such source, or source.yml is wrong; the sentence names file, key and mistake.
    """
    folder = Path(name_or_folder) if "/" in name_or_folder else SOURCES_DIR / name_or_folder
    file = folder / "source.yml"
    if not file.is_file():
        known = ", ".join(sorted(path.parent.name for path in SOURCES_DIR.glob("*/source.yml")))
        raise UserOpsError(f"There is no source {name_or_folder!r}: {folder.name}/source.yml is missing. Known sources: {known}.")
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506 - a SafeLoader
        if not isinstance(document, dict):
            raise UserOpsError(f"{folder.name}/source.yml must be keys with values; see README.md of another source.")
        source = Source(**{"name": folder.name, **document, "folder": folder.resolve()})
    except UnicodeDecodeError:
        raise UserOpsError(f"{folder.name}/source.yml is not UTF-8; save it as UTF-8.") from None
    except yaml.YAMLError as error:
        raise UserOpsError(f"{folder.name}/source.yml is not readable YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserOpsError(f"{folder.name}/source.yml: {place}: {first['msg']}.") from None
    for table, mapping in source.tables.items():
        if table not in contract.tables():
            raise UserOpsError(f"{source.name}/source.yml: tables.{table} is not a table of the contract: {', '.join(contract.tables())}.")
        if not (source.folder / f"{table}.sql").is_file():
            raise UserOpsError(f"{source.name}/source.yml names the table {table}, but {source.name}/{table}.sql is missing.")
        names = {column.name for column in contract.tables()[table].columns} - set(contract.tables()[table].key)
        if unknown := [name for name in mapping.keeps_first if name not in names]:
            raise UserOpsError(f"{source.name}/source.yml: tables.{table}.keeps_first names no column to keep: {unknown[0]!r}.")
        if mapping.each is not None and mapping.each not in source.files:
            raise UserOpsError(f"{source.name}/source.yml: tables.{table}.each names no file of this source: {mapping.each!r}.")
        if mapping.known_keys == "skip" and table in ("consents", "suppressions", "touches"):
            raise UserOpsError(
                f"{source.name}/source.yml: tables.{table}.known_keys: skip would leave out who withdraws under a known key; "
                "remove it, a newer version counts by itself."
            )
    for path in source.folder.glob("*.sql"):
        if path.stem not in source.tables:
            raise UserOpsError(f"{source.name}/{path.name} is not listed under tables in source.yml; list it or remove it.")
    return source
