"""The destination `csv_file`: dated CSV files that a person opens or a tool imports.

Here live the layout of the folders and what makes a cell safe and readable in a spreadsheet.
Add here when the files must look different; must not decide who is in them, nor be the record of what was sent (the ledger is).

    <folder>/<list>/<as_of>/full.csv                                the list of that night
                           /added.csv  updated.csv  removed.csv     the difference to what was written before
                           /added-2.csv …                           a further difference on the same date; removals that people asked
                                                                    for are written first, whatever becomes of the rest

Who may not be contacted any more also leaves the newest full.csv, so that no list a person opens or a tool imports holds them.

Files are UTF-8 with a byte order mark, without which Excel shows Chinese as noise, and readable by their owner only. A cell that a
spreadsheet would run as a formula gets a leading apostrophe; phone numbers in E.164 and plain numbers are left alone.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from userops_pipeline.deliver.audiences import UNKNOWN_FIELDS, Action, Batch, ListSpec, Member, Row
from userops_pipeline.deliver.destinations.base import BatchReceipt, OutcomeUnknown
from userops_pipeline.ground.home import write_atomically

FILES: dict[Action, str] = {"add": "added", "update": "updated", "remove": "removed"}
# What a spreadsheet runs, the full-width forms that Chinese and Japanese ones accept included.
FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
HARMLESS = re.compile(r"\+[1-9]\d{6,14}|-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class CsvFile:
    """Writes each batch to a file of its own; the same batch again is the same file."""

    folder: Path  # the home's exports
    name: str = "csv_file"
    max_batch: int = 100_000
    live: bool = True

    def send(self, batch: Batch, go_on: Callable[[], bool] = lambda: True) -> BatchReceipt:
        part = "" if batch.part == 1 else f"-{batch.part}"
        fields = list(batch.rows[0].fields or {})
        self._write(batch.list_name, batch.as_of, f"{FILES[batch.action]}{part}.csv", batch.match_field, fields, batch.rows)
        return BatchReceipt()

    def keep_full(self, spec: ListSpec, as_of: date, rows: Iterable[Row]) -> None:
        self._write(spec.name, as_of, "full.csv", spec.match_field, list(spec.fields), rows)

    def _write(self, list_name: str, as_of: date, file_name: str, match_field: str, fields: list[str], rows: Iterable[Row]) -> None:
        others = [field for field in fields if field != match_field]
        text = io.StringIO(newline="")
        # Everything quoted: where the comma is not the separator, a cell must not fall apart into new cells.
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerow([safe_cell(name) for name in (match_field, *others)])
        writer.writerows([safe_cell(row.match_value), *(safe_cell((row.fields or {}).get(field)) for field in others)] for row in rows)
        self._place(self.folder / list_name / as_of.isoformat() / file_name, text.getvalue().encode("utf-8-sig"))

    def leave_out(self, spec: ListSpec, match_values: Collection[str]) -> None:
        file = next(iter(self._full_lists(spec.name)), None)
        if file is None:
            return
        removed = {safe_cell(value) for value in match_values}
        text = io.StringIO(newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerows(cells for number, cells in enumerate(_cells(file)) if number == 0 or cells[0] not in removed)
        self._place(file, text.getvalue().encode("utf-8-sig"))

    def _full_lists(self, list_name: str) -> list[Path]:
        """Every list as it stood, newest first."""
        return sorted((self.folder / list_name).glob("*/full.csv"), reverse=True)

    def read_back(self, spec: ListSpec) -> Mapping[str, Member]:
        """The newest full.csv, fields unknown; of whom only other files of the list name, nobody knows whether they are still held."""
        newest = next(iter(self._full_lists(spec.name)), None)
        files = sorted((self.folder / spec.name).glob("*/*.csv"))
        found: dict[str, Member] = {}
        for file in [*(file for file in files if file != newest), *([newest] if newest else [])]:
            for value, point in _people(file, spec):
                found[value] = Member(UNKNOWN_FIELDS if file == newest else None, point)
        return found

    def _place(self, file: Path, content: bytes) -> None:
        try:
            if file.exists() and file.read_bytes() == content:
                return
            for folder in (self.folder, file.parent.parent, file.parent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left_by_a_crash in file.parent.glob(f".{file.name}.*.part"):
                left_by_a_crash.unlink()
            write_atomically(file, content, mode=0o600)
        except OSError as error:
            raise OutcomeUnknown(f"file_{errno.errorcode.get(error.errno or 0, 'error')}") from None


def safe_cell(value: Any) -> str:
    """A value as the text of a cell that no spreadsheet runs."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if FORMULA.match(text) and not HARMLESS.fullmatch(text) else text


def plain_value(cell: str) -> str:
    """The value of a cell, without the apostrophe that keeps a spreadsheet from running it."""
    return cell[1:] if cell.startswith("'") and safe_cell(cell[1:]) == cell else cell


def _cells(file: Path) -> Iterator[list[str]]:
    try:
        with open(file, encoding="utf-8-sig", newline="") as handle:
            yield from csv.reader(handle)
    except (OSError, ValueError, csv.Error):
        raise OutcomeUnknown("file_unreadable") from None


def members_of(file: Path, spec: ListSpec) -> dict[str, Member]:
    """Everybody a CSV file names in the list's match field, their fields unknown; nobody where it has no such column.

    Raises:
        OutcomeUnknown: the file cannot be read.
    """
    return {value: Member(UNKNOWN_FIELDS, point) for value, point in _people(file, spec)}


def _people(file: Path, spec: ListSpec) -> Iterator[tuple[str, str | None]]:
    """Match value and, where they are matched by user_id, address of everybody a file names."""
    rows = _cells(file)
    names = [plain_value(name) for name in next(rows, [])]
    if spec.match_field not in names:
        return
    value_at = names.index(spec.match_field)
    point_at = names.index(spec.carried_point) if spec.carried_point in names else None
    for cells in rows:
        if len(cells) == len(names) and cells[value_at]:
            yield plain_value(cells[value_at]), plain_value(cells[point_at]) or None if point_at is not None else None
