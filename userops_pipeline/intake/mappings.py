"""Mappings: whether a mapping's SQL is one select over its declared files, and which of them it reads.

Here lives what a mapping may say, judged on the tree of DuckDB's own parser, so that what is judged is what runs. Widen a list here when
a mapping needs a piece of SQL that reads nothing but its files and means the same every night.
Must not run a mapping (conform does), nor know what its columns mean.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import duckdb

from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.ground.sealing import seal

if TYPE_CHECKING:
    from userops_pipeline.intake.source import Source

# What conform offers mappings beside DuckDB's own functions.
OFFERED = frozenset({"business_date", "utc", "phone", "email", "converted", "night"})
# Lists of what is allowed, not of what is refused: what a later DuckDB adds is refused until somebody has looked at it.
QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE"})
RELATIONS = frozenset({"BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SUBQUERY", "TABLE_FUNCTION"})
EXPRESSIONS = frozenset(
    [
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "LAMBDA_REF",
        "OPERATOR",
        "POSITIONAL_REFERENCE",
        "STAR",
        "SUBQUERY",
        "TYPE",
        "WINDOW",
    ]
)
MODIFIERS = frozenset({"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"})
TABLE_FUNCTIONS = frozenset({"unnest"})
# Macros say nothing of what they read, so each stands here by name.
MACROS = frozenset(
    [
        "array_append",
        "array_pop_back",
        "array_pop_front",
        "array_prepend",
        "array_push_back",
        "array_push_front",
        "array_reverse",
        "array_to_string",
        "date_add",
        "days_in_month",
        "fdiv",
        "fmod",
        "geomean",
        "if",
        "json",
        "json_group_array",
        "json_group_object",
        "list_any_value",
        "list_append",
        "list_avg",
        "list_bool_and",
        "list_bool_or",
        "list_count",
        "list_first",
        "list_last",
        "list_max",
        "list_median",
        "list_min",
        "list_mode",
        "list_prepend",
        "list_product",
        "list_reverse",
        "list_string_agg",
        "list_sum",
        "map_contains_entry",
        "map_contains_value",
        "md5_number_lower",
        "md5_number_upper",
        "nullif",
        "regexp_split_to_table",
        "split_part",
        "wavg",
    ]
)
# Same answer within a catalogue's words, and still not for a mapping: they plan queries, tell of the process, or ask the clock.
NOT_ALLOWED = frozenset(
    [
        "json_execute_serialized_sql",
        "json_serialize_sql",
        "json_serialize_plan",
        "json_deserialize_sql",
        "version",
        "age",  # of one moment, it counts up to today
        "current_localtime",
        "current_localtimestamp",
        "hive_partition_component",
    ]
)
# Words that DuckDB takes for the clock where no column has the name.
CLOCK = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})


def files_read(source: Source, table: str) -> set[str]:
    """The kinds of file of source.yml that a table's mapping reads.

    Raises:
        UserOpsError: the mapping is not one select over declared files; the sentence names file and what.
    """
    return set(_judged(f"{source.name}/{table}.sql", source.mapping_sql(table), tuple(source.files)))


def checked_sql(source: Source, table: str) -> str:
    """A table's mapping, judged, in the words to put between parentheses.

    Raises:
        UserOpsError: the mapping is not one select over declared files; the sentence names file and what.
    """
    sql = source.mapping_sql(table)
    _judged(f"{source.name}/{table}.sql", sql, tuple(source.files))
    # A comment in the last line must not swallow what comes after it.
    return _bare(sql) + "\n"


def columns_behind(source: Source, table: str, names: frozenset[str]) -> set[str]:
    """The columns of files, in lower case, that a mapping passes on as one of these contract columns: alone, or as all that an expression reads."""

    def columns(node: Any) -> Iterator[str]:
        if isinstance(node, list):
            for part in node:
                yield from columns(part)
        elif isinstance(node, dict):
            if node.get("class") == "COLUMN_REF":
                yield str(node["column_names"][-1]).lower()
            for part in node.values():
                yield from columns(part)

    def named(node: Any) -> Iterator[str]:
        if isinstance(node, list):
            for part in node:
                yield from named(part)
        elif isinstance(node, dict):
            for entry in node.get("select_list", ()):
                behind = set(columns(entry))
                if len(behind) == 1 and (entry.get("alias") or next(iter(behind))).lower() in names:
                    yield from behind
            for part in node.values():
                yield from named(part)

    return set(named(_tree(f"{source.name}/{table}.sql", _bare(source.mapping_sql(table)))))


def functions_called(source: Source, table: str) -> set[str]:
    """The functions, in lower case, that a table's mapping calls."""

    def called(node: Any) -> Iterator[str]:
        if isinstance(node, list):
            for part in node:
                yield from called(part)
        elif isinstance(node, dict):
            if node.get("class") == "FUNCTION":
                yield str(node.get("function_name", "")).lower()
            for part in node.values():
                yield from called(part)

    return set(called(_tree(f"{source.name}/{table}.sql", _bare(source.mapping_sql(table)))))


def _bare(sql: str) -> str:
    """Without its end mark; what stands before it stays, so that lines count as in the file."""
    return sql.rstrip().rstrip(";").rstrip()


def line_of(error: duckdb.Error) -> str:
    """` (line 3)` where DuckDB says in which line of a mapping between parentheses the mistake is."""
    found = re.search(r"^LINE (\d+):", str(error), re.MULTILINE)
    return f" (line {found[1]})" if found else ""


@functools.cache
def _judged(place: str, sql: str, files: tuple[str, ...]) -> frozenset[str]:
    kinds = {file.lower(): file for file in files}
    try:
        found = set(_Judge(place, frozenset(kinds)).tables(_tree(place, _bare(sql)), frozenset()))
    except RecursionError:
        raise UserOpsError(f"{place} is nested too deeply to be read; split it into common table expressions.") from None
    return frozenset(kinds[name] for name in found)


