"""What is on a list, what differs from what its tool has, and when a list must stop, without any tool."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from pydantic import ValidationError

from userops_pipeline.deliver.audiences import (
    PERMITTED,
    UNKNOWN_FIELDS,
    ListSpec,
    ListStopped,
    Member,
    Row,
    difference,
    guard_removals,
    read_list,
)


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


def member(checksum: str | None, point: str | None = None) -> Member:
    return Member(checksum, point)


def generation(folder: Path, rows: list[tuple[str | None, str | None]], *, audience: str = "win_back", tool: str = "csv_file") -> Path:
    (folder / "exports").mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute("create table t (audience text, tool text, user_id text, match_value text, contact_point text, fields text)")
        if rows:
            con.executemany("insert into t values ($1, $2, 'u', $3, coalesce($3, ''), $4)", [(audience, tool, *row) for row in rows])
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
    members = {"changed": member("old"), "same": member(rows["same"].checksum), "gone": member("old")}

    found = difference(spec(mode=mode), rows, members)

    assert {action: [row.match_value for row in changed] for action, changed in found.items()} == sent
    assert all(row.fields is None for row in found["remove"])


def test_withdrawals_leave_in_every_mode_and_what_the_rules_say_removes_by_a_mirror_only() -> None:
    assert {permitted["withdrawn"] for permitted in PERMITTED.values()} == {"remove"}
    rules = {
        mode: {change: action for change, action in permitted.items() if change != "withdrawn"} for mode, permitted in PERMITTED.items()
    }
    assert [mode for mode, permitted in rules.items() if "remove" in permitted.values()] == ["mirror"]
    assert set(rules["enrich"].values()) == {"update"}


def test_a_member_of_unknown_membership_is_added_again_or_removed_and_one_of_unknown_fields_is_updated() -> None:
    rows = {value: Row(value, {}) for value in ("here", "fields_unknown")}
    found = difference(spec(), rows, {"here": member(None), "away": member(None), "fields_unknown": member(UNKNOWN_FIELDS)})
    assert {action: [row.match_value for row in changed] for action, changed in found.items()} == {
        "add": ["here"],
        "update": ["fields_unknown"],
        "remove": ["away"],
    }


def test_rows_waiting_in_an_unresolved_batch_are_left_out_of_every_change() -> None:
    rows = {value: Row(value, {}) for value in ("new", "changed")}
    assert not any(difference(spec(), rows, {"changed": member("old"), "gone": member("old")}, {"new", "changed", "gone"}).values())


def test_a_changed_mapping_is_a_change_of_every_row_and_its_order_is_none() -> None:
    before = Row("a", {"first_name": "Ann", "city": "X"})
    assert Row("a", {"city": "X", "first_name": "Ann"}).checksum == before.checksum
    assert Row("a", {"name": "Ann", "city": "X"}).checksum != before.checksum
    assert Row("a", {"first_name": "Ann"}).checksum != before.checksum


def test_a_list_is_read_with_its_mapped_fields_in_the_mappings_order(tmp_path: Path) -> None:
    folder = generation(tmp_path, [("b@x.org", '{"first_name": "李雷", "email": "b@x.org"}'), ("a@x.org", '{"email": "a@x.org"}')])

    rows = read_list(folder, spec()).rows

    assert list(rows) == ["a@x.org", "b@x.org"]
    assert list(rows["b@x.org"].fields or {}) == ["email", "first_name"]
    assert rows["a@x.org"].fields == {"email": "a@x.org", "first_name": None}


def test_another_list_or_another_tools_list_is_not_read(tmp_path: Path) -> None:
    assert read_list(generation(tmp_path / "a", [("a", fields("A"))], audience="other"), spec()).rows == {}
    assert read_list(generation(tmp_path / "b", [("a", fields("A"))], tool="webhook"), spec()).rows == {}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("secret@x.org", '{"nickname": "Secret"}')], "built with other fields"),
        ([("secret@x.org", '["Secret"]')], "built with other fields"),
        ([("secret@x.org", '{"first_name": "Secret')], "cannot be read"),
    ],
    ids=["other fields", "no object", "no JSON"],
)
def test_a_list_that_cannot_be_matched_or_read_stops_without_naming_anybody(tmp_path: Path, rows: list, sentence: str) -> None:
    with pytest.raises(ListStopped, match=sentence) as stopped:
        read_list(generation(tmp_path, rows), spec())
    assert "secret" not in str(stopped.value).lower()
    assert stopped.value.__context__ is None or stopped.value.__suppress_context__  # a traceback would show the row


@pytest.mark.parametrize(
    ("rows", "aside", "untouched"),
    [
        ([("k@x.org", fields("A")), ("k@x.org", fields("B"))], {"who share a email": 2}, {"k@x.org"}),
        ([("k@x.org", fields("A")), (" K@x.org", fields("B"))], {"who share a email": 2}, {"k@x.org", " K@x.org"}),
        ([(None, fields("A")), ("  ", fields("B"))], {"without email": 2}, set()),
    ],
    ids=["one value", "one value written differently", "none"],
)
def test_people_a_tool_could_not_tell_apart_are_set_aside_and_nobody_else(
    tmp_path: Path, rows: list, aside: dict[str, int], untouched: set[str]
) -> None:
    listed = read_list(generation(tmp_path, [*rows, ("b@x.org", fields("B"))]), spec())
    assert (list(listed.rows), dict(listed.aside), listed.untouched) == (["b@x.org"], aside, untouched)


def test_an_address_in_a_text_that_is_none_does_not_leave(tmp_path: Path) -> None:
    """Names and ids are what people and shops made of them."""
    rows: list[tuple[str | None, str | None]] = [
        ("ann@x.org", fields("ann@elsewhere.org")),
        ("bob@x.org", fields(" +8613800138000 ")),
        ("cy@x.org", fields("CY@x.org")),
    ]
    listed = read_list(generation(tmp_path / "names", rows), spec())
    assert [row.fields["first_name"] for row in listed.rows.values() if row.fields] == [None, None, "CY@x.org"]

    by_id = spec(match_key="user_id", channel="postal", fields={})
    with duckdb.connect() as con:
        folder = generation(tmp_path / "ids", [])
        con.execute(
            f"copy (select 'win_back' as audience, 'csv_file' as tool, id as user_id, id as match_value, 'Street 1' as contact_point,"
            f" '{{}}' as fields from (values ('ann@x.org'), ('u2')) t (id)) to '{folder / 'exports' / 'audiences.parquet'}'"
        )
    listed = read_list(folder, by_id)
    assert (list(listed.rows), dict(listed.aside)) == (["u2"], {"whose user_id is an address of another channel": 1})


def test_a_row_matched_by_user_id_carries_the_address_it_is_sent_with_and_no_other(tmp_path: Path) -> None:
    folder = generation(tmp_path, [("b@x.org", '{"mail": "b@x.org"}')])
    (row,) = read_list(folder, spec(match_key="user_id", fields={"mail": "email"})).rows.values()
    assert row.point == "b@x.org" and row.checksum == Row(row.match_value, row.fields).checksum
    (row,) = read_list(folder, spec(match_key="email", fields={"mail": "email"})).rows.values()
    assert row.point is None


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
    held = {str(number): member("known") for number in range(members)}
    if not stops:
        guard_removals(spec(), rows=rows, members=held, removed=list(held)[:removals])
        return
    with pytest.raises(ListStopped, match="userops deliver --allow-removals win_back"):
        guard_removals(spec(), rows=rows, members=held, removed=list(held)[:removals])


def test_no_share_allows_an_empty_list_to_remove_everybody() -> None:
    with pytest.raises(ListStopped, match="it is empty"):
        guard_removals(spec(max_removed_share=1), rows=0, members={"a": member("x")}, removed={"a"})


def test_of_whom_nobody_knows_whether_the_tool_has_them_the_share_says_nothing() -> None:
    held = {"a": member("x"), "b": member("x"), **{str(number): member(None) for number in range(100)}}
    guard_removals(spec(), rows=2, members=held, removed=held.keys() - {"a", "b"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../up"},
        {"name": "Win Back"},
        {"mode": "sync"},
        {"match_key": "device"},
        {"max_removed_share": 1.5},
        {"max_age_days": -1},
        {"channel": "postal"},
        {"fields": {"call": "phone"}},
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
