"""Landing: a file is copied once, exactly, beside what it was; whatever else may be delivered under its name is seen or refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from userops_pipeline.ground.home import UserOpsError, sha256_of
from userops_pipeline.intake.landing import manifests, nights_without, refused, stretches

NIGHT = "2026-03-02"
GOOD = "order_id,user_id,at,amount,currency,status\no1,u1,2026-03-02 10:00:00,1.00,CNY,paid\n"


def outcomes(shop: Any, *nights: str, **options: Any) -> list[str]:
    return [entry.outcome for entry in shop.land(*(nights or (NIGHT,)), **options)]


def test_a_landed_file_is_a_verbatim_copy_beside_what_it_was(shop: Any) -> None:
    path = shop.drop(NIGHT, "orders.csv", GOOD)
    shop.land(NIGHT)
    source = shop.source
    ((copy, manifest),) = manifests(shop.home, source, "orders", date(2026, 3, 2))
    assert copy.read_bytes() == path.read_bytes()
    assert (manifest.sha256, manifest.bytes, manifest.rows) == (sha256_of(path), len(GOOD), 1)
    assert (manifest.source, manifest.file, manifest.name, manifest.encoding, manifest.format) == (
        "shop",
        "orders",
        "orders.csv",
        "utf-8",
        "csv",
    )
    assert not list(shop.home.landing.rglob(".*")), "no half-written file stays"


def test_the_same_file_again_is_seen(shop: Any) -> None:
    shop.drop(NIGHT, "orders.csv", GOOD)
    assert outcomes(shop) == ["landed"]
    assert outcomes(shop) == ["seen"]


def test_the_same_content_under_another_name_is_not_loaded_again(shop: Any) -> None:
    shop.drop(NIGHT, "orders.csv", GOOD)
    shop.drop(NIGHT, "orders_copy.csv", GOOD)
    landed = shop.land(NIGHT)
    assert [entry.outcome for entry in landed] == ["landed", "seen"]
    assert landed[1].sentence == "orders_copy.csv is orders.csv under another name; not loaded again."


@pytest.mark.parametrize(
    "name", ["orders.csv.tmp", "orders.csv.part", "orders.CSV.BAK", "orders.csv.old.gz", "orders.csv~", ".orders.csv.a8Xk2"]
)
def test_a_file_that_is_still_written_or_put_aside_by_its_name_is_left_and_told(shop: Any, name: str) -> None:
    shop.document["files"]["orders"]["path"] = "{night}/*orders*"
    shop.configure()
    shop.drop(NIGHT, name, GOOD.replace("o1", "o9"))
    shop.drop(NIGHT, "orders.csv", GOOD)
    left, landed = shop.land(NIGHT)
    assert (left.outcome, landed.outcome) == ("unfinished", "landed")
    assert "is still being written, or was put aside, by its name; it was left where it lies" in left.sentence
    assert list(refused(shop.home)) == []
    assert [manifest.name for _, manifest in manifests(shop.home, shop.source, "orders", date(2026, 3, 2))] == ["orders.csv"]


def test_a_shop_may_ask_for_such_names(shop: Any) -> None:
    shop.document["files"]["orders"]["path"] = "{night}/orders.csv.old"
    shop.configure()
    shop.drop(NIGHT, "orders.csv.old", GOOD)
    assert outcomes(shop) == ["landed"]


def test_changed_content_is_refused_until_accepted_and_the_old_copy_stays(shop: Any) -> None:
    shop.drop(NIGHT, "orders.csv", GOOD)
    shop.land(NIGHT)
    shop.drop(NIGHT, "orders.csv", GOOD + "o2,u1,2026-03-02 10:00:00,1.00,CNY,paid\n")
    (entry,) = shop.land(NIGHT)
    assert entry.outcome == "refused"
    assert "--accept-changed" in entry.sentence
    ((copy, manifest),) = manifests(shop.home, shop.source, "orders", date(2026, 3, 2))
    assert (copy.read_text(), manifest.rows) == (GOOD, 1)
    assert outcomes(shop, accept_changed=True) == ["replaced"]
    assert list(refused(shop.home)) == []


def test_a_refused_file_waits_with_its_reason_until_it_is_mended(shop: Any) -> None:
    shop.drop(NIGHT, "orders.csv", GOOD.replace("amount", "total"))
    assert outcomes(shop) == ["refused"]
    (waiting,) = refused(shop.home)
    assert (waiting["source"], waiting["file"], waiting["night"], waiting["name"]) == ("shop", "orders", NIGHT, "orders.csv")
    assert "amount" in waiting["reason"]
    shop.drop(NIGHT, "orders.csv", GOOD)
    assert outcomes(shop) == ["landed"]
    assert list(refused(shop.home)) == []
    assert not [path for path in shop.home.refused.rglob("*") if path.is_file()]


def test_a_copy_without_its_manifest_was_never_landed(shop: Any) -> None:
    """What a power cut between the two leaves behind."""
    shop.drop(NIGHT, "orders.csv", GOOD)
    shop.land(NIGHT)
    (manifest,) = shop.home.landing.rglob("*.manifest.json")
    manifest.unlink()
    assert shop.conform(NIGHT)[0].rows_in == 0
    assert outcomes(shop) == ["landed"]
    assert shop.conform(NIGHT)[0].rows_in == 1


def test_an_archive_lands_once_for_all_nights(new_shop: Callable) -> None:
    columns = GOOD.splitlines()[0].split(",")
    shop = new_shop(
        files={"orders": {"path": "orders.csv", "columns": columns}},
        tables={"orders": {"each": "orders"}},
        mappings={
            "orders": 'select order_id, user_id, "at" as ordered_at, status, amount, currency, _file, _row, left("at", 10) as _night from orders'
        },
    )
    shop.drop(".", "orders.csv", GOOD + "o2,u1,2026-03-03 10:00:00,1.00,CNY,paid\n")
    assert outcomes(shop, NIGHT, "2026-03-03") == ["landed"]
    assert [entry.kept for entry in shop.conform(NIGHT, "2026-03-03")] == [1, 1]


@pytest.mark.parametrize("name", ["orders\nodd.csv", "orders;rm.csv"])
def test_a_file_with_an_odd_name_is_refused(shop: Any, name: str) -> None:
    shop.drop(NIGHT, name, GOOD)
    with pytest.raises(UserOpsError, match="is not a plain file with a plain name"):
        shop.land(NIGHT)


def test_a_link_or_a_pipe_in_the_drop_folder_is_refused(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(GOOD)
    link = shop.drop(NIGHT, "orders.csv", "")
    link.unlink()
    link.symlink_to(tmp_path / "secret")
    with pytest.raises(UserOpsError, match="is not a plain file"):
        shop.land(NIGHT)
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(UserOpsError, match="is not a plain file"):
        shop.land(NIGHT)


def test_a_missing_root_is_told_with_how_to_mend_it(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.document["root"] = {"env": "USEROPS_SHOP_OF_THE_TESTS"}
    shop.configure()
    with pytest.raises(UserOpsError, match="set the environment variable USEROPS_SHOP_OF_THE_TESTS"):
        shop.land(NIGHT)
    monkeypatch.setenv("USEROPS_SHOP_OF_THE_TESTS", str(shop.drops / "nowhere"))
    with pytest.raises(UserOpsError, match="set USEROPS_SHOP_OF_THE_TESTS to the folder"):
        shop.land(NIGHT)


def test_manifests_are_the_same_bytes_for_the_same_file(shop: Any) -> None:
    shop.drop(NIGHT, "orders.csv", GOOD)
    shop.land(NIGHT)
    (path,) = shop.home.landing.rglob("*.manifest.json")
    before = path.read_bytes()
    path.unlink()
    shop.land(NIGHT)
    assert path.read_bytes() == before
    assert list(json.loads(before)) == sorted(json.loads(before))


def test_the_file_of_another_night_is_not_taken_for_tonights(shop: Any) -> None:
    """Yesterday's file, or any older one, would set back every order that changed since."""
    head = "order_id,user_id,at,amount,currency,status\n"
    user_head = "user_id,registered,name,email,phone,birth\n"
    for number, night in enumerate(("2026-03-01", "2026-03-02")):
        shop.drop(night, "orders.csv", f"{head}o{number},u1,{night} 10:00:00,5.00,CNY,paid\n")
        shop.drop(night, "users.csv", f"{user_head}u1,2026-03-01 09:00:00,,,,\n")
    shop.drop("2026-03-03", "orders.csv", head)
    shop.drop("2026-03-04", "orders.csv", head)
    landed = shop.land("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")
    assert {entry.outcome for entry in landed} == {"landed"}, "lists may repeat themselves, and so may files without a record"
    shop.drop("2026-03-05", "orders_again.csv", (shop.drops / "2026-03-01" / "orders.csv").read_bytes())
    (again,) = shop.land("2026-03-05")
    assert again.outcome == "refused"
    assert "orders_again.csv is the file of 2026-03-01 again" in again.sentence
    (taken,) = shop.land("2026-03-05", accept_changed=True)
    assert (taken.outcome, list(refused(shop.home))) == ("landed", [])
    assert [entry.outcome for entry in shop.land("2026-03-05")] == ["seen"]


