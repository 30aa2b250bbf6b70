"""Reading: from a delivered file to records whose every value is text, or a refusal in one sentence.

Here lives what makes a file trustworthy before a record of it is used: encoding, line ends, header, whole last record.
Add a format here with its proof that nothing was dropped or guessed; must not type values (conform does) nor copy files (landing does).
"""

from __future__ import annotations

import codecs
import csv
import gzip
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import duckdb

from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.ground.sql import identifier, quoted
from userops_pipeline.intake.source import File

BLOCK = 1 << 20
# What a file may hold, so that memory and time stay bounded whatever is sent; how large it may be in all, its source.yml says (max_bytes).
MAX_RECORD = 8 << 20  # characters of one CSV record, JSON line or Parquet value
MAX_HEADER = 1 << 20  # characters of a header: its names
MAX_COLUMNS = 2_000
MAX_RATIO = 250  # times its own size that a packed file may unpack to; text packs 5 to 50 times smaller, a bomb 1,000 times
RATIO_FROM = 64 << 20  # bytes from which that is asked: a small file may repeat itself

MAX_SIDECAR = 4096
_COPIES = itertools.count()

_BREAK = re.compile(r"\r\n|\r|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
# A name of a header that can be told: no address, number or sentence of somebody's is written like this.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


class FileRefused(UserOpsError):
    """A whole file that cannot be trusted; the sentence says why and how to mend it."""


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")  # type: ignore[return-value]


def check_sidecar(path: Path, file: File, digest: str) -> None:
    """Compare a file's digest with its `<name>.sha256` (as `sha256sum` writes it), the only witness of a file cut inside its last value."""
    sidecar = path.with_name(path.name + ".sha256")
    if not sidecar.is_file() or sidecar.is_symlink():
        if file.sidecar == "required":
            raise FileRefused(f"{path.name}: its {sidecar.name} is missing; wait for the sender to finish, or ask for it.")
        return
    with open(sidecar, encoding="ascii", errors="replace") as handle:
        stated = handle.read(MAX_SIDECAR).split()[:1]
    if stated != [digest]:
        raise FileRefused(f"{path.name}: its content is not what {sidecar.name} states; it was cut or changed on the way, send it again.")


class Reading:
    """One file made ready: `select` is a query giving its records as text with their number, `rows` how many there are.

    A file that is not plain UTF-8 with regular line ends is read through a normalised working copy in `scratch`, deleted with this object.
    `name` is how sentences name the file, where it lies under another one; `rows` are counted unless they are `known` from its landing.
    """

    def __init__(
        self,
        path: Path,
        file: File,
        label: str,
        connection: duckdb.DuckDBPyConnection,
        scratch: Path,
        *,
        name: str = "",
        known: int | None = None,
    ) -> None:
        self._name = name or path.name
        self._copy: Path | None = None
        self._scratch = scratch
        self._file = file
        self._connection = connection
        self._known = known
        self.notices: list[str] = []
        if path.stat().st_size == 0:
            least = "at least its header" if file.header else "one empty line where there is no record"
            raise self._refused(f"the file is empty (0 bytes); send it again, with {least}")
        if path.stat().st_size > file.max_bytes:
            raise self._refused(f"it is larger than {_size(file.max_bytes)}; {_MORE}")
        try:
            self.select, self.rows = {"csv": self._csv, "jsonl": self._jsonl, "parquet": self._parquet}[file.format](path, label)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._copy is not None:
            self._copy.unlink(missing_ok=True)

    def _refused(self, reason: str) -> FileRefused:
        return FileRefused(f"{self._name}: {reason}.")

    @property
    def _other_number(self) -> str:
        return f"a record has another number of values than {'the header' if self._file.header else 'source.yml declares columns'}"

    def _working_copy(self, suffix: str) -> Path:
        self._copy = self._scratch / f"normalised-{next(_COPIES)}.{suffix}"
        return self._copy

    # -- text ------------------------------------------------------------------------------------------------------

    def _unpacked(self, path: Path) -> Iterator[bytes]:
        """The file's bytes in blocks, as many as its size and source.yml allow."""
        size, packed = 0, path.stat().st_size
        try:
            with _open(path) as handle:
                while block := handle.read(BLOCK):
                    size += len(block)
                    if size > self._file.max_bytes:
                        raise self._refused(f"it unpacks to more than {_size(self._file.max_bytes)}; {_MORE}")
                    if size > max(RATIO_FROM, MAX_RATIO * packed):
                        raise self._refused(_BOMB)
                    yield block
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self._refused(f"it cannot be unpacked ({type(error).__name__}); send it again") from None

    def _text(self, path: Path) -> Iterator[str]:
        """The file's text in blocks, decoded strictly, without a byte order mark; no line of it is longer than a record may be."""
        decoder = codecs.getincrementaldecoder(self._file.encoding)(errors="strict")
        lines, begun, since_end = 1, False, 0
        try:
            for block in self._unpacked(path):
                text = decoder.decode(block)
                text, begun = text if begun else text.removeprefix("\ufeff"), begun or bool(text)
                ends = text.count("\n")
                lines += ends
                first = min((at for at in (text.find("\n"), text.find("\r")) if at >= 0), default=len(text))
                if since_end + first > MAX_RECORD:
                    raise self._refused(f"{_LONG_RECORD}, near line {lines - ends}; {_CUT}")
                since_end = since_end + len(text) if first == len(text) else len(text) - 1 - max(text.rfind("\n"), text.rfind("\r"))
                yield text
            yield decoder.decode(b"", final=True)
        except UnicodeError as error:
            good = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
            line = lines + bytes(good).count(b"\n")
            raise self._refused(
                f"it is not {self._file.encoding} (first wrong byte near line {line}); "
                "declare its true encoding in source.yml or ask the sender for one encoding throughout"
            ) from None

    def _check_header(self, header: list[str]) -> None:
        """Refuse a header that is not the declared one. No sentence says what stands in it unless it is a name in what is a header at all:
        where a file lacks its header, its first record is somebody's."""
        if len(header) > MAX_COLUMNS:
            raise self._refused(f"it has {len(header)} columns, more than {MAX_COLUMNS}; send the declared ones")
        declared = dict.fromkeys(self._file.columns)
        times = Counter(header)
        alike = Counter(name.lower() if self._file.format == "csv" else name for name in header)  # a CSV is read by names of SQL
        doubled = [name for name in times if alike[name.lower() if self._file.format == "csv" else name] > 1]
        missing = [name for name in declared if name not in times]
        extra = [number for number, name in enumerate(header, start=1) if name not in declared]
        is_header = 2 * len(missing) <= len(declared)
        if doubled:
            raise self._refused(f"the header names {_told(doubled, is_header)} twice; give every column one name")
        if missing:
            spelled = {name.strip().lower() for name in header}
            hint = ", but for case or blanks" if all(name.lower() in spelled for name in missing) else ""
            if not hint and not is_header:
                hint = "; its first record does not look like a header (header: false in source.yml, if it has none)"
            if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
                hint = "; it looks separated by another character than source.yml declares (delimiter)"
            shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise self._refused(f"the column {shown} is missing or spelled otherwise in the header{hint}")
        if extra and self._file.extra_columns == "refuse":
            places = ", ".join(map(str, extra[:5])) + (", …" if len(extra) > 5 else "")
            raise self._refused(
                f"there are {len(extra)} columns source.yml does not declare: {_told([header[number - 1] for number in extra], is_header)} "
                f"(column {places}); declare them, or set extra_columns: keep"
            )
        if extra:
            self.notices.append(f"{self._name}: {len(extra)} undeclared columns stay in landing only")

    # -- formats ---------------------------------------------------------------------------------------------------

    def _csv(self, path: Path, label: str) -> tuple[str, int]:
        quotes, crlf, lf, cr, delimiters, first, nul = 0, 0, 0, 0, 0, "", False
        held = ""
        for text in self._text(path):
            if len(first) <= MAX_HEADER:
                first += text
            joined = held + text
            held = "\r" if joined.endswith("\r") else ""
            joined = joined[: len(joined) - len(held)]
            pairs = joined.count("\r\n")
            crlf, lf, cr = crlf + pairs, lf + joined.count("\n") - pairs, cr + joined.count("\r") - pairs
            quotes += text.count('"')
            delimiters += text.count(self._file.delimiter)
            nul = nul or "\0" in text
        cr += len(held)
        if nul:
            raise self._refused(f"it holds NUL bytes; it was damaged, or its encoding is not {self._file.encoding}")
        if quotes % 2:
            raise self._refused("a quote is opened and never closed, so records cannot be told apart; send it again")
        header = self._header(first)
        plain_encoding = self._file.encoding.lower().replace("_", "-") in ("utf-8", "utf8") and not _has_bom(path)
        # DuckDB drops what follows a quote that a stray one inside a value hides from the count above; the csv module tells.
        # Of a single column it takes an empty line for a record, which is none.
        regular = quotes == 0 and cr == 0 and (crlf == 0 or lf == 0) and len(header) > 1
        readable = path if plain_encoding and regular else self._normalised(path, header)
        columns = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in header)
        compression = "gzip" if readable.suffix == ".gz" else "none"
        scan = (
            f"read_csv({quoted(str(readable))}, auto_detect=false, header={str(self._file.header).lower()}, columns={{{columns}}}, "
            f"delim={quoted(self._file.delimiter)}, "
            f"quote='\"', escape='\"', strict_mode=true, null_padding=false, ignore_errors=false, parallel=false, "
            f"max_line_size={MAX_RECORD}, compression={quoted(compression)}, nullstr='')"
        )
        names = ", ".join(identifier(name) for name in self._file.columns)
        select = f"select {names}, {quoted(label)} as _file, row_number() over () as _row from {scan}"
        rows = self._count(scan)
        # DuckDB takes a delimiter at the end of a record for none, so a value too many that is empty moves those before it by a column.
        if readable is path and delimiters != (len(header) - 1) * (rows + self._file.header):
            raise self._refused(f"{self._other_number}; {_CUT}")
        return select, rows

    def _header(self, first: str) -> list[str]:
        """The names of the columns in their order: the first record, from the beginning of the file's text, or those that are declared."""
        lines = _split(first[: MAX_HEADER + 1])
        too_long = len(lines[0] if lines else "") > MAX_HEADER
        if too_long and self._file.header:
            raise self._refused(f"its header is longer than {_size(MAX_HEADER)}; send the declared columns, and their names first")
        try:
            record = [] if too_long else next(csv.reader(iter(lines), delimiter=self._file.delimiter, strict=True), [])
        except csv.Error as error:
            if self._file.header:
                raise self._refused(f"its header cannot be read ({error})") from None
            record = []  # cut off where the header must have ended; the records are proved one by one
        if self._file.header:
            self._check_header(record)
            return record
        spelled = {name.strip().lower() for name in record}
        if 2 * sum(name.lower() in spelled for name in self._file.columns) > len(self._file.columns):
            raise self._refused(
                "its first record holds the names of the columns, but source.yml says that it has no header; remove header: false there"
            )
        return list(self._file.columns)

    def _normalised(self, path: Path, header: list[str]) -> Path:
        """A UTF-8 copy with one kind of line end and every value quoted; the csv module tells ends of records from line breaks inside quotes."""
        copy = self._working_copy("csv")
        csv.field_size_limit(MAX_RECORD)
        delimiter = self._file.delimiter
        with open(copy, "w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
            records = csv.reader(_lines(self._text(path)), delimiter=delimiter, strict=True)
            try:
                for number, record in enumerate(records):
                    if not record:
                        continue
                    if len(record) != len(header):
                        raise self._refused(f"{self._other_number}, near line {records.line_num}; {_CUT}")
                    for at, value in enumerate(record):
                        if _BREAK.search(value) and _swallows(value, at, delimiter, len(header)):
                            raise self._refused(
                                f"a value of record {number + (not self._file.header)} holds whole records, so a quote was opened and closed records later; "
                                f"send it again, with quotes inside values doubled"
                            )
                    if sum(map(len, record)) > MAX_RECORD:
                        raise self._refused(f"{_LONG_RECORD}, near line {records.line_num}; {_CUT}")
                    writer.writerow(record)
            except csv.Error as error:
                reason = _LONG_RECORD if "field limit" in str(error) else f"it is not well-formed CSV ({error})"
                raise self._refused(f"{reason}, near line {records.line_num}; send it again") from None
        return copy

    def _jsonl(self, path: Path, label: str) -> tuple[str, int]:
        for _ in self._text(path):
            pass
        readable = path
        if self._file.encoding.lower().replace("_", "-") not in ("utf-8", "utf8") or _has_bom(path):
            readable = self._working_copy("jsonl")
            with open(readable, "w", encoding="utf-8", newline="") as handle:
                handle.writelines(self._text(path))
        compression = "gzip" if readable.suffix == ".gz" else "uncompressed"
        scan = (
            f"read_ndjson_objects({quoted(str(readable))}, maximum_object_size={MAX_RECORD}, ignore_errors=false, "
            f"compression={quoted(compression)})"
        )
        rows = self._check_objects(scan) if self._known is None else self._known
        names = ", ".join(f"json ->> {quoted('$.' + identifier(name))} as {identifier(name)}" for name in self._file.columns)
        return f"select {names}, {quoted(label)} as _file, row_number() over () as _row from {scan}", rows

    def _check_objects(self, scan: str) -> int:
        """How many records there are, each one JSON object that names no key twice, all together no more keys than a file may have columns."""
        try:
            found = self._connection.execute(
                f"select count(*), count(*) filter (where json_type(json) <> 'OBJECT'), "
                f"count(*) filter (where len(json_keys(json)) <> len(list_distinct(json_keys(json)))) from {scan}"
            ).fetchone()
            assert found is not None
            rows, others, doubled = found
            if others:
                raise self._refused("every line must be one JSON object")
            if doubled:
                raise self._refused(f"{doubled} records name a key twice, so it is not known which value counts; send it again")
            keys = self._connection.execute(
                f"select distinct unnest(json_keys(json)) as k from {scan} order by k limit {MAX_COLUMNS + 1}"
            ).fetchall()
        except duckdb.Error as error:
            raise self._refused(_malformed(error)) from None
        if rows:
            self._check_header([key for (key,) in keys])
        return rows

    def _parquet(self, path: Path, label: str) -> tuple[str, int]:
        place = quoted(str(path))
        scan = f"read_parquet({place}, file_row_number=true, hive_partitioning=false)"
        size, bound = path.stat().st_size, self._file.max_bytes
        try:
            if self._known is None:
                unpacked, values = self._connection.execute(
                    f"select coalesce(sum(total_uncompressed_size), 0), coalesce(sum(num_values), 0) from parquet_metadata({place})"
                ).fetchone() or (0, 0)
                self._check_size(max(unpacked, values), size, bound)
            described = self._connection.execute(f"describe select * from {scan}").fetchall()
        except duckdb.Error as error:
            raise self._refused(_malformed(error)) from None
        types = {row[0]: str(row[1]) for row in described if row[0] != "file_row_number"}
        self._check_header(list(types))
        names = ", ".join(f"{_parquet_text(name, types[name])} as {identifier(name)}" for name in self._file.columns)
        select = f"select {names}, {quoted(label)} as _file, file_row_number + 1 as _row from {scan}"
        if self._known is not None:
            return select, self._known
        texts = [f"strlen({identifier(name)})" for name in self._file.columns if types[name] == "VARCHAR"]
        longest, total = (f"greatest({', '.join(texts)})", " + ".join(f"coalesce({text}, 0)" for text in texts)) if texts else ("0", "0")
        try:
            found = self._connection.execute(f"select count(*), max({longest}), sum({total}) from {scan}").fetchone()
        except duckdb.Error as error:
            raise self._refused(_malformed(error)) from None
        assert found is not None
        rows, longest, total = found
        if (longest or 0) > MAX_RECORD:
            raise self._refused(f"a value is longer than {_size(MAX_RECORD)}; {_CUT}")
        self._check_size(total or 0, size, bound)
        return select, rows

    def _check_size(self, unpacked: int, size: int, bound: int) -> None:
        if unpacked > bound:
            raise self._refused(f"it unpacks to more than {_size(bound)}; {_MORE}")
        if unpacked > max(RATIO_FROM, MAX_RATIO * size):
            raise self._refused(_BOMB)

    def _count(self, scan: str) -> int:
        """Records of the file, each parsed to its end, so that a file cut inside a record is refused here and not half loaded later."""
        if self._known is not None:
            return self._known
        try:
            row = self._connection.execute(f"select count(*) from (select columns(*) from {scan})").fetchone()
        except duckdb.Error as error:
            raise self._refused(_malformed(error, self._other_number)) from None
        assert row is not None
        return int(row[0])


_LONG_RECORD = f"a record is longer than {MAX_RECORD >> 20} MiB"
_CUT = "it was cut or damaged, send it again"
_MORE = "if a delivery may be that large, raise its max_bytes in source.yml"
_BOMB = f"it unpacks to more than {MAX_RATIO} times its size, as no delivery does; ask the sender what it is"


def _size(count: int) -> str:
    """Bytes as a person reads them."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:g} {unit}"
    return f"{count} bytes"


def _told(names: list[str], is_header: bool) -> str:
    """Some names of a header: those that can be told, else how many there are."""
    plain = [name for name in names if is_header and NAME.fullmatch(name)]
    others = len(names) - len(plain)
    shown = plain[:5] + ([f"{len(plain) - 5} more"] if len(plain) > 5 else []) + ([f"{others} not shown here"] if others else [])
    return ", ".join(shown)


def _swallows(value: str, at: int, delimiter: str, columns: int) -> bool:
    """Whether the value of column `at` (from 0) is what lies between two quotes that do not belong together: the rest of a record, whole
    records, and the beginning of one.

    Text that somebody wrote has other counts of commas in its lines, or a space behind one; a record begins with an id.
    """
    first, *records = _BREAK.split(value)
    if not records or columns < 2 or delimiter + " " in value:
        return False
    counts = [first.count(delimiter), *(line.count(delimiter) for line in records)]
    if counts != [columns - 1 - at, *[columns - 1] * (len(records) - 1), at]:
        return False
    return all(re.fullmatch(r"\S+", line.split(delimiter)[0]) for line in records)


def _has_bom(path: Path) -> bool:
    with _open(path) as handle:
        return handle.read(3) == codecs.BOM_UTF8


def _lines(blocks: Iterator[str]) -> Iterator[str]:
    """Blocks of a file's text as lines with their own ends (CR, LF or CRLF), never cutting a CRLF in two."""
    rest = ""
    for block in blocks:
        rest += block
        lines = rest.splitlines(keepends=True) if not any(mark in rest for mark in "\v\f\x1c\x1d\x1e\x85\u2028\u2029") else _split(rest)
        rest = (lines.pop() if lines else "") if block else ""
        yield from lines


def _split(text: str) -> list[str]:
    """str.splitlines that knows CR, LF and CRLF only: a value may hold Unicode's other line separators."""
    return _LINE.findall(text)


def _parquet_text(name: str, sql_type: str) -> str:
    """A Parquet column as text: floats without exponent or binary noise, timestamps in ISO 8601.

    A whole number is written as one, whatever the column's type, so that an id does not depend on it; from 2^53 on a float no longer holds
    each whole number, so there it keeps its exponent, by which an id that lost its digits is known.
    """
    column = identifier(name)
    if sql_type in ("DOUBLE", "FLOAT"):
        exact = f"abs({column}) < {2**53 if sql_type == 'DOUBLE' else 2**24}"
        return (
            f"case when {exact} and {column} = trunc({column}) then cast(cast({column} as bigint) as varchar) "
            f"when {exact} then cast(cast({column} as decimal(38, 10)) as varchar) "
            f"when isfinite({column}) then printf('%.16e', cast({column} as double)) else cast({column} as varchar) end"
        )
    return f"cast({column} as varchar)"


def _malformed(error: duckdb.Error, other_number: str = "") -> str:
    """The parser's complaint without the values it quotes; `other_number` says it of a record that is longer or shorter than others."""
    text = str(error)
    line = re.search(r"\bline:? (\d+)", text, re.IGNORECASE)
    if isinstance(error, duckdb.OutOfMemoryException):
        return "there is not enough memory to read it; give the machine more, or have it sent in parts"
    known = {
        "Maximum line size": _LONG_RECORD,
        "maximum_object_size": _LONG_RECORD,
        "Expected Number of Columns": other_number,
        "unterminated quote": "a quote is opened and never closed",
        "JSON": "a line is not a JSON object",
        "arquet": "it is not a whole Parquet file",
    }
    reason = next((sentence for mark, sentence in known.items() if mark in text), f"it is malformed ({type(error).__name__})")
    place = f" near line {line[1]}" if line else ""
    return f"{reason}{place}; {_CUT}"
