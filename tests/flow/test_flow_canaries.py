"""Where personal values lie in a home, after nights that went well and after one that did not: in the places named here and nowhere else.

Add a place only with the reason why it needs the value, and in docs/operate/access.md too. Must not allow a place for one of its files' sake.
"""

from __future__ import annotations

import csv
import re
from fnmatch import fnmatch
from pathlib import Path

import duckdb
import pytest
from flow_harness import LAST, FlowShop, Shelf

from tests.canaries import scan

# The list in docs/operate/access.md: "Where personal values lie".
ALLOWED = (
    "lake/landing/*",  # what was delivered, byte by byte
    "lake/refused/*",  # what was delivered and refused
    "lake/raw/users/*.parquet",
    "lake/raw/consents/*.parquet",
    "lake/raw/suppressions/*.parquet",
    "lake/raw/touches/*.parquet",
    "lake/quarantine/*.parquet",  # records set aside, as they came
    "warehouse/userops.duckdb",  # and in it, the tables below
    "warehouse/userops.duckdb.wal",
    "published/generations/*/exports/audiences.parquet",
    "exports/*",  # the lists, and the ledger's batches
)
ALLOWED_TABLES = ("intermediate.int_contact_point", "intermediate.int_contact_permission", "intermediate.int_consent", "exports.audiences")


@pytest.fixture(scope="module")
def canaries(shop: FlowShop) -> list[str]:
    """What a dozen users have in every personal column, and their postal addresses."""
    text = (shop.folder / "drops" / "drops" / "2026-03-01" / "users.csv").read_text(encoding="gb18030")
    people = [row for row in csv.DictReader(text.splitlines()) if row["staff"] == "0"][:12]
    found = {row[column].strip() for row in people for column in ("mobile", "email", "nickname") if len(row[column].strip()) > 2}
    found |= {f"门牌{row['user_no']}" for row in people}
    assert len(found) > 30
    return sorted(found)


def strays(home: Path, canaries: list[str]) -> list[str]:
    """Files and tables that hold a personal value and are no place for one."""
    found = scan(home, canaries)
    assert found.files > 300, "the whole home is looked at"
    assert any(file.startswith("lake/landing/") for file in found.hits)
    wrong = [file for file in found.hits if not any(fnmatch(file, place) for place in ALLOWED) or file.endswith(".json")]
    any_of_them = "|".join(re.escape(canary.lower()) for canary in canaries)
    with duckdb.connect(str(home / "warehouse" / "userops.duckdb"), read_only=True) as connection:
        for table, columns in connection.execute(
            "select schema_name || '.' || table_name, list(column_name) from duckdb_columns() where data_type = 'VARCHAR' and not internal "
            "and (schema_name, table_name) in (select (schema_name, table_name) from duckdb_tables()) group by 1 order by 1"
        ).fetchall():
            values = " || ' ' || ".join(f"""coalesce("{column}", '')""" for column in columns)
            has = f"select count(*) from {table} where regexp_matches(lower({values}), $1)"
            if table not in ALLOWED_TABLES and connection.execute(has, [any_of_them]).fetchall() != [(0,)]:
                wrong.append(table)
    return wrong


def test_personal_values_lie_where_the_readme_says_and_nowhere_else(shop: FlowShop, clean: Path, canaries: list[str]) -> None:
    """Two strays are planted before the search: it finds them and nothing else."""
    said = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in shop.commands.outputs())
    assert [canary for canary in canaries if canary in said] == []
    (clean / "dagster" / "stray.log").write_text(f"sent to {canaries[0]}", encoding="utf-8")
    with duckdb.connect(str(clean / "warehouse" / "userops.duckdb")) as connection:
        connection.execute("create table marts.stray as select ? as note", [f"for {canaries[0]}"])
    assert sorted(strays(clean, canaries)) == ["dagster/stray.log", "marts.stray"]


def test_a_night_that_fails_leaves_them_nowhere_else(shop: FlowShop, shelf: Shelf, tmp_path: Path, canaries: list[str]) -> None:
    home, spoilt = shelf.bring("eve"), shop.other(tmp_path / "spoilt")
    users, said_before = spoilt.drops(LAST) / "users.csv", set(shop.commands.outputs())
    first = (spoilt.folder / "drops" / "drops" / "2026-03-01" / "users.csv").read_text(encoding="gb18030").splitlines()
    users.write_text("\n".join([*first, '"', *first[1:]]), encoding="gb18030")  # a quote that nothing closes, before everybody again
    (spoilt.folder / "drops" / "consents.csv").write_text("\n".join(first), encoding="utf-8")  # people where the consents should be
    ended = spoilt.nightly(home, LAST, code=1)
    assert "consents.csv" in ended.said
    spoilt.run(home, "quarantine", "list")
    spoilt.run(home, "doctor", code=1)
    assert strays(home, canaries) == []
    said = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in set(shop.commands.outputs()) - said_before)
    assert [canary for canary in canaries if canary in said] == []
