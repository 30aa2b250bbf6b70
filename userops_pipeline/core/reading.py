"""Reading: from a delivered file to records whose every value is text, or a refusal in one sentence.

Here lives what makes a file trustworthy before a record of it is used: encoding, line ends, header, whole last record.
Add a format here with its proof that nothing was dropped or guessed; must not type values (conform does) nor copy files (landing does).
"""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import IO

import duckdb

from userops_pipeline.core.home import UserOpsError, sha256_of
from userops_pipeline.core.source import File

BLOCK = 1 << 20
MAX_RECORD = 8 << 20  # bytes of one CSV record or JSON line; a longer one is refused, so memory stays bounded


class FileRefused(UserOpsError):
    """A whole file that cannot be trusted; the sentence says why and how to mend it."""


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def date_literal(day: date | None) -> str:
    """A SQL date; null for none."""
    return "cast(null as date)" if day is None else f"date '{day.isoformat()}'"


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")  # type: ignore[return-value]


def check_sidecar(path: Path, file: File) -> None:
    """Compare a file with its `<name>.sha256` (as `sha256sum` writes it), the only witness of a file cut inside its last value."""
    sidecar = path.with_name(path.name + ".sha256")
    if not sidecar.is_file():
        if file.sidecar == "required":
            raise FileRefused(f"{path.name}: its {sidecar.name} is missing; wait for the sender to finish, or ask for it.")
        return
    stated = sidecar.read_text(encoding="ascii", errors="replace").split()[:1]
    if stated != [sha256_of(path)]:
        raise FileRefused(f"{path.name}: its content is not what {sidecar.name} states; it was cut or changed on the way, send it again.")