def test_nights_without_a_file_are_named_by_kind_but_for_quiet_ones_and_what_may_be_late(shop: Any) -> None:
    days = {number: date(2026, 3, number) for number in range(1, 15)}
    shop.document["quiet"] = {"weekdays": ["sunday"], "dates": [days[4]]}  # the 1st and the 8th are Sundays
    shop.configure()
    for number in (3, 6, 10, 11):
        shop.drop(str(days[number]), "orders.csv", GOOD.replace("o1", f"o{number}"))
    shop.land(*map(str, days.values()))
    lacking = nights_without(shop.home, shop.source, "orders", days[13])
    assert lacking == [days[number] for number in (2, 5, 7, 9, 12, 13)]
    assert stretches(lacking) == "2026-03-02, 2026-03-05, 2026-03-07, 2026-03-09, 2026-03-12 to 2026-03-13 (6 nights)"
    assert stretches(lacking[:1]) == "2026-03-02"
    assert nights_without(shop.home, shop.source, "orders", days[6]) == [days[2], days[5]]
    assert len(nights_without(shop.home, shop.source, "users", days[13])) == 10, "no file of it came at all"
    shop.document["gate"] = {"fresh_days": 1}
    shop.configure()
    assert nights_without(shop.home, shop.source, "orders", days[13]) == [days[9], days[13]], "the second night in a row without one"


def test_before_the_first_daily_file_an_archive_has_the_nights(new_shop: Callable) -> None:
    columns = GOOD.splitlines()[0].split(",")
    both = "(select * from old union all select * from orders)"
    mapping = f'select order_id, user_id, "at" as ordered_at, status, amount, currency, _file, _row, night("at") as _night from {both}'
    files = {"old": {"path": "old.csv", "columns": columns}, "orders": {"path": "{night}/orders.csv", "columns": columns}}
    shop = new_shop(files=files, tables={"orders": {}}, mappings={"orders": mapping})
    shop.drop("2026-03-05", "orders.csv", GOOD)
    shop.land("2026-03-05")
    assert nights_without(shop.home, shop.source, "orders", date(2026, 3, 7)) == [date(2026, 3, 6), date(2026, 3, 7)]
    assert nights_without(shop.home, shop.source, "old", date(2026, 3, 7)) == []
