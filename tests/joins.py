"""How many rows the joins of a build hand on, by DuckDB's own profile of every statement it runs.

Here lives what a bound on a plan is made of, for tests and the bench alike. Add an operator when a release of DuckDB joins by one of another name.
Must not know a model: whoever asks says which statement is whose, and how many rows are too many.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import duckdb

JOINS = ("JOIN", "CROSS_PRODUCT")  # in the name of every operator that joins


class Joined(NamedTuple):
    """Of one statement, by the name that whoever ran it gives it: rows of its largest join, 0 where it has none, and of its largest scan."""

    name: str
    joined: int
    scanned: int


def watch(connection: duckdb.DuckDBPyConnection) -> None:
    """Have every statement of this connection profiled; nothing is printed."""
    connection.execute("set enable_profiling = 'no_output'")


def last(connection: duckdb.DuckDBPyConnection, name: str) -> Joined:
    """What the last statement joined; the connection is being watched."""
    profile = json.loads(connection.get_profiling_information())
    roots = profile.get("operator", [])  # `begin` and the like have none
    operators = [operator for root in roots for operator in _operators(root)]
    return Joined(
        name,
        max((rows for kind, rows in operators if any(join in kind for join in JOINS)), default=0),
        max((rows for kind, rows in operators if kind == "TABLE_SCAN"), default=0),
    )


def _operators(operator: dict[str, Any]) -> Iterator[tuple[str, int]]:
    yield operator["type"], operator["intermediate_rows"]
    for child in operator.get("children", ()):
        yield from _operators(child)
