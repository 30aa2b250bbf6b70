"""The writer: columns of a night become the files of that night's drop, and rows that arrive later wait here.

Add a format here; which table has which format is stated in FILES, and again, for the reader, in sources/demo_shop/source.yml.
Must not decide what is in a row.
"""

from __future__ import annotations

import gzip
import io
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from userops_pipeline.simulate.settings import Settings

FILES: dict[str, str] = {
    "users": "users.parquet",
    "identities": "identities.parquet",
    "events": "events.parquet",
    "orders": "orders.parquet",
    "order_items": "order_items.parquet",
    "payments": "payments.parquet",
    "touches": "touches.parquet",
    "incentives": "incentives.parquet",
    "assignments": "assignments.parquet",
    "consents": "consents.parquet",
    "content": "content.parquet",
    "products": "products.csv",
    "refunds": "refunds.csv",
    "referrals": "referrals.csv",
    "channel_costs": "channel_costs.csv",
    "manual_tags": "manual_tags.csv",
    "campaigns": "campaigns.csv",
    "tickets": "tickets.jsonl",
    "feedback": "feedback.jsonl.gz",
}
ENCODINGS = {"campaigns": "gb18030"}
# Increasing numbers shrink to almost nothing as differences; dictionaries are tried for columns of few values only.
_DIFFERENCES = ("event_id", "order_id", "order_item_id", "payment_id", "touch_id", "incentive_id", "event_at")
_WAITING_FILES = 6


def money(cents: npt.NDArray[np.integer]) -> pa.Array:
    """DECIMAL(18,2) from whole cents."""
    halves = np.empty((len(cents), 2), dtype=np.int64)
    halves[:, 0] = cents
    halves[:, 1] = halves[:, 0] >> 63
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(cents), [None, pa.py_buffer(halves)])


def coded(
    index: npt.NDArray[np.integer], words: list[str] | tuple[str, ...] | pa.Array, missing: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """A column of few values: an index into the words, null where `missing`."""
    dictionary = words if isinstance(words, pa.Array) else pa.array(list(words), pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(index, mask=missing), dictionary)


def joined(*parts: pa.Array | str) -> pa.Array:
    """Texts put together row by row, null where one of them is."""
    return pc.call_function(
        "binary_join_element_wise", [*(pa.scalar(part) if isinstance(part, str) else part for part in parts), pa.scalar("")]
    )


def times(settings: Settings, seconds: npt.NDArray[np.floating], missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """UTC timestamps in whole milliseconds, from local seconds since the start."""
    clean = np.where(np.isfinite(seconds), seconds, 0.0)
    return pa.array(settings.epoch_ms + np.floor(clean * 1000).astype(np.int64), pa.timestamp("ms"), mask=missing)


class Outbox:
    """Rows by the night and table they arrive in; within a table of a night in the order they were added."""

    def __init__(self, nights: int) -> None:
        self._nights = nights
        self._waiting: dict[int, dict[str, list[pa.Table]]] = {}
        self.schemas: dict[str, pa.Schema] = {}

    def add(self, night: int, table: str, rows: pa.Table) -> None:
        """Rows after the last night never arrive."""
        self.schemas.setdefault(table, rows.schema)
        if rows.num_rows and night < self._nights:
            self._waiting.setdefault(night, {}).setdefault(table, []).append(rows)

    def add_by_night(self, nights: npt.NDArray[np.integer], table: str, rows: pa.Table) -> None:
        """Rows each with the night it arrives in."""
        self.schemas.setdefault(table, rows.schema)
        for night in np.unique(nights):
            chosen = np.flatnonzero(nights == night)
            self.add(int(night), table, rows if len(chosen) == rows.num_rows else rows.take(pa.array(chosen)))

    def take(self, night: int) -> dict[str, pa.Table]:
        return {table: pa.concat_tables(parts) for table, parts in self._waiting.pop(night, {}).items()}


class Drops:
    """Writes one folder per night under `<out>/drops`, in a second thread; every night has every file, if only its header."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.out / "drops"
        self._writer = ThreadPoolExecutor(1)
        self._waiting: list[Future[None]] = []
        self._connection = duckdb.connect()
        self._connection.execute("set threads = 1; set timezone = 'UTC'")
        self.rows: dict[str, int] = dict.fromkeys(FILES, 0)

    def write(self, night: int, tables: dict[str, pa.Table], schemas: dict[str, pa.Schema]) -> None:
        """A night's tables; `schemas` says what a table without rows looks like."""
        folder = self._root / self._settings.date_of(night).isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        for table, name in FILES.items():
            rows = tables.get(table)
            rows = schemas[table].empty_table() if rows is None else rows
            self.rows[table] += rows.num_rows
            self._waiting.append(self._writer.submit(self._write_one, folder / name, table, rows))
        while len(self._waiting) > _WAITING_FILES * len(FILES):
            self._waiting.pop(0).result()

    def close(self) -> None:
        for future in self._waiting:
            future.result()
        self._writer.shutdown()
        self._connection.close()

    def _write_one(self, path: Path, table: str, rows: pa.Table) -> None:
        match path.name.removeprefix(table):
            case ".parquet":
                write_parquet(path, rows)
            case ".csv":
                path.write_bytes(_csv(rows, ENCODINGS.get(table, "utf-8")))
            case ".jsonl":
                path.write_bytes(self._jsonl(rows))
            case ".jsonl.gz":
                path.write_bytes(gzip.compress(self._jsonl(rows), compresslevel=5, mtime=0))
            case unknown:
                raise ValueError(unknown)

    def _jsonl(self, rows: pa.Table) -> bytes:
        """One object per row with every key; null where there is no value."""
        if rows.num_rows == 0:
            return b"\n"
        connection, names = self._connection, ", ".join(f'"{name}" := "{name}"' for name in rows.column_names)
        connection.register("rows", rows)
        ((lines,),) = connection.execute(f"select string_agg(cast(to_json(struct_pack({names})) as varchar), chr(10)) from rows").fetchall()
        connection.unregister("rows")
        return (lines + "\n").encode()


def write_parquet(path: Path, rows: pa.Table) -> None:
    """Zstandard, dictionaries for text only; equal rows give equal bytes."""
    text = [field.name for field in rows.schema if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type)]
    encodings: dict[str, Any] = {
        name: "DELTA_BINARY_PACKED"
        for name in rows.column_names
        if name in _DIFFERENCES and pa.types.is_int64(rows.schema.field(name).type)
    }
    pq.write_table(
        rows,
        path,
        compression="zstd",
        compression_level=1,
        use_dictionary=text,  # pyright: ignore[reportArgumentType] - its stub knows only bool
        column_encoding=encodings or None,
        write_statistics=False,
        store_schema=False,
        row_group_size=1 << 20,
    )


def _csv(rows: pa.Table, encoding: str) -> bytes:
    buffer = io.BytesIO()
    buffer.write((",".join(rows.column_names) + "\n").encode())
    pa_csv.write_csv(rows, buffer, pa_csv.WriteOptions(include_header=False, quoting_style="none"))
    data = buffer.getvalue()
    return data if encoding == "utf-8" else data.decode().encode(encoding)