class Reading:
    """One file made ready: `select` is a query giving its records as text with their number, `rows` how many there are.

    A file that is not plain UTF-8 with regular line ends is read through a normalised working copy, deleted with this object.
    """

    def __init__(self, path: Path, file: File, label: str, connection: duckdb.DuckDBPyConnection) -> None:
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._file = file
        self._connection = connection
        self.notices: list[str] = []
        if path.stat().st_size == 0:
            raise FileRefused(f"{path.name}: the file is empty (0 bytes); send it again, with at least its header.")
        try:
            self.select, self.rows = {"csv": self._csv, "jsonl": self._jsonl, "parquet": self._parquet}[file.format](path, label)
        except FileRefused:
            self.close()
            raise

    def close(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()

    def _working_copy(self, name: str) -> Path:
        self._scratch = tempfile.TemporaryDirectory(prefix="userops-reading-")
        return Path(self._scratch.name) / name

    # -- text ------------------------------------------------------------------------------------------------------

    def _text(self, path: Path) -> Iterator[str]:
        """The file's text in blocks, decoded strictly, without a byte order mark."""
        decoder = codecs.getincrementaldecoder(self._file.encoding)(errors="strict")
        lines, begun = 1, False
        try:
            with _open(path) as handle:
                while block := handle.read(BLOCK):
                    text = decoder.decode(block)
                    text, begun = text if begun else text.removeprefix("\ufeff"), begun or bool(text)
                    lines += text.count("\n")
                    yield text
                yield decoder.decode(b"", final=True)
        except UnicodeError as error:
            good = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
            line = lines + bytes(good).count(b"\n")
            raise FileRefused(
                f"{path.name}: it is not {self._file.encoding} (first wrong byte near line {line}); "
                "declare its true encoding in source.yml or ask the sender for one encoding throughout."
            ) from None
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            raise FileRefused(f"{path.name}: it cannot be unpacked ({type(error).__name__}); send it again.") from None

    def _check_header(self, path: Path, header: list[str]) -> None:
        declared = list(self._file.columns)
        doubled = sorted({name for name in header if header.count(name) > 1})
        missing = [name for name in declared if name not in header]
        extra = [name for name in header if name not in declared]
        if doubled:
            raise FileRefused(f"{path.name}: the header names {', '.join(doubled)} twice; give every column one name.")
        if missing:
            hint = ""
            if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
                hint = " It looks separated by another character than source.yml declares (delimiter)."
            raise FileRefused(f"{path.name}: the column {', '.join(missing)} is missing or spelled otherwise in the header.{hint}")
        if extra and self._file.extra_columns == "refuse":
            raise FileRefused(
                f"{path.name}: there are columns source.yml does not declare: {', '.join(name[:40] for name in extra[:5])}; "
                "declare them, or set extra_columns: keep."
            )
        if extra:
            self.notices.append(f"{path.name}: {len(extra)} undeclared columns stay in landing only")

    # -- formats ---------------------------------------------------------------------------------------------------

    def _csv(self, path: Path, label: str) -> tuple[str, int]:
        quotes, crlf, lf, cr, first, nul = 0, 0, 0, 0, "", False
        held = ""
        for text in self._text(path):
            if len(first) < MAX_RECORD:
                first += text
            joined = held + text
            held = "\r" if joined.endswith("\r") else ""
            joined = joined[: len(joined) - len(held)]
            pairs = joined.count("\r\n")
            crlf, lf, cr = crlf + pairs, lf + joined.count("\n") - pairs, cr + joined.count("\r") - pairs
            quotes += text.count('"')
            nul = nul or "\0" in text
        cr += len(held)
        if nul:
            raise FileRefused(f"{path.name}: it holds NUL bytes; it was damaged, or its encoding is not {self._file.encoding}.")
        if quotes % 2:
            raise FileRefused(f"{path.name}: a quote is opened and never closed, so records cannot be told apart; send it again.")
        try:
            header = next(csv.reader(iter(first[:MAX_RECORD].splitlines(keepends=True)), delimiter=self._file.delimiter, strict=True), [])
        except csv.Error as error:
            raise FileRefused(f"{path.name}: its header cannot be read ({error}).") from None
        self._check_header(path, header)
        plain_encoding = self._file.encoding.lower().replace("_", "-") in ("utf-8", "utf8") and not _has_bom(path)
        # DuckDB drops what follows a quote that a stray one inside a value hides from the count above; the csv module tells.
        regular = quotes == 0 and cr == 0 and (crlf == 0 or lf == 0)
        readable = path if plain_encoding and regular else self._normalised(path)
        columns = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in header)
        compression = "gzip" if readable.suffix == ".gz" else "none"
        scan = (
            f"read_csv({quoted(str(readable))}, auto_detect=false, header=true, columns={{{columns}}}, delim={quoted(self._file.delimiter)}, "
            f"quote='\"', escape='\"', strict_mode=true, null_padding=false, ignore_errors=false, parallel=false, "
            f"max_line_size={MAX_RECORD}, compression={quoted(compression)}, nullstr='')"
        )
        names = ", ".join(identifier(name) for name in self._file.columns)
        select = f"select {names}, {quoted(label)} as _file, row_number() over () as _row from {scan}"
        return select, self._count(path, scan)

    def _normalised(self, path: Path) -> Path:
        """A UTF-8 copy with one kind of line end and every value quoted; the csv module tells ends of records from line breaks inside quotes."""
        copy = self._working_copy("normalised.csv")
        pieces = _lines(path.name, self._text(path))
        csv.field_size_limit(MAX_RECORD)
        with open(copy, "w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, delimiter=self._file.delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
            try:
                for record in csv.reader(pieces, delimiter=self._file.delimiter, strict=True):
                    if record:
                        writer.writerow(record)
            except csv.Error as error:
                reason = "a record is longer than 8 MiB" if "field limit" in str(error) else f"it is not well-formed CSV ({error})"
                raise FileRefused(f"{path.name}: {reason}; send it again.") from None
        return copy

    def _jsonl(self, path: Path, label: str) -> tuple[str, int]:
        for _ in self._text(path):
            pass
        readable = path
        if self._file.encoding.lower().replace("_", "-") not in ("utf-8", "utf8") or _has_bom(path):
            readable = self._working_copy("normalised.jsonl")
            with open(readable, "w", encoding="utf-8", newline="") as handle:
                handle.writelines(self._text(path))
        compression = "gzip" if readable.suffix == ".gz" else "uncompressed"
        scan = (
            f"read_ndjson_objects({quoted(str(readable))}, maximum_object_size={MAX_RECORD}, ignore_errors=false, "
            f"compression={quoted(compression)})"
        )
        rows = self._count(path, scan)
        try:
            kinds = self._connection.execute(f"select distinct json_type(json) from {scan}").fetchall()
            keys = self._connection.execute(f"select distinct unnest(json_keys(json)) as k from {scan} order by k").fetchall()
        except duckdb.Error as error:
            raise FileRefused(_malformed(path, error)) from None
        if any(kind != "OBJECT" for (kind,) in kinds):
            raise FileRefused(f"{path.name}: every line must be one JSON object.")
        if rows:
            self._check_header(path, [key for (key,) in keys])
        names = ", ".join(f"json ->> {quoted('$.' + identifier(name))} as {identifier(name)}" for name in self._file.columns)
        return f"select {names}, {quoted(label)} as _file, row_number() over () as _row from {scan}", rows

    def _parquet(self, path: Path, label: str) -> tuple[str, int]:
        scan = f"read_parquet({quoted(str(path))}, file_row_number=true)"
        try:
            described = self._connection.execute(f"describe select * from {scan}").fetchall()
        except duckdb.Error as error:
            raise FileRefused(_malformed(path, error)) from None
        types = {row[0]: str(row[1]) for row in described if row[0] != "file_row_number"}
        self._check_header(path, list(types))
        names = ", ".join(f"{_parquet_text(name, types[name])} as {identifier(name)}" for name in self._file.columns)
        return f"select {names}, {quoted(label)} as _file, file_row_number + 1 as _row from {scan}", self._count(path, scan)

    def _count(self, path: Path, scan: str) -> int:
        """Records of the file, each parsed to its end, so that a file cut inside a record is refused here and not half loaded later."""
        try:
            row = self._connection.execute(f"select count(*) from (select columns(*) from {scan})").fetchone()
        except duckdb.Error as error:
            raise FileRefused(_malformed(path, error)) from None
        assert row is not None
        return int(row[0])


def _has_bom(path: Path) -> bool:
    with _open(path) as handle:
        return handle.read(3) == codecs.BOM_UTF8


def _lines(name: str, blocks: Iterator[str]) -> Iterator[str]:
    """Blocks of a file's text as lines with their own ends (CR, LF or CRLF), never cutting a CRLF in two."""
    rest = ""
    for block in blocks:
        rest += block
        if len(rest) > MAX_RECORD * 2:
            raise FileRefused(f"{name}: a record is longer than 8 MiB; the file was refused.")
        lines = rest.splitlines(keepends=True) if not any(mark in rest for mark in "\v\f\x1c\x1d\x1e\x85\u2028\u2029") else _split(rest)
        rest = (lines.pop() if lines else "") if block else ""
        yield from lines


def _split(text: str) -> list[str]:
    """str.splitlines that knows CR, LF and CRLF only: a value may hold Unicode's other line separators."""
    lines, start = [], 0
    position = 0
    while position < len(text):
        if text[position] in "\r\n":
            position += 2 if text[position : position + 2] == "\r\n" else 1
            lines.append(text[start:position])
            start = position
        else:
            position += 1
    if start < len(text):
        lines.append(text[start:])
    return lines


def _parquet_text(name: str, sql_type: str) -> str:
    """A Parquet column as text: floats without exponent or binary noise, timestamps in ISO 8601."""
    column = identifier(name)
    if sql_type in ("DOUBLE", "FLOAT"):
        return f"coalesce(cast(try_cast({column} as decimal(38, 10)) as varchar), cast({column} as varchar))"
    return f"cast({column} as varchar)"


def _malformed(path: Path, error: duckdb.Error) -> str:
    """The parser's complaint without the values it quotes."""
    text = str(error)
    line = re.search(r"\bline:? (\d+)", text, re.IGNORECASE)
    known = {
        "Maximum line size": "a record is longer than 8 MiB",
        "Expected Number of Columns": "a record has another number of values than the header",
        "unterminated quote": "a quote is opened and never closed",
        "JSON": "a line is not a JSON object",
        "arquet": "it is not a whole Parquet file",
    }
    reason = next((sentence for mark, sentence in known.items() if mark in text), f"it is malformed ({type(error).__name__})")
    place = f" near line {line[1]}" if line else ""
    return f"{path.name}: {reason}{place}; it was cut or damaged, send it again."
