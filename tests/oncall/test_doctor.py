"""What the doctor sees in a home, each shown once spoilt; and that a sound home has nothing to say."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from tests.deliver.test_audiences_ledger import SPEC, sent
from tests.publish.test_generations import TABLES, build, publish
from userops_pipeline.cli import main
from userops_pipeline.deliver.audiences import Row
from userops_pipeline.deliver.ledger import Ledger
from userops_pipeline.ground.home import Home, sha256_of, write_json
from userops_pipeline.intake.lake_proof import files_of
from userops_pipeline.oncall import alerts, doctor, runs
from userops_pipeline.oncall.runs import Run

AS_OF = date(2017, 12, 31)
TONIGHT = date(2018, 1, 1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home in which a night is published and nothing is wrong."""
    for name in [name for name in os.environ if name.startswith("USEROPS_")]:
        monkeypatch.delenv(name)
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o700)
    warehouse = build(tmp_path / "warehouse.duckdb", users=3)
    publish(home, warehouse, tables=TABLES, rulebook_json='{"lists": []}')
    warehouse.close()
    conforms(home, AS_OF)
    runs.remember(home, run("good", AS_OF))
    return home


def run(outcome: runs.Outcome, night: date, **more: object) -> Run:
    fields = {"id": f"{outcome}-{night}", "first": night, "last": night, "started_at": datetime(2018, 1, 2, 3, tzinfo=UTC)}
    fields |= {"zone": "UTC", "first_night": date(2017, 1, 1), "ends_on": date(2018, 1, 31), "outcome": outcome}
    return Run.model_validate(fields | more)


def conforms(home: Home, night: date) -> None:
    mark = {"source": "shop", "night": night, "content_hash": "", "window_from": night, "rows_from": night, "config_hash": ""}
    write_json(home.nights / str(night) / "shop.json", {**mark, "files": files_of(home, "shop", night)})


def set_aside(home: Home, night: date, rows: int) -> None:
    place = home.quarantine / "orders" / f"arrived_on={night}" / "shop.parquet"
    place.parent.mkdir(parents=True)
    duckdb.sql(
        f"copy (select 'orders' as table_name, 'amount' as column_name, 'not a plain decimal number' as reason, date '{night}' as arrived_on, "
        f"'{night}/orders.csv' as source_file, i as source_row from range({rows}) as r(i)) to '{place}' (format parquet)"
    )


def said(home: Home) -> list[str]:
    """What the doctor says, a mark before each: ✗ or !."""
    return [f"{'✗' if finding.severity == 'error' else '!'} {finding.sentence}" for finding in doctor.examine(home)]


def ask(home: Home, *arguments: str) -> tuple[int, str]:
    answer = CliRunner().invoke(main, ["--home", str(home.root), *arguments], env={"USEROPS_HOME": str(home.root)})
    return answer.exit_code, answer.output


def test_a_sound_home_is_well(home: Home) -> None:
    assert said(home) == []
    code, output = ask(home, "doctor")
    assert (code, "nothing keeps a night from running" in output) == (0, True)
    assert json.loads(ask(home, "doctor", "--json")[1]) == {"is_well": True, "findings": []}


def test_a_home_that_is_not_there_and_one_without_a_night_are_not_well(home: Home, tmp_path: Path) -> None:
    [missing] = said(Home(tmp_path / "no" / "home"))
    assert missing.startswith("✗ The home") and "does not exist" in missing and "--home" in missing
    assert ask(Home(tmp_path / "no" / "home"), "doctor")[0] == 1
    assert not (tmp_path / "no").exists()
    shutil.rmtree(home.published)
    assert any(line.startswith("✗ Nothing is published yet") for line in said(home))


