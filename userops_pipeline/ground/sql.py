"""SQL as text: names and values written so that nothing in them can be read as anything else.

Here lives the quoting that every room composes its queries with. Add a kind of literal when one is written by hand anywhere.
Must not know a table, nor open a database.
"""

from __future__ import annotations

from datetime import date


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def date_literal(day: date | None) -> str:
    """A SQL date; null for none."""
    return "cast(null as date)" if day is None else f"date '{day.isoformat()}'"
