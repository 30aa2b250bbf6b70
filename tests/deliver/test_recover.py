"""A lost ledger and the way back: nothing is sent without it, and by the next delivery nobody who has withdrawn is left at a tool."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from userops_pipeline.deliver.delivery import DeliveryReport, deliver
from userops_pipeline.deliver.destinations.csv_file import CsvFile
from userops_pipeline.deliver.destinations.webhook import Webhook
from userops_pipeline.deliver.ledger import Ledger, LedgerLost, health, lost_lists
from userops_pipeline.deliver.recover import recover
from userops_pipeline.ground.home import Home, UserOpsError

NIGHT = date(2026, 3, 1)


@pytest.fixture
def tools(home: Home, tool_url: str) -> dict[str, Any]:
    return {"csv_file": CsvFile(home.exports), "webhook": Webhook(url=tool_url, live=True, allow_loopback=True)}


@pytest.fixture
def send(home: Home, publish: Callable[..., Any], tools: dict[str, Any]) -> Callable[..., DeliveryReport]:
    def send(night: int, spec: Any, *names: str, **more: Any) -> DeliveryReport:
        people = {f"{name}@x.org": name for name in names}
        folder, generation, as_of = publish(night, people, spec=spec)
        return deliver(home, folder, generation, as_of, [spec], tools, **more)[0]

    return send


def lose(home: Home) -> None:
    for file in home.exports.glob("ledger.sqlite*"):
        file.unlink()


def test_without_its_ledger_nothing_is_sent_until_somebody_says_how_to_go_on(home: Home, send: Any, make_list: Any, tool: Any) -> None:
    send(0, make_list(), "a", "b")
    lose(home)
    for dry_run in (False, True):
        with pytest.raises(LedgerLost, match="userops ledger recover"):
            send(1, make_list(), "a", "b", "c", dry_run=dry_run)
    assert len(tool.requests) == 1 and len(health(home)) == 1


def test_files_are_read_back_and_who_has_left_them_may_still_be_held(
    home: Home, send: Any, make_list: Any, tools: dict[str, Any], say: Any
) -> None:
    spec = make_list(tool="csv_file", mode="additive")
    send(0, spec, "a", "b")
    send(1, spec, "b", "c")
    lose(home)
    say("a@x.org", "b@x.org", state="unsubscribed")
    assert "may hold 3 people" in recover(home, "g", NIGHT, [spec], tools)[0]
    report = send(1, spec, "b", "c")
    assert (report.added, report.updated, report.removed, report.withdrawn) == (0, 1, 2, 2)
    assert send(1, spec, "b", "c").outcome == "nothing"


def test_a_stated_fresh_start_sends_everybody_again_and_takes_off_whoever_must_not_be_there(
    home: Home, send: Any, make_list: Any, tools: dict[str, Any], tool: Any, say: Any
) -> None:
    spec = make_list()
    send(0, spec, "a", "b", "c")
    lose(home)
    say("a@x.org", state="unsubscribed")
    with pytest.raises(UserOpsError, match="--from FILE"):
        recover(home, "g", NIGHT, [spec], tools)
    recover(home, "g", NIGHT, [spec], tools, fresh=True)
    report = send(1, spec, "a", "b")
    assert (report.outcome, report.added, report.withdrawn) == ("sent", 1, 1)
    assert set(tool.lists["win_back"]) == {"b@x.org"} and send(1, spec, "b").calls == 0


def test_an_export_of_the_tool_says_whom_it_holds(
    home: Home, send: Any, make_list: Any, tools: dict[str, Any], tool: Any, tmp_path: Path, say: Any
) -> None:
    spec, file = make_list(), tmp_path / "export.csv"
    send(0, spec, "a", "b")
    lose(home)
    file.write_text("mail\na@x.org\n", encoding="utf-8")
    with pytest.raises(UserOpsError, match="names nobody in a column email"):
        recover(home, "g", NIGHT, [spec], tools, file=file)
    file.write_text("name,email\nAnn,a@x.org\nBob,b@x.org\n", encoding="utf-8")
    recover(home, "g", NIGHT, [spec], tools, file=file)
    say("a@x.org", state="unsubscribed")
    assert (report := send(1, spec, "a", "b")).withdrawn == 1 and report.updated == 1
    assert set(tool.lists["win_back"]) == {"b@x.org"}


def test_lists_that_are_not_recovered_are_not_delivered_and_the_others_are(
    home: Home, send: Any, make_list: Any, tools: dict[str, Any]
) -> None:
    files, hook = make_list(tool="csv_file", name="files"), make_list(name="hook")
    send(0, files, "a")
    send(0, hook, "a")
    lose(home)
    recover(home, "g", NIGHT, [files], tools)
    assert send(1, files, "a").outcome == "sent"
    report = send(1, hook, "a", "b")
    assert report.outcome == "held" and report.calls == 0 and "hook" in report.sentence
    recover(home, "g", NIGHT, [hook], tools, fresh=True)
    assert send(1, hook, "a", "b").outcome == "sent"


def test_a_lost_list_that_is_declared_no_more_keeps_no_other_from_going_and_can_be_given_up(
    home: Home, send: Any, make_list: Any, tools: dict[str, Any]
) -> None:
    files, old = make_list(tool="csv_file", name="files"), make_list(name="old")
    send(0, files, "a")
    send(0, old, "a")
    (home.root / "delivered.json").write_text("torn", encoding="utf-8")
    recover(home, "g", NIGHT, [files], tools)
    assert send(1, files, "a", declared={"files"}).outcome == "sent" and lost_lists(home) == ["old"]
    assert "delete the list there" in recover(home, "g", NIGHT, [], tools, fresh=True, given_up=["old"])[0]
    assert lost_lists(home) == [] == health(home)


def test_a_damaged_list_is_begun_anew_within_its_ledger(home: Home, send: Any, make_list: Any, tools: dict[str, Any]) -> None:
    files, hook = make_list(tool="csv_file", name="files"), make_list(name="hook")
    send(0, files, "a")
    send(0, hook, "a")
    with Ledger.open(home) as ledger:
        ledger._con.execute("update digests set digest = digest + 1 where list = 'files'")
    with pytest.raises(LedgerLost, match="files"):
        send(1, files, "a")
    recover(home, "g", NIGHT, [files], tools)
    assert health(home) == [] and send(1, files, "a").outcome == "sent" and send(1, hook, "a").outcome == "nothing"