def test_two_held_nights_are_named_with_step_and_cause_and_how_far_behind_it_is(home: Home) -> None:
    causes = {AS_OF.replace(day=30): "mended since", TONIGHT: "orders.key_is_unique: 3 of 9 rows are not", TONIGHT.replace(day=2): "late"}
    for night, cause in causes.items():
        at = datetime(2018, 1, 1, night.day % 30, tzinfo=UTC)
        runs.remember(home, run("held", night, step="gate", cause=cause, started_at=at, ended_at=at))
    conforms(home, TONIGHT)
    conforms(home, TONIGHT.replace(day=2))
    lines = said(home)
    assert [line.split(",")[0] for line in lines[:2]] == [
        "✗ night 2018-01-01 is held since 2018-01-01 01:00 UTC",
        "✗ night 2018-01-02 is held since 2018-01-01 02:00 UTC",
    ]
    assert "at gate: orders.key_is_unique: 3 of 9 rows are not Mended, run it again: `userops nightly --date 2018-01-01`." in lines[0]
    assert lines[2].startswith("✗ 2018-01-02 is in the lake, but the newest night published is 2017-12-31: 2 nights behind.")
    assert len(lines) == 3
    code, output = ask(home, "doctor", "--json")
    document = json.loads(output)
    assert (code, document["is_well"], {entry["about"] for entry in document["findings"]}) == (1, False, {"runs", "published nights"})
    assert not (home.root / "alerts.log").exists()  # asked, it tells nobody else


def test_a_run_that_died_and_one_under_way_are_told_apart(home: Home) -> None:
    runs.remember(home, run("running", TONIGHT, process=os.getpid()))
    [line] = said(home)
    assert line.startswith("! night 2018-01-01 is under way")
    runs.remember(home, run("running", TONIGHT, process=2**22 + 1))
    [line] = said(home)
    assert line.startswith("✗ night 2018-01-01") and "It ended without a word" in line


def test_a_live_shop_without_tonight_is_stale_and_cron_tells_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.remember(home, run("good", AS_OF, ends_on=None, started_at=datetime(2018, 1, 3, tzinfo=UTC)))
    [line] = said(home)
    assert line.startswith("✗ The newest night published is 2017-12-31;")
    assert ask(home, "doctor", "--alert")[0] == 1
    assert "stale (home): The newest night published is 2017-12-31" in (home.root / "alerts.log").read_text(encoding="utf-8")


def test_tonights_quarantine_is_told_from_what_waited_before(home: Home) -> None:
    set_aside(home, AS_OF, 2)
    set_aside(home, date(2017, 12, 1), 3)
    conforms(home, AS_OF)
    conforms(home, date(2017, 12, 1))
    assert said(home) == [
        "! 2 rows wait of tonight (2017-12-31) in quarantine; `userops quarantine list --tonight` says why.",
        "! 3 rows wait of earlier nights in quarantine; `userops quarantine list` says why.",
    ]
    assert ask(home, "doctor")[0] == 0
    for arguments, rows in ((["--tonight"], "2"), (["--night", "2017-12-01"], "3"), ([], "5"), (["--night", "2017-12-02"], None)):
        code, output = ask(home, "quarantine", "list", *arguments)
        assert code == 0
        assert ("not a plain decimal number" in output) == (rows is not None)
        assert rows is None or f" {rows} " in output
    assert ask(home, "quarantine", "list", "--tonight", "--night", "2017-12-01")[0] == 1


def test_the_lake_is_held_against_what_its_nights_left_there_to_the_last_byte(home: Home) -> None:
    set_aside(home, AS_OF, 2)
    conforms(home, AS_OF)
    [rows] = home.quarantine.rglob("*.parquet")
    whole, name = rows.read_bytes(), rows.relative_to(home.root).as_posix()
    for spoilt, sentence in (
        (whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:], f"✗ {name} is not what the night of 2017-12-31 left there"),
        (None, f"✗ {name} is missing, though the night of 2017-12-31 is accounted for with it"),
    ):
        rows.unlink() if spoilt is None else rows.write_bytes(spoilt)
        assert any(line.startswith(sentence) for line in said(home))
    rows.write_bytes(whole)
    stranger = rows.with_name("shop.1.parquet")
    stranger.write_bytes(whole)
    assert any(line.startswith(f"✗ lake/{stranger.relative_to(home.root / 'lake').as_posix()} belongs to no") for line in said(home))
    stranger.unlink()
    assert not any("lake/" in line for line in said(home))


