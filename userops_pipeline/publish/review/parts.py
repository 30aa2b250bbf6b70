"""The parts a section of the review is made of, and what a section is.

Here live the shapes only: words, drawings, tables with their cells, reasons in place of a picture. Add a shape when no other can say it.
Must not hold a section (one file per subject does), query a table, or know HTML (page does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import duckdb

from userops_pipeline.ground.sql import identifier
from userops_pipeline.ground.words import Words
from userops_pipeline.publish.generation_files import scan
from userops_pipeline.publish.generations import Generation
from userops_pipeline.publish.pictures import Picture
from userops_pipeline.rulebook import Rulebook, from_json


@dataclass(frozen=True)
class Drawing:
    """A picture; the name is its key in Dagster's metadata."""

    name: str
    picture: Picture


@dataclass(frozen=True)
class Unknown:
    """Why something cannot be shown: what stands in place of an empty picture."""

    reason: Words


@dataclass(frozen=True)
class Sentence:
    words: Words


@dataclass(frozen=True)
class Gauge:
    """A share (0..1) as a short bar with its text beside it."""

    share: float
    text: str


@dataclass(frozen=True)
class Span:
    """A number with its interval, drawn on a line between `bounds`; `base` is what it is compared with."""

    at: float
    low: float
    high: float
    base: float
    bounds: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Mark:
    """A word with a judgement: good, bad, or none."""

    words: Words
    tone: Literal["good", "bad", "none"]


Cell = Words | str | int | float | Decimal | Gauge | Span | Mark | tuple["Cell", ...] | None


@dataclass(frozen=True)
class Table:
    """A table for reading; a column whose cells are numbers is aligned to the right."""

    heads: Sequence[Words]
    rows: Sequence[Sequence[Cell]]
    is_wide: bool = False
    """Columns hold sentences; give them room."""


@dataclass(frozen=True)
class Figures:
    """A few numbers to see first: what it is, how much, and a note on what changed it."""

    entries: Sequence[tuple[Words, str, Words | None]]


@dataclass(frozen=True)
class Card:
    """Something with a title of its own among others of its kind."""

    title: Words
    parts: Sequence[Part]


@dataclass(frozen=True)
class Folded:
    """Parts that are shown when the reader asks for them."""

    title: Words
    parts: Sequence[Part]


Part = Drawing | Unknown | Sentence | Table | Figures | Card | Folded


@dataclass(frozen=True)
class Published:
    """What a section may read: the tables of one generation, its rules and its manifest; nothing private is among them."""

    generation: Generation
    rulebook: Rulebook
    _connection: duckdb.DuckDBPyConnection = field(repr=False)

    @property
    def as_of(self) -> date:
        return self.generation.as_of

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters or {}).fetchall()

    def lacks(self, tables: Sequence[str]) -> list[str]:
        """Those of the tables that this generation does not hold."""
        return [table for table in tables if f"{table}.parquet" not in self.generation.manifest.files]


@contextmanager
def opened(generation: Generation) -> Iterator[Published]:
    """The generation's tables as views of a database in memory, without its exports."""
    directory: Path = generation.path
    rulebook = from_json((directory / "rulebook.json").read_text(encoding="utf-8"))
    with duckdb.connect(":memory:") as connection:
        for file in sorted(generation.manifest.files):
            if file.endswith(".parquet") and "/" not in file:
                connection.execute(f"create view {identifier(file.removesuffix('.parquet'))} as from {scan(directory / file)}")
        yield Published(generation, rulebook, connection)


@dataclass(frozen=True)
class Section:
    """A section of the review: what it shows and how to read it, the tables it needs, and the function that makes its parts."""

    name: str
    title: Words
    reading: Words
    """One sentence: what is shown, and how to read it."""
    tables: tuple[str, ...]
    make: Callable[[Published], Iterator[Part]]

    def parts(self, published: Published) -> list[Part]:
        """Its parts; a reason where the generation lacks a table, or the tables hold nothing to show."""
        if lacking := published.lacks(self.tables):
            names = ", ".join(lacking)
            return [Unknown(Words(f"this generation has no table {names}", f"本次发布没有表 {names}"))]
        return list(self.make(published)) or [Unknown(Words("there is nothing to show yet", "还没有可展示的数据"))]


def section(name: str, title: Words, reading: Words, *tables: str) -> Callable[[Callable[[Published], Iterator[Part]]], Section]:
    """Make a section of a function that yields its parts; then name it in `review.SECTIONS`, in reading order."""
    return lambda make: Section(name, title, reading, tables, make)
