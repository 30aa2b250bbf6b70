"""What the ledger remembers of a batch through each of its ends."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from userops_pipeline.deliver.audiences import UNKNOWN_FIELDS, UNKNOWN_POINT, Action, Batch, ListSpec, Member, Row
from userops_pipeline.deliver.ledger import SEALED, Ledger, LedgerLost, Witness, health
from userops_pipeline.ground.home import Home

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
    _, batches = ledger.plan(SPEC, "g", NIGHT, changes, max_batch=max_batch)
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
    ledger.plan(SPEC, "g", NIGHT, {"remove": [], "update": [], "add": [Row("b", {})]}, max_batch=10)
    ledger.plan(SPEC, "g", NIGHT, {"remove": [], "update": [], "add": []}, max_batch=10)
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
        assert {value: known.checksum for value, known in ledger.members("win_back").items()} == {"new": None, "member": member}


def test_the_state_of_a_list_is_told_in_numbers(ledger: Ledger) -> None:
    first, second = sent(ledger, "add", *(Row(value, {}) for value in "abcd"), max_batch=3)
    ledger.acked(first, {"a": "invalid_address", "b": "mailbox_full"})
    ledger.parked(second, "timeout")
    (state,) = ledger.states()
    assert (state.list_name, state.tool, state.last_as_of) == ("win_back", "webhook", NIGHT)
    assert (state.members, state.open_batches, state.open_rows) == (1, 1, 1)
    assert state.dead_rows == {"invalid_address": 1, "mailbox_full": 1}


def test_a_member_dropped_between_two_addresses_is_known_by_neither(ledger: Ledger) -> None:
    (first,) = sent(ledger, "add", Row("u1", {"mail": "a"}, "a"), Row("u2", {"mail": "b"}, "b"))
    ledger.acked(first, {})
    (second,) = sent(ledger, "update", Row("u1", {"mail": "new"}, "new"), Row("u2", {"mail": "b", "x": 1}, "b"))
    ledger.dropped(second)
    assert {value: known.point for value, known in ledger.members("win_back").items()} == {"u1": UNKNOWN_POINT, "u2": "b"}


# --- losing it is no first night ---------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose ledger knows a list that was delivered."""
    home = Home(tmp_path)
    with Ledger.open(home) as ledger:
        (batch,) = sent(ledger, "add", *(Row(f"{name}@x.org", {"a": name}) for name in "abc"))
        ledger.acked(batch, {"c@x.org": "locked"})
    return home


def test_a_sound_ledger_proves_itself_and_a_home_that_never_delivered_has_nothing_to_prove(home: Home, tmp_path: Path) -> None:
    assert health(home) == [] == health(Home(tmp_path / "new")) and not (tmp_path / "new").exists()
    with Ledger.open(home) as ledger:
        ledger.prove(["win_back", "never_delivered"])


def test_a_ledger_whose_every_transaction_was_witnessed_says_how_many_members_each_list_has(home: Home) -> None:
    witness = Witness.read(home)
    assert witness is not None and witness.lists == {"win_back": 2} and witness.generation == "g"
    assert stat.S_IMODE((home.root / "delivered.json").stat().st_mode) == 0o600


LOSSES: dict[str, Callable[[Home], object]] = {
    "deleted": lambda home: (home.exports / "ledger.sqlite").unlink(),
    "deleted with its folder": lambda home: shutil.rmtree(home.exports),
    "emptied": lambda home: (home.exports / "ledger.sqlite").write_bytes(b""),
    "truncated": lambda home: os.truncate(home.exports / "ledger.sqlite", 20_000),
    "another file": lambda home: (home.exports / "ledger.sqlite").write_bytes(b"not a database, though long enough " * 50),
    "another ledger": lambda home: _another(home),
    "its witness is gone": lambda home: (home.root / "delivered.json").unlink(),
    "its witness is torn": lambda home: (home.root / "delivered.json").write_text('{"ledger": "'),
    "a row is gone": lambda home: _meddle(home, "delete from members where match_value = 'a@x.org'"),
    "a row came": lambda home: _meddle(home, "insert into members values ('win_back', 'x', 'y', null, 'z')"),
    "a value is another": lambda home: _meddle(home, "update members set checksum = 'other' where match_value = 'a@x.org'"),
    "a night is another": lambda home: _meddle(home, "update deliveries set as_of = '2020-01-01'"),
}


