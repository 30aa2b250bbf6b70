"""The delivery, night by night, against a tool that fails as it is told to: what is sent, what is remembered, what stops a list."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

import duckdb
import pytest

from userops_pipeline.deliver.audiences import Batch
from userops_pipeline.deliver.delivery import DeliveryReport, deliver
from userops_pipeline.deliver.destinations.webhook import Webhook
from userops_pipeline.deliver.ledger import Ledger
from userops_pipeline.ground.home import Home, UserOpsError

Publish = Callable[..., tuple[Any, str, date]]
MakeList = Callable[..., Any]


@pytest.fixture
def send(home: Home, tool_url: str, publish: Publish, make_list: MakeList) -> Callable[..., DeliveryReport]:
    """Publish these people as the list of a night and deliver it."""

    def send(
        night: int, people: dict[str, Any], *, spec: Any = None, allow: tuple[str, ...] = (), rebuilt: str = "", **more: Any
    ) -> DeliveryReport:
        spec = spec or make_list(**({"name": more.pop("spec_name")} if "spec_name" in more else {}))
        changes: dict[str, Any] = {"max_batch": 2, "attempts": 2} | more
        asked = {name: changes.pop(name) for name in ("dry_run", "untold", "age_days", "declared") if name in changes}
        written = {name: changes.pop(name) for name in ("twice", "users", "new") if name in changes}
        spoil = changes.pop("spoil", False)
        destination = Webhook(**{"url": tool_url, "live": True, "allow_loopback": True, "backoff_s": 0.01, "timeout_s": 0.3} | changes)
        generation = publish(night, people, spec=spec, rebuilt=rebuilt, **written)
        if spoil:
            (generation[0] / "exports" / "audiences.parquet").write_bytes(b"PAR1 no more")
        (report, *others) = deliver(home, *generation, [spec], {"webhook": destination}, allow_removals=allow, **asked)
        assert not any(other.needs_attention for other in others)
        assert report.planned == report.added + report.updated + report.removed == report.sent + report.held + report.failed
        return report

    return send


def people(*names: str, **changed: str) -> dict[str, str]:
    return {f"{name}@x.org": name for name in names} | {f"{name}@x.org": value for name, value in changed.items()}


def ledger_rows(home: Home, query: str) -> list[tuple]:
    con = sqlite3.connect(home.exports / "ledger.sqlite")
    try:
        return con.execute(query).fetchall()
    finally:
        con.close()


# --- the difference, night after night -------------------------------------------------------------------------------------------


def test_each_night_sends_only_what_changed_and_the_tool_ends_with_the_list(send: Any, tool: Any) -> None:
    first = send(0, people("a", "b", "c"))
    second = send(1, people("b", "d", c="changed"))

    assert (first.outcome, first.added, first.sent, first.calls) == ("sent", 3, 3, 2)
    assert (second.added, second.updated, second.removed, second.sent) == (1, 1, 1, 3)
    assert tool.lists["win_back"] == {f"{n}@x.org": {"first_name": v} for n, v in {"b": "b", "c": "changed", "d": "d"}.items()}
    assert second.sentence == "win_back: 1 added, 1 updated, 1 removed at webhook."


def test_whoever_must_go_goes_first(send: Any, tool: Any) -> None:
    send(0, people("a", "b"))
    send(1, people("b", "c", b="changed"))
    assert [body["action"] for _, body, _ in tool.requests] == ["add", "remove", "update", "add"]


def test_a_second_delivery_of_a_generation_makes_no_call(send: Any, tool: Any) -> None:
    send(0, people("a", "b", "c"))
    calls = len(tool.requests)

    again = send(0, people("a", "b", "c"))

    assert (again.outcome, again.calls, again.planned, len(tool.requests)) == ("nothing", 0, 0, calls)


def test_a_person_who_comes_back_is_added_again(send: Any, tool: Any) -> None:
    for night, names in enumerate(["ab", "b", "ab"]):
        send(night, people(*names))
    assert tool.effects["add", "a@x.org"] == 2 and set(tool.lists["win_back"]) == {"a@x.org", "b@x.org"}


def test_a_changed_mapping_sends_everybody_again_as_updates(send: Any, tool: Any, make_list: MakeList) -> None:
    send(0, people("a", "b"))
    report = send(1, people("a", "b"), spec=make_list(fields={"given_name": "name"}))
    assert (report.added, report.updated, report.removed) == (0, 2, 0)
    assert tool.lists["win_back"]["a@x.org"] == {"given_name": "a"}


@pytest.mark.parametrize("mode", ["mirror", "additive", "enrich"])
def test_whoever_withdraws_is_removed_at_the_tool_in_every_mode_and_who_only_leaves_the_segment_by_a_mirror(
    send: Any, tool: Any, make_list: MakeList, say: Any, mode: str
) -> None:
    spec = make_list(mode=mode)
    send(0, people("a", "b", "c"), spec=spec)
    say("a@x.org", state="unsubscribed")
    report = send(1, people("c"), spec=spec)
    assert tool.effects["remove", "a@x.org"] == 1 and tool.effects["remove", "b@x.org"] == (mode == "mirror")
    assert report.withdrawn == 1 and send(1, people("c"), spec=spec).calls == 0


# --- the newest word ---------------------------------------------------------------------------------------------------------------


def test_who_withdrew_after_the_generation_was_built_is_not_sent_and_leaves(send: Any, tool: Any, say: Any) -> None:
    """The night after was held by its gate: its withdrawals lie in the lake, and the generation still holds the people."""
    send(0, people("a", "b"))
    say("a@x.org", "new@x.org", state="unsubscribed")
    report = send(1, people("a", "b", "new"), new=())
    assert (report.withdrawn, report.aside) == (1, {"not permitted any more": 2})
    assert set(tool.lists["win_back"]) == {"b@x.org"} and ("add", "new@x.org") not in tool.effects


def test_a_suppression_an_exclusion_and_an_erased_person_leave_like_a_withdrawal(send: Any, tool: Any, say: Any, home: Home) -> None:
    send(0, people("a", "b", "c", "d"))
    say(stop={"contact_point": "a@x.org"})
    say(stop={"user_id": "u-b"})
    for file in home.raw.glob("consents/*/*.parquet"):
        with duckdb.connect() as con:
            con.execute(f"create table t as from '{file}' where contact_point <> 'c@x.org'; copy t to '{file}'")
    assert send(1, people("d")).withdrawn == 3 and set(tool.lists["win_back"]) == {"d@x.org"}


def test_a_member_matched_by_user_id_leaves_with_the_address_they_were_sent_with(
    home: Home, send: Any, tool: Any, make_list: MakeList, say: Any
) -> None:
    """They have another address, which may be used; the tool has the old one until the held update goes."""
    spec = make_list(match_key="user_id", fields={"mail": "contact_point"})
    send(0, people("a", "b"), spec=spec, untold=())
    assert tool.lists["win_back"] == {"u-a": {"mail": "a@x.org"}, "u-b": {"mail": "b@x.org"}}
    say("a@x.org", state="unsubscribed")
    say("a@x.org", user="u-a", address="new@x.org")
    held = send(0, people("a", "b"), spec=spec, untold=["a file is late"])
    assert held.withdrawn == 1 and set(tool.lists["win_back"]) == {"u-b"}


def test_a_parked_batch_is_not_replayed_after_an_address_changed(send: Any, tool: Any, say: Any, make_list: MakeList) -> None:
    spec = make_list(match_key="user_id", fields={"mail": "contact_point"})
    tool.script = ["timeout_after", "timeout_after"]
    send(0, people("a"), spec=spec)
    assert tool.lists["win_back"] == {"u-a": {"mail": "a@x.org"}}
    say("a@x.org", state="unsubscribed")
    say("a@x.org", user="u-a", address="new@x.org")
    send(1, {"new@x.org": {"mail": "new@x.org"}}, spec=spec, users={"new@x.org": "u-a"})
    assert tool.lists["win_back"] == {"u-a": {"mail": "new@x.org"}}
    assert [body["action"] for key, body, _ in tool.requests if key != tool.keys[0]] == ["remove", "add"]


def test_who_withdraws_while_the_list_is_sent_is_in_no_later_batch_and_in_no_further_try(send: Any, tool: Any, say: Any) -> None:
    def withdraw() -> None:
        tool.on_request = lambda: None
        say("a@x.org", "c@x.org", state="unsubscribed")

    tool.on_request, tool.script = withdraw, [{"status": 503}]
    report = send(0, people("a", "b", "c"), attempts=5, timeout_s=20)
    assert (report.outcome, len(tool.requests), tool.effects) == ("incomplete", 1, {})
    send(0, people("a", "b", "c"))
    assert tool.effects == {("add", "b@x.org"): 1, ("remove", "a@x.org"): 1}

    def withdraw_again() -> None:
        tool.on_request = lambda: None
        say("y@x.org", "z@x.org", state="unsubscribed")

    tool.on_request = withdraw_again
    report = send(1, people("b", "w", "x", "y", "z"), timeout_s=20)
    assert report.outcome == "stopped" and "newer words" in report.sentence
    assert not {"y@x.org", "z@x.org"} & set(tool.lists["win_back"])


def test_a_home_without_a_lake_sends_nothing(home: Home, send: Any, tool: Any) -> None:
    send(0, people("a"))
    shutil.rmtree(home.raw)
    with pytest.raises(UserOpsError, match="has no lake"):
        send(1, people("a", "b"), new=())
    assert len(tool.requests) == 1


# --- what is held, and what never is -----------------------------------------------------------------------------------------------

HOLDS: dict[str, dict[str, Any]] = {
    "a file is missing": {"untold": ["consents.csv is refused"]},
    "the generation is too old": {"age_days": 4},
    "it goes back in time": {"night": 0},
    "it has another identity": {"spec": {"match_key": "user_id", "fields": {}}},
    "it asks for another consent": {"spec": {"purpose": "service"}},
    "the audiences cannot be read": {"spoil": True},
    "a word names nobody": {"stop": {"reason": "unreadable"}},
    "its rules take too many": {"people": people("new")},
    "it is empty": {"people": {}},
}


@pytest.mark.parametrize("hold", HOLDS)
def test_whatever_holds_a_list_holds_no_withdrawal(
    send: Any, tool: Any, make_list: MakeList, say: Any, publish: Publish, hold: str
) -> None:
    how = dict(HOLDS[hold])
    send(1, people(*"abcdef"))
    say("a@x.org", "b@x.org", "c@x.org", "d@x.org", state="unsubscribed", stop=how.pop("stop", None))
    report = send(
        how.pop("night", 1),
        how.pop("people", people(*"abcdef", "new", e="changed")),
        spec=make_list(**how.pop("spec", {})),
        **how,
    )
    assert report.outcome == "held" and report.needs_attention and report.withdrawn == 4
    assert "4 removed who may not be contacted any more" in report.sentence
    assert set(tool.lists["win_back"]) == {"e@x.org", "f@x.org"} and tool.lists["win_back"]["e@x.org"] == {"first_name": "e"}


@pytest.mark.parametrize("how", [{"untold": ["consents.csv is refused"]}, {"age_days": 4}])
def test_a_hold_names_its_reason_and_is_none_where_nothing_waits(send: Any, tool: Any, how: dict[str, Any]) -> None:
    send(0, people("a"))
    held = send(0, people("a", "b"), **how)
    assert held.outcome == "held" and "1 rows wait" in held.sentence and ("refused" in held.sentence or "4 days behind" in held.sentence)
    assert send(0, people("a"), **how).outcome == "nothing"


def test_a_word_that_names_neither_user_nor_address_holds_its_channel_and_purpose_only(send: Any, say: Any, make_list: MakeList) -> None:
    send(0, people("a"))
    say(stop={"channel": "sms", "reason": "unreadable"})
    assert send(0, people("a", "b")).outcome == "sent"
    say(stop={"channel": "email", "reason": "unreadable"})
    held = send(0, people("a", "b", "c"))
    assert (held.outcome, held.withdrawn) == ("held", 0) and "1 word(s)" in held.sentence and "quarantine list" in held.sentence


def test_a_list_that_is_declared_no_more_still_loses_who_withdraws(send: Any, tool: Any, say: Any) -> None:
    send(0, people("a", "b"))
    say("a@x.org", state="unsubscribed")
    send(1, people("z"), spec_name="other", declared={"other"})
    assert set(tool.lists["win_back"]) == {"b@x.org"}


def test_people_who_share_a_match_value_are_set_aside_and_the_others_go(send: Any, tool: Any, home: Home, make_list: MakeList) -> None:
    report = send(0, people("a", "b", "k"), twice=("k@x.org",))
    assert (report.outcome, report.aside) == ("sent", {"who share a email": 2}) and "2 who share a email" in report.sentence
    assert set(tool.lists["win_back"]) == {"a@x.org", "b@x.org"}
    assert send(0, people("a", "b", "k"), twice=("k@x.org",)).calls == 0


# --- partial failure -------------------------------------------------------------------------------------------------------------


def test_only_rows_that_failed_are_tried_again_and_they_stay_in_sight(send: Any, tool: Any, home: Home) -> None:
    tool.script = [{"failing": {"a@x.org": "invalid_address"}}]
    first = send(0, people("a", "b", "c"))
    with Ledger.open(home, read_only=True) as ledger:
        (state,) = ledger.states()
    tool.script = [{"failing": {"a@x.org": "mailbox_full"}}]
    second = send(0, people("a", "b", "c"))
    attempts = ledger_rows(home, "select error_class, attempts from dead_rows")
    third = send(1, people("a", "b", "c"))

    assert (first.outcome, first.sent, first.failed, first.calls) == ("incomplete", 2, 1, 2)
    assert (state.members, state.dead_rows) == (2, {"invalid_address": 1})
    assert (second.calls, second.failed) == (1, 1) and attempts == [("mailbox_full", 2)]
    assert (third.calls, third.sent) == (1, 1) and ledger_rows(home, "select count(*) from dead_rows") == [(0,)]
    assert tool.effects == {("add", f"{name}@x.org"): 1 for name in "abc"}
    assert len(set(tool.keys)) == len(tool.keys), "a row tried anew needs a new key, or the tool would repeat its old answer"


def test_a_removal_that_failed_is_tried_again(send: Any, tool: Any) -> None:
    send(0, people("a", "b"))
    tool.script = [{"failing": {"a@x.org": "locked"}}]
    assert send(1, people("b")).failed == 1
    assert send(2, people("b")).removed == 1
    assert tool.effects["remove", "a@x.org"] == 1


def test_a_dead_row_is_forgotten_when_its_person_leaves_the_list(send: Any, tool: Any, home: Home) -> None:
    tool.script = [{"failing": {"a@x.org": "invalid_address"}}]
    send(0, people("a", "b"))
    send(1, people("b"))
    assert ledger_rows(home, "select count(*) from dead_rows") == [(0,)]


def test_a_batch_that_fails_for_ever_is_parked_and_goes_first_next_night_under_its_key(send: Any, tool: Any, home: Home) -> None:
    tool.script = [{"status": 500}] * 2
    first = send(0, people("a", "b", "c"))
    states = ledger_rows(home, "select state, error_class from batches order by state")
    second = send(1, people("a", "b", "c", "d"))

    assert (first.outcome, first.sent, first.failed, first.held) == ("incomplete", 0, 2, 1) and "http_500" in first.sentence
    assert states == [("parked", "http_500"), ("planned", None)]
    assert (second.outcome, second.sent) == ("sent", 4)
    assert tool.keys[0] == tool.keys[1] == tool.keys[2] != tool.keys[3]
    assert tool.effects == {("add", f"{name}@x.org"): 1 for name in "abcd"}


def test_a_parked_batch_holds_back_its_own_rows_only(send: Any, tool: Any) -> None:
    """A batch the tool can never swallow must not keep the opted-out of the other batches on the list."""
    send(0, people("x", "y"))
    tool.script = [{"status": 500}] * 2
    send(1, people("a", "b", "x", "y"))
    tool.script = [{"status": 500}] * 2
    report = send(2, people("a", "b", "y"))
    assert (report.outcome, report.removed, report.sent, report.failed) == ("incomplete", 1, 1, 2)
    assert set(tool.lists["win_back"]) == {"y@x.org"}
    assert send(3, people("a", "b", "y")).sent == 2


def test_a_batch_of_unknown_outcome_is_not_sent_again_for_whoever_has_left_since(send: Any, tool: Any) -> None:
    """Consent withdrawn between two tries: nobody asks the tool to take the person again, and a mirror takes them off in any case."""
    tool.script = ["timeout_after", "timeout_after"]
    send(0, people("a", "b"))
    first_key = tool.keys[0]
    assert set(tool.lists["win_back"]) == {"a@x.org", "b@x.org"}

    send(1, people("b", "c"))

    later = [body for key, body, _ in tool.requests if key != first_key]
    assert tool.keys.count(first_key) == 2
    assert all(row["match_value"] != "a@x.org" for body in later if body["action"] != "remove" for row in body["rows"])
    assert set(tool.lists["win_back"]) == {"b@x.org", "c@x.org"}
    assert send(2, people("b", "c")).calls == 0


def test_a_rules_removal_of_unknown_outcome_is_not_sent_again_once_the_list_may_not_remove(
    send: Any, tool: Any, make_list: MakeList
) -> None:
    send(0, people("a", "b"))
    tool.script = [{"status": 500}] * 2
    send(1, people("b"))
    report = send(2, people("b"), spec=make_list(mode="additive"))
    assert (report.outcome, report.calls) == ("nothing", 0) and ("remove", "a@x.org") not in tool.effects


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "reset", "reset_after", "half"])
def test_a_call_cut_off_on_every_try_takes_effect_once_by_the_next_night(send: Any, tool: Any, fault: str) -> None:
    tool.script = [fault, fault]
    assert send(0, people("a", "b")).outcome == "incomplete"
    send(1, people("a", "b"))
    assert tool.effects == {("add", "a@x.org"): 1, ("add", "b@x.org"): 1} and len(set(tool.keys)) == 1


@pytest.mark.parametrize("body", ["<html></html>", "", '{"ok": true}'], ids=["html", "empty", "wrong json"])
def test_an_answer_that_says_nothing_is_resolved_next_night(send: Any, tool: Any, body: str) -> None:
    tool.script = [{"body": body}]
    report = send(0, people("a"))
    assert (report.outcome, report.sent, report.failed) == ("incomplete", 0, 1)
    assert send(0, people("a")).sent == 1
    assert tool.effects == {("add", "a@x.org"): 1}


@pytest.mark.parametrize("answer", [{"status": 401}, {"status": 302, "Location": "http://127.0.0.1:9/"}], ids=["token revoked", "redirect"])
def test_a_tool_that_refuses_us_midway_is_not_asked_again_tonight(send: Any, tool: Any, answer: dict) -> None:
    tool.script = ["ok", answer]
    report = send(0, people("a", "b", "c", "d", "e"))
    assert (report.outcome, report.sent, report.failed, report.held, report.calls) == ("incomplete", 2, 2, 1, 2)
    assert send(1, people("a", "b", "c", "d", "e")).sent == 3
    assert set(tool.effects.values()) == {1}


def test_a_rejected_batch_does_not_keep_the_others_from_going(send: Any, tool: Any, home: Home) -> None:
    tool.script = [{"status": 422}]
    report = send(0, people("a", "b", "c"))
    assert (report.sent, report.failed, report.held) == (1, 2, 0)
    assert ledger_rows(home, "select distinct error_class from dead_rows") == [("http_422",)]


# --- guards ----------------------------------------------------------------------------------------------------------------------


def test_an_empty_list_removes_nobody_until_somebody_says_so(send: Any, tool: Any) -> None:
    send(0, people("a", "b"))
    held = send(1, {})
    assert (held.outcome, held.calls, held.held) == ("held", 0, 2) and "--allow-removals win_back" in held.sentence
    assert len(tool.lists["win_back"]) == 2
    assert send(1, {}, allow=("win_back",)).removed == 2


def test_a_list_that_loses_more_than_its_share_stops_whole_until_somebody_says_so(send: Any, tool: Any) -> None:
    send(0, people("a", "b", "c", "d"))
    held = send(1, people("a", "z"))
    assert (held.outcome, held.calls, held.added, held.removed) == ("held", 0, 1, 3)
    assert "3 of 4 members would be removed" in held.sentence
    assert send(1, people("a", "z"), allow=("other_list",)).outcome == "held"
    assert send(1, people("a", "z"), allow=("win_back",)).outcome == "sent"
    assert set(tool.lists["win_back"]) == {"a@x.org", "z@x.org"}


def test_a_list_removes_only_whom_it_has_sent(send: Any, tool: Any) -> None:
    tool.lists["win_back"] = {"theirs@x.org": {}}
    send(0, people("a", "b"))
    send(1, people("b"))
    assert set(tool.lists["win_back"]) == {"theirs@x.org", "b@x.org"}


def test_an_older_generation_is_not_delivered_after_a_newer_one(send: Any, tool: Any) -> None:
    """After a rollback the old list may hold people who have withdrawn consent since."""
    send(1, people("b"))
    held = send(0, people("a", "b"))
    assert held.outcome == "held" and "withdrawn consent" in held.sentence and ("add", "a@x.org") not in tool.effects
    assert send(1, people("b"), rebuilt="_again").outcome == "nothing"


@pytest.mark.parametrize("change", [{"match_key": "user_id"}, {"mode": "enrich"}, {"purpose": "service"}], ids=str)
def test_a_list_that_becomes_another_one_needs_another_name(send: Any, make_list: MakeList, change: dict) -> None:
    send(0, people("a"))
    assert send(1, people("a"), spec=make_list(**change)).outcome == "held"
    assert send(1, people("a"), spec=make_list(mode="additive")).outcome == "nothing"


def test_a_held_list_is_told_and_the_others_go_on(home: Home, publish: Publish, make_list: MakeList, tool: Any, tool_url: str) -> None:
    spec, stray = make_list(), make_list(name="stray", tool="nowhere")
    destination = Webhook(url=tool_url, live=True, allow_loopback=True)
    reports = deliver(home, *publish(0, people("a"), spec=spec), [stray, spec], {"webhook": destination})
    assert [(report.list_name, report.outcome) for report in reports] == [("stray", "held"), ("win_back", "sent")]
    assert "no destination named nowhere" in reports[0].sentence
    assert [report.needs_attention for report in reports] == [True, False]


# --- dry run, ledger, lock -------------------------------------------------------------------------------------------------------


def test_a_dry_run_calls_nobody_and_leaves_no_trace(send: Any, tool: Any, home: Home) -> None:
    report = send(0, people("a", "b", "c"), dry_run=True)
    assert (report.outcome, report.added, report.held, report.calls) == ("dry_run", 3, 3, 0)
    assert tool.requests == [] and not home.exports.exists()


def test_a_dry_run_tells_the_difference_that_the_delivery_then_sends(send: Any) -> None:
    send(0, people("a", "b"))
    dry = send(1, people("b", "c"), dry_run=True)
    real = send(1, people("b", "c"))
    assert (dry.added, dry.updated, dry.removed) == (real.added, real.updated, real.removed) == (1, 0, 1)


def test_a_destination_that_is_not_live_is_a_dry_run(send: Any, tool: Any, home: Home) -> None:
    report = send(0, people("a"), live=False)
    assert report.outcome == "dry_run" and "webhook is not live" in report.sentence
    assert tool.requests == [] and send(0, people("a")).added == 1


def test_the_ledger_is_private_durable_and_keeps_no_payload_of_what_is_done(send: Any, tool: Any, home: Home) -> None:
    tool.script = ["ok", {"status": 401}]
    send(0, people("a", "b", "c"))
    assert stat.S_IMODE((home.exports / "ledger.sqlite").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.exports.stat().st_mode) == 0o700
    assert ledger_rows(home, "pragma journal_mode") == [("wal",)]
    assert Counter(ledger_rows(home, "select state, payload is null from batches")) == {("acked", 1): 1, ("refused", 1): 1}
    with Ledger.open(home) as ledger:
        assert ledger._con.execute("pragma synchronous").fetchone() == (2,)


def test_nothing_is_sent_that_the_ledger_cannot_record(send: Any, tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Ledger, "sending", full)
    with pytest.raises(UserOpsError, match="nothing more is sent"):
        send(0, people("a"))
    assert tool.requests == []
    monkeypatch.undo()
    send(0, people("a"))
    assert tool.effects == {("add", "a@x.org"): 1}


def test_a_delivery_started_while_another_runs_makes_no_call(
    home: Home, send: Any, tool: Any, publish: Publish, make_list: MakeList
) -> None:
    refusals: list[str] = []

    def start_another() -> None:
        tool.on_request = lambda: None
        with pytest.raises(UserOpsError) as refused:
            deliver(home, *publish(0, people("a"), spec=make_list()), [make_list()], {})
        refusals.append(str(refused.value))

    tool.on_request = start_another
    assert send(0, people("a"), timeout_s=5).sent == 1
    assert len(tool.requests) == 1 and "under way" in refusals[0]


def test_no_sentence_and_no_recorded_word_but_the_ledgers_own_rows_names_a_person(send: Any, tool: Any, home: Home) -> None:
    tool.script = [{"failing": {"canary1@x.org": "canary1@x.org is bad"}}, {"status": 401}]
    told = [send(0, people("canary1", "canary2", "canary3")), send(1, {}), send(2, people("canary2"))]
    assert "canary" not in " ".join(report.model_dump_json() for report in told)
    assert "canary" not in str(ledger_rows(home, "select * from deliveries")) + str(ledger_rows(home, "select error_class from dead_rows"))


def test_a_crash_of_the_destination_itself_leaves_the_batch_to_be_sent_again(
    home: Home, publish: Publish, make_list: MakeList, send: Any, tool: Any
) -> None:
    class Broken:
        name, max_batch, live = "webhook", 10, True

        def send(self, batch: Batch, go_on: Callable[[], bool] = lambda: True) -> Any:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        deliver(home, *publish(0, people("a"), spec=make_list()), [make_list()], {"webhook": Broken()})
    assert ledger_rows(home, "select state from batches") == [("sending",)]
    assert send(0, people("a")).sent == 1
