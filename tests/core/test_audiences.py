"""What is on a list, what differs from what its tool has, and when a list must stop, without any tool."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from pydantic import ValidationError

from userops_pipeline.core.audiences import PERMITTED, UNKNOWN_FIELDS, ListSpec, ListStopped, Row, difference, guard_removals, read_list


def spec(**changes: object) -> ListSpec:
    plain = {
        "name": "win_back",
        "tool": "csv_file",
        "segment": "lapsed_users",
        "mode": "mirror",
        "match_key": "email",
        "channel": "email",
        "purpose": "marketing",
        "fields": {"email": "email", "first_name": "name"},
    }
    return ListSpec.model_validate(plain | changes)


def generation(folder: Path, rows: list[tuple[str | None, str | None]], *, audience: str = "win_back", tool: str = "csv_file") -> Path:
    (folder / "exports").mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute("create table t (audience text, tool text, user_id text, match_value text, contact_point text, fields text)")
        if rows:
            con.executemany("insert into t values (?, ?, 'u', ?, 'c', ?)", [(audience, tool, *row) for row in rows])
        con.execute(f"copy t to '{folder / 'exports' / 'audiences.parquet'}'")
    return folder


def fields(name: str | None) -> str:
    return json.dumps({"email": None, "first_name": name}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("mode", "sent"),
    [
        ("mirror", {"add": ["new"], "update": ["changed"], "remove": ["gone"]}),
        ("additive", {"add": ["new"], "update": ["changed"], "remove": []}),
        ("enrich", {"add": [], "update": ["new", "changed"], "remove": []}),
    ],
)
def test_a_mode_sends_only_what_its_permissions_say(mode: str, sent: dict[str, list[str]]) -> None:
    rows = {value: Row(value, {"first_name": value}) for value in ("new", "changed", "same")}
    members = {"changed": "old", "same": rows["same"].checksum, "gone": "old"}

    found = difference(spec(mode=mode), rows, members)

    assert {action: [row.match_value for row in changed] for action, changed in found.items()} == sent
    assert all(row.fields is None for row in found["remove"])


def test_no_mode_but_mirror_may_remove_and_enrich_may_only_update() -> None:
    assert [mode for mode, permitted in PERMITTED.items() if "remove" in permitted.values()] == ["mirror"]
    assert set(PERMITTED["enrich"].values()) == {"update"}


def test_a_member_of_unknown_membership_is_added_again_or_removed_and_one_of_unknown_fields_is_updated() -> None:
    rows = {value: Row(value, {}) for value in ("here", "fields_unknown")}
    found = difference(spec(), rows, {"here": None, "away": None, "fields_unknown": UNKNOWN_FIELDS})
    assert {action: [row.match_value for row in changed] for action, changed in found.items()} == {
        "add": ["here"],
        "update": ["fields_unknown"],
        "remove": ["away"],
    }


def test_rows_waiting_in_an_unresolved_batch_are_left_out_of_every_change() -> None:
    rows = {value: Row(value, {}) for value in ("new", "changed")}
    assert not any(difference(spec(), rows, {"changed": "old", "gone": "old"}, {"new", "changed", "gone"}).values())


def test_a_changed_mapping_is_a_change_of_every_row_and_its_order_is_none() -> None:
    before = Row("a", {"first_name": "Ann", "city": "X"})
    assert Row("a", {"city": "X", "first_name": "Ann"}).checksum == before.checksum
    assert Row("a", {"name": "Ann", "city": "X"}).checksum != before.checksum
    assert Row("a", {"first_name": "Ann"}).checksum != before.checksum


def test_a_list_is_read_with_its_mapped_fields_in_the_mappings_order(tmp_path: Path) -> None:
    folder = generation(tmp_path, [("b@x.org", '{"first_name": "李雷", "email": "b@x.org"}'), ("a@x.org", '{"email": "a@x.org"}')])

    rows = read_list(folder, spec())

    assert list(rows) == ["a@x.org", "b@x.org"]
    assert list(rows["b@x.org"].fields or {}) == ["email", "first_name"]
    assert rows["a@x.org"].fields == {"email": "a@x.org", "first_name": None}


def test_another_list_or_another_tools_list_is_not_read(tmp_path: Path) -> None:
    assert read_list(generation(tmp_path / "a", [("a", fields("A"))], audience="other"), spec()) == {}
    assert read_list(generation(tmp_path / "b", [("a", fields("A"))], tool="webhook"), spec()) == {}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("secret@x.org", fields("A")), ("secret@x.org", fields("B"))], "occur more than once"),
        ([(None, fields("Secret")), ("a", fields("B"))], "1 of its 2 rows have no email"),
        ([("  ", fields("Secret"))], "1 of its 1 rows have no email"),
        ([("secret@x.org", '{"nickname": "Secret"}')], "built with other fields"),
        ([("secret@x.org", '["Secret"]')], "built with other fields"),
        ([("secret@x.org", '{"first_name": "Secret')], "cannot be read"),
    ],
    ids=["duplicate", "null", "blank", "other fields", "no object", "no JSON"],
)
def test_a_list_that_cannot_be_matched_or_read_stops_without_naming_anybody(tmp_path: Path, rows: list, sentence: str) -> None:
    with pytest.raises(ListStopped, match=sentence) as stopped:
        read_list(generation(tmp_path, rows), spec())
    assert "secret" not in str(stopped.value).lower()
    assert stopped.value.__context__ is None or stopped.value.__suppress_context__  # a traceback would show the row


def test_a_generation_without_audiences_stops_the_list(tmp_path: Path) -> None:
    with pytest.raises(ListStopped, match="cannot be read"):
        read_list(tmp_path, spec())


@pytest.mark.parametrize(
    ("rows", "members", "removals", "stops"),
    [(50, 100, 50, False), (49, 100, 51, True), (0, 1, 1, True), (0, 0, 0, False), (0, 10, 0, False), (100, 100, 0, False)],
)
def test_removals_stop_above_the_allowed_share_and_always_when_the_list_is_empty(
    rows: int, members: int, removals: int, stops: bool
) -> None:
    if not stops:
        guard_removals(spec(), rows=rows, members=members, removals=removals)
        return
    with pytest.raises(ListStopped, match="userops deliver --allow-removals win_back"):
        guard_removals(spec(), rows=rows, members=members, removals=removals)


def test_no_share_allows_an_empty_list_to_remove_everybody() -> None:
    with pytest.raises(ListStopped, match="it is empty"):
        guard_removals(spec(max_removed_share=1), rows=0, members=9, removals=9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../up"},
        {"name": "Win Back"},
        {"mode": "sync"},
        {"match_key": "device"},
        {"max_removed_share": 1.5},
        {"purpose": ""},
        {"fields": {"email": "name"}},
        {"colour": "red"},
    ],
    ids=str,
)
def test_a_wrong_list_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        spec(**wrong)


def test_the_match_field_is_what_the_tool_calls_the_key() -> None:
    assert spec(fields={"external_id": "user_id"}, match_key="user_id").match_field == "external_id"
    assert spec(fields={"first_name": "name"}, match_key="user_id").match_field == "user_id"