def _meddle(home: Home, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(home.exports / "ledger.sqlite")) as con:
        con.create_function("changed", -1, lambda *_: None)
        con.execute(sql)
        con.commit()


def _another(home: Home) -> None:
    other = Home(home.root / "other")
    with Ledger.open(other) as ledger:
        for _ in range(9):
            sent(ledger, "add", Row("a@x.org", {}))
    shutil.copy(other.exports / "ledger.sqlite", home.exports / "ledger.sqlite")


@pytest.mark.parametrize("loss", LOSSES)
def test_a_ledger_that_is_lost_is_told_and_not_used(home: Home, loss: str) -> None:
    LOSSES[loss](home)
    (sentence,) = health(home)
    assert "userops ledger recover" in sentence and "@" not in sentence
    with pytest.raises(LedgerLost), Ledger.open(home) as ledger:
        ledger.prove(["win_back"])


def test_an_older_copy_of_the_ledger_is_not_the_newest(home: Home) -> None:
    file = home.exports / "ledger.sqlite"
    copy = file.read_bytes()
    with Ledger.open(home) as ledger:
        (batch,) = sent(ledger, "add", Row("d@x.org", {}))
        ledger.acked(batch, {})
    file.write_bytes(copy)
    assert "older than the last delivery" in health(home)[0]


def test_no_flipped_bit_changes_what_the_ledger_says_unnoticed(home: Home) -> None:
    file = home.exports / "ledger.sqlite"
    content = file.read_bytes()

    def said() -> list:
        with Ledger.open(home, read_only=True) as ledger:
            ledger.prove(ledger.lists())
            return [ledger._con.execute(f"select * from {table} order by 1, 2").fetchall() for table in SEALED]

    before, told = said(), 0
    rng = random.Random(14)
    for _ in range(150):
        flipped = bytearray(content)
        flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.write_bytes(flipped)
        try:
            assert said() == before
        except LedgerLost:
            told += 1
    assert told > 10


@pytest.mark.parametrize("witnessed", [True, False])
def test_a_crash_between_ledger_and_witness_is_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, witnessed: bool) -> None:
    """The file is ahead of its witness by one transaction, or, at the very first, by its making."""
    home = Home(tmp_path)
    if witnessed:
        with Ledger.open(home) as ledger:
            sent(ledger, "add", Row("a", {}))

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "bear_witness", cut)
    with pytest.raises(KeyboardInterrupt), Ledger.open(home) as ledger:
        sent(ledger, "add", Row("b", {}))
    monkeypatch.undo()
    assert health(home) == []
    with Ledger.open(home) as ledger:
        assert len(ledger.open_batches("win_back")) == (1 if witnessed else 0)
        sent(ledger, "add", Row("c", {}))
    assert health(home) == []


def test_a_list_is_begun_anew_and_what_else_was_lost_stays_lost_until_it_is(home: Home) -> None:
    with Ledger.open(home) as ledger:
        (batch,) = _planned(ledger, SPEC.model_copy(update={"name": "other"}), Row("z@x.org", {}))
        ledger.sending(batch)
        ledger.acked(batch, {})
    (home.exports / "ledger.sqlite").unlink()
    Ledger.start_anew(home)
    with Ledger.open(home) as ledger:
        ledger.recover(SPEC, "g", NIGHT, {"a@x.org": Member(UNKNOWN_FIELDS), "b@x.org": Member(None)})
    assert health(home) == []
    with Ledger.open(home) as ledger:
        assert ledger.members("win_back") == {"a@x.org": Member(UNKNOWN_FIELDS), "b@x.org": Member(None)}
        assert ledger.last_delivery("win_back") is not None and ledger.last_delivery("never") is None
        with pytest.raises(LedgerLost, match="other"):
            ledger.last_delivery("other")


def _planned(ledger: Ledger, spec: ListSpec, row: Row) -> list[Batch]:
    return ledger.plan(spec, "g", NIGHT, {"remove": [], "update": [], "add": [row]}, max_batch=9)[1]