def test_a_landed_file_that_is_not_what_was_landed_is_named(home: Home) -> None:
    copy = home.landing / "shop" / "orders" / str(AS_OF) / "orders.csv"
    copy.parent.mkdir(parents=True)
    copy.write_text("order_id\no1\n")
    manifest = {"source": "shop", "file": "orders", "name": copy.name, "night": AS_OF, "sha256": sha256_of(copy), "bytes": 12, "rows": 1}
    write_json(copy.with_name("orders.csv.manifest.json"), {**manifest, "encoding": "utf-8", "format": "csv"})
    assert said(home) == []
    copy.write_text("order_id\no2\n")
    assert [line.split(" is ")[0] for line in said(home)] == [f"✗ lake/landing/shop/orders/{AS_OF}/orders.csv"]


def test_lists_held_or_cut_off_and_batches_without_an_answer_are_named(home: Home) -> None:
    with Ledger.open(home) as ledger:
        ledger.hold(SPEC, "g", AS_OF, Counter())
        assert [entry.outcome for entry in ledger.unsettled()] == ["held"]
    assert any(line.startswith("✗ The list win_back is held at webhook as of 2017-12-31") for line in said(home))
    with Ledger.open(home) as ledger:
        [batch] = sent(ledger, "add", Row("a@example.com", {}))
    lines = said(home)
    assert any(line.startswith("✗ The list win_back was cut off at webhook") for line in lines)
    assert any(line.startswith("! 1 batches of win_back (1 rows) went to webhook without an answer") for line in lines)
    assert "a@example.com" not in " ".join(lines)
    with Ledger.open(home) as ledger:
        ledger.acked(batch, {})
        ledger.finish(2, "sent", Counter())
        ledger.hold(SPEC, "older", AS_OF, Counter())  # going back is refused, as it should be
        assert ledger.unsettled() == []
    assert said(home) == ["! The list win_back is declared no more, but webhook still holds 1 members; delete it there."]


def test_a_damaged_ledger_or_quarantine_hides_nothing_else(home: Home) -> None:
    home.exports.mkdir(exist_ok=True)
    (home.exports / "ledger.sqlite").write_bytes(b"no database" * 100)
    place = home.quarantine / "orders" / f"arrived_on={AS_OF}" / "shop.parquet"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"no parquet")
    (home.nights / "shop.pending.json").write_text("[]", encoding="utf-8")
    lines = said(home)
    assert [line[:42] for line in lines] == [
        "✗ exports/ledger.sqlite is damaged or cann",
        "✗ A conform of shop died before its end; t",
        "✗ lake/quarantine/orders/arrived_on=2017-1",
        "✗ The quarantine cannot be examined: Inval",
    ]


def test_a_full_disk_open_permissions_and_untold_alerts_are_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.root.chmod(0o755)
    for folder, _, names in os.walk(home.root):
        if "published" not in folder:
            os.chmod(folder, 0o755 if folder == str(home.root) else 0o700)
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o644 if "published" in folder else 0o600)
    assert said(home) == []  # what is published may be shared
    secret = home.root / "lake" / "raw" / "users.parquet"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(b"")
    for path in (secret, secret.parent, secret.parent.parent):
        path.chmod(0o755)
    assert [line.split(";")[0] for line in said(home)] == ["✗ Others on this machine can read lake/raw/users.parquet"]
    (home.root / "lake").chmod(0o700)
    monkeypatch.setenv("USEROPS_ALERT_WEBHOOK", "http://example.com")
    alerts.tell(home, "held", "night", key="k")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    lines = said(home)
    assert lines[0].startswith("✗ The disk has 0.0 GB free")
    assert lines[1].startswith("! Alerts by webhook have not arrived since")
    assert len(lines) == 2
