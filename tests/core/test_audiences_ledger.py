"""What the ledger remembers of a batch through each of its ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from userops_pipeline.core.audiences import UNKNOWN_FIELDS, Action, Batch, ListSpec, Row
from userops_pipeline.core.home import Home
from userops_pipeline.core.ledger import Ledger

SPEC = ListSpec(
    name="win_back", tool="webhook", segment="lapsed", mode="mirror", match_key="email", channel="email", purpose="marketing", fields={}
)
NIGHT = date(2026, 3, 1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(Home(tmp_path)) as ledger:
        yield ledger


def sent(ledger: Ledger, action: Action, *rows: Row, max_batch: int = 10) -> list[Batch]:
    changes: dict[Action, list[Row]] = {"remove": [], "update": [], "add": [], action: list(rows)}
    _, batches = ledger.plan(SPEC, "g", NIGHT, changes, max_batch=max_batch, waiting=set())
    for batch in batches:
        ledger.sending(batch)
    return batches


def test_a_batch_is_read_back_as_it_was_planned(ledger: Ledger) -> None:
    (batch,) = sent(ledger, "add", Row("李@x.org", {"z": 1, "a": None, "m": [True, "é"]}))
    (again,) = ledger.open_batches("win_back")
    assert again == batch and list(again.rows[0].fields or {}) == ["z", "a", "m"]


def test_batches_are_cut_to_size_and_numbered_on_through_the_date(ledger: Ledger) -> None:
    first = sent(ledger, "add", *(Row(str(n), {}) for n in range(5)), max_batch=2)
    second = sent(ledger, "add", Row("9", {}))
    assert [(batch.part, len(batch.rows)) for batch in first + second] == [(1, 2), (2, 2), (3, 1), (4, 1)]
    assert len({batch.key for batch in first + second}) == 4


def test_a_plan_forgets_what_was_planned_and_never_tried_but_nothing_else(ledger: Ledger) -> None:
    (tried,) = sent(ledger, "add", Row("a", {}))
    ledger.plan(SPEC, "g", NIGHT, {"remove": [], "update": [], "add": [Row("b", {})]}, max_batch=10, waiting={"a"})
    ledger.plan(SPEC, "g", NIGHT, {"remove": [], "update": [], "add": []}, max_batch=10, waiting={"a"})
    assert ledger.open_batches("win_back") == [tried]


def test_a_refused_batch_changes_no_member(ledger: Ledger) -> None:
    (batch,) = sent(ledger, "add", Row("a", {}))
    ledger.refused(batch, "http_401")
    assert ledger.members("win_back") == {} and ledger.open_batches("win_back") == []


@pytest.mark.parametrize(("action", "member"), [("add", None), ("update", UNKNOWN_FIELDS), ("remove", None)])
def test_of_a_dropped_batch_nobody_knows_the_membership_or_of_updated_members_the_fields(
    ledger: Ledger, action: Action, member: str | None
) -> None:
    (known,) = sent(ledger, "add", Row("member", {}))
    ledger.acked(known, {})
    for _ in range(2):
        (batch,) = sent(ledger, action, Row("new", {}), Row("member", {}))
        ledger.parked(batch, "timeout")
        ledger.dropped(batch)
        assert ledger.members("win_back") == {"new": None, "member": member}


def test_the_state_of_a_list_is_told_in_numbers(ledger: Ledger) -> None:
    first, second = sent(ledger, "add", *(Row(value, {}) for value in "abcd"), max_batch=3)
    ledger.acked(first, {"a": "invalid_address", "b": "mailbox_full"})
    ledger.parked(second, "timeout")
    (state,) = ledger.states()
    assert (state.list_name, state.tool, state.last_as_of) == ("win_back", "webhook", NIGHT)
    assert (state.members, state.open_batches, state.open_rows) == (1, 1, 1)
    assert state.dead_rows == {"invalid_address": 1, "mailbox_full": 1}