@functools.cache
def _parser() -> duckdb.DuckDBPyConnection:
    """Opened once, for threads to take cursors of: it reads texts and runs none."""
    return seal(duckdb.connect(":memory:"))


def _tree(place: str, sql: str) -> dict[str, Any]:
    with _parser().cursor() as parser:
        row = parser.execute("select json_serialize_sql(?::varchar, skip_null := true, skip_empty := true)", [sql]).fetchone()
    assert row is not None
    answer = json.loads(row[0])
    if answer["error"]:
        line = f", line {sql[: int(answer['position'])].count(chr(10)) + 1}" if answer.get("position") else ""
        what = (
            "is not a select"
            if answer.get("error_type") == "not implemented"
            else f"is not SQL ({answer.get('error_message', '')[:120]}{line})"
        )
        raise UserOpsError(f"{place} {what}; a mapping is one select over the files that source.yml declares.")
    if not answer["statements"]:
        raise UserOpsError(f"{place} is empty; a mapping is one select over the files that source.yml declares.")
    if len(answer["statements"]) != 1:
        raise UserOpsError(f"{place} holds {len(answer['statements'])} statements; a mapping is one select.")
    return answer["statements"][0]["node"]


@functools.cache
def _functions() -> frozenset[str]:
    """Scalars, aggregates and window functions that answer from their arguments alone, by DuckDB's own catalogue.

    What reckons with moments may look at the session's zone as well, which is UTC wherever a mapping runs.
    """
    moment = (
        "list_has_any(list_append(parameter_types, return_type), ['TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ_NS', 'TIME WITH TIME ZONE'])"
    )
    with _parser().cursor() as catalogue:
        rows = catalogue.execute(
            "select function_name from duckdb_functions() where function_type in ('scalar', 'aggregate', 'window') group by function_name"
            " having bool_and(coalesce(stability, 'CONSISTENT') = 'CONSISTENT'"
            f" or (stability = 'CONSISTENT_WITHIN_QUERY' and len(parameter_types) > 0 and {moment}))"
        ).fetchall()
    return (frozenset(name for (name,) in rows if not name.startswith("__internal")) - NOT_ALLOWED) | MACROS | OFFERED


class _Judge:
    """One mapping being read; a piece of SQL that no list above names is refused."""

    def __init__(self, place: str, files: frozenset[str]) -> None:
        self._place = place
        self._files = files

    def tables(self, node: Any, ctes: frozenset[str]) -> Iterator[str]:
        """The declared files a part of the tree reads, in lower case; `ctes` are the names that stand for queries there."""
        if isinstance(node, list):
            for part in node:
                yield from self.tables(part, ctes)
        elif isinstance(node, dict):
            if "cte_map" in node:
                for entry in node["cte_map"].get("map", ()):
                    yield from self.tables(entry["value"], ctes)
                    ctes |= {entry["key"].lower()}
            yield from self._node(node, ctes)
            if node.get("class") != "CONSTANT":
                for key, part in node.items():
                    if key != "cte_map":
                        yield from self.tables(part, ctes)

    def _node(self, node: dict[str, Any], ctes: frozenset[str]) -> Iterator[str]:
        kind, is_expression = str(node.get("type", "")), "class" in node
        if is_expression:
            if node["class"] not in EXPRESSIONS:
                self._refuse(f"a {node['class'].lower().replace('_', ' ')}")
        elif kind.endswith("_NODE"):
            if kind not in QUERIES:
                self._refuse(f"a {kind.removesuffix('_NODE').lower().replace('_', ' ')}")
            if node.get("sample"):
                self._refuse("a sample, which is another one every time")
        elif kind == "BASE_TABLE":
            yield from self._table(node, ctes)
        elif kind == "TABLE_FUNCTION":
            name = node["function"].get("function_name", "").lower()
            if name not in TABLE_FUNCTIONS or self._is_qualified(node["function"]):
                self._refuse(f"the table function {name}()")
        elif kind and kind not in RELATIONS | MODIFIERS and not kind.startswith("ORDER_") and kind not in ("ASCENDING", "DESCENDING"):
            self._refuse(f"a {kind.lower().replace('_', ' ')}")
        if node.get("class") == "COLUMN_REF" and str(node.get("column_names", [""])[-1]).lower() in CLOCK:
            self._refuse(f"the clock ({node['column_names'][-1]})")
        if node.get("class") in ("FUNCTION", "WINDOW"):
            name = str(node.get("function_name", "")).lower()
            if self._is_qualified(node) or name not in _functions() | TABLE_FUNCTIONS:
                self._refuse(f"the function {name}()")

    def _table(self, node: dict[str, Any], ctes: frozenset[str]) -> Iterator[str]:
        name = str(node.get("table_name", "")).lower()
        if self._is_qualified(node) or node.get("at_clause"):
            self._refuse(f"the table {'.'.join(node.get('qualified_name', {}).get('path', [name]))}")
        if name in self._files:  # also where an inner query has the same name: what may be read is never missed
            yield name
        elif name not in ctes:
            self._refuse(f"the table {name[:80]!r}")

    @staticmethod
    def _is_qualified(node: dict[str, Any]) -> bool:
        return len(node.get("qualified_name", {}).get("path", [])) != 1 or bool(node.get("schema_name") or node.get("catalog_name"))

    def _refuse(self, what: str) -> None:
        raise UserOpsError(
            f"{self._place} uses {what}, which a mapping may not; it is one select over its declared files ({', '.join(sorted(self._files))})"
            " with functions that answer from their arguments alone."
        )
