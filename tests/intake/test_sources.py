"""The sources as they stand: what they promise in their READMEs comes out of their files, and a wrong source.yml is told in a sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from userops_pipeline.ground.home import PROJECT_DIR, Home, UserOpsError
from userops_pipeline.ground.lake import quarantined, raw_scan
from userops_pipeline.intake.conform import Accounting, conform
from userops_pipeline.intake.landing import land, nights_between
from userops_pipeline.intake.source import SOURCES_DIR, Source, load_source

SHARED_DATA = Path(os.environ.get("USEROPS_SHARED_DATA") or PROJECT_DIR.parent / "shared" / "data")


def totals(entries: list[Accounting]) -> dict[str, tuple[int, int, int, int]]:
    """Rows in, kept, set aside and duplicates per table over all nights."""
    found: dict[str, tuple[int, int, int, int]] = {}
    for entry in entries:
        before = found.get(entry.table, (0, 0, 0, 0))
        found[entry.table] = tuple(map(sum, zip(before, (entry.rows_in, entry.kept, entry.quarantined, entry.duplicates), strict=True)))  # type: ignore[assignment]
    return found


def load_all(home: Home, source: Source) -> dict[str, tuple[int, int, int, int]]:
    assert source.last_night is not None
    nights = nights_between(source.first_night, source.last_night)
    assert {entry.outcome for entry in land(home, source, nights)} == {"landed"}
    return totals(conform(home, source, nights))


@pytest.mark.parametrize("name", sorted(path.parent.name for path in SOURCES_DIR.glob("*/source.yml")))
def test_every_source_of_the_project_loads_and_has_a_readme(name: str) -> None:
    source = load_source(name)
    assert source.name == name
    assert (source.folder / "README.md").is_file()
    for table in source.tables:
        assert source.mapping_sql(table).startswith("-- One row per "), f"{name}/{table}.sql opens with its grain"


# -- sample shop -------------------------------------------------------------------------------------------------------


def test_the_sample_shop_ends_as_its_readme_says(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    source = load_source("sample_shop")
    assert load_all(home, source) == {
        "users": (68, 62, 6, 0),
        "events": (288, 285, 2, 1),
        "orders": (203, 194, 8, 1),
        "order_items": (317, 316, 0, 1),
        "products": (12, 12, 0, 0),
        "refunds": (6, 5, 1, 0),
        "campaigns": (4, 3, 1, 0),
        "touches": (49, 48, 0, 1),
        "incentives": (51, 50, 1, 0),
        "consents": (67, 66, 1, 0),
        "suppressions": (1, 1, 0, 0),  # the opt-out through a message
        "tickets": (12, 11, 1, 0),
        "manual_tags": (8, 7, 1, 0),
    }
    readme = (source.folder / "README.md").read_text(encoding="utf-8")
    dirt = re.findall(r"^\| (\w+).*\| set aside|^\| (\w+).*is set aside as conflict", readme, re.MULTILINE)
    named = sorted({"coupons": "incentives"}.get(first or second, first or second) for first, second in dirt)
    assert named == sorted(entry.table for entry in quarantined(home) for _ in range(entry.rows)), (
        "every row set aside is in the README, and no other"
    )
    with duckdb.connect() as connection:
        names = [
            row[0]
            for row in connection.execute(
                f"select name from {raw_scan(home, 'users')} where user_id in ('U0007', 'U0011', 'U0013') order by user_id"
            ).fetchall()
        ]
        unmatched = connection.execute(
            f"select count(*) from {raw_scan(home, 'consents')} as c anti join {raw_scan(home, 'users')} as u on c.user_id = u.user_id and c.contact_point in (u.phone, u.email)"
        ).fetchone()
    assert names == ['=HYPERLINK("http://shop.example","点我")', "小茶🍵", "周\n掌柜"]
    assert unmatched == (0,), "every consent is written like a contact point of its user"


def test_the_sample_shop_is_small() -> None:
    files = [path for path in (PROJECT_DIR / "data" / "sample_shop").rglob("*") if path.is_file()]
    assert len(files) == 60
    assert sum(path.stat().st_size for path in files) < 300_000


def test_the_readmes_own_shop_works_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (SOURCES_DIR / "sample_shop" / "README.md").read_text(encoding="utf-8")
    folder = tmp_path / "my_shop"
    folder.mkdir()
    written = re.findall(r"`(source\.yml|\w+\.sql)`\n\n```\w+\n(.*?)```", readme, re.DOTALL)
    assert [name for name, _ in written] == ["source.yml", "orders.sql", "users.sql"]
    for name, text in written:
        (folder / name).write_text(text, encoding="utf-8")
    (tmp_path / "orders.csv").write_text(
        "order_id,customer_id,ordered_at,total\n1,ann,2025-11-02 12:00:00,20.00\n2,bob,2026-01-02 09:00:00,30.50\n3,ann,2026-01-03 00:30:00,5\n4,,2026-01-03 10:00:00,1.00\n"
    )
    monkeypatch.setenv("USEROPS_MY_SHOP", str(tmp_path))
    source = load_source(str(folder))
    home = Home(tmp_path / "home")
    for night in nights_between(date(2026, 1, 1), date(2026, 1, 3)):
        land(home, source, [night])
        conform(home, source, [night])
    with duckdb.connect() as connection:
        assert connection.execute(f"select user_id, arrived_on::varchar from {raw_scan(home, 'users')} order by 1").fetchall() == [
            ("ann", "2026-01-01"),
            ("bob", "2026-01-02"),
        ]
        assert connection.execute(
            f"select count(*), sum(amount)::varchar, max(ordered_at)::varchar from {raw_scan(home, 'orders')}"
        ).fetchall() == [(4, "56.50", "2026-01-03 09:00:00")]


# -- Online Retail -----------------------------------------------------------------------------------------------------

# Lines of known customers that bought something, with their customer and the shop's own clock.
BOUGHT = """
    select line.*, orders.user_id, timezone('Europe/London', timezone('UTC', line.ordered_at)) as bought_at
    from {order_items} as line join {orders} as orders using (order_id)
    where orders.user_id is not null and line.quantity > 0 and line.price > 0
"""


@pytest.fixture(scope="module")
def online_retail(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A lake with duplicates kept; an id with `~` is a copy, so that both published conventions come out of it."""
    files = SHARED_DATA / "online_retail"
    if not (files / "by_day").is_dir():
        pytest.skip(f"the data set Online Retail is not at {files}; set USEROPS_SHARED_DATA")
    original = load_source("online_retail")
    tables = {
        name: mapping.model_copy(update={"exact_duplicates": "keep"}) if name == "order_items" else mapping
        for name, mapping in original.tables.items()
    }
    source = original.model_copy(
        update={"tables": tables, "root": original.root.model_copy(update={"env": None, "path": str(files.resolve())})}
    )
    home = Home(tmp_path_factory.mktemp("online_retail"))
    accounting = load_all(home, source)
    scans = {name: raw_scan(home, name) for name in source.tables}

    def ask(sql: str) -> list[tuple]:
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql.format(bought=f"({BOUGHT.format(**scans)})", **scans)).fetchall()

    return accounting, ask


def test_online_retail_accounts_for_every_line_and_invoice(online_retail: Any) -> None:
    accounting, ask = online_retail
    assert accounting == {
        "users": (19_296, 4_372, 0, 14_924),
        "orders": (25_900, 25_898, 2, 0),
        "order_items": (541_909, 541_907, 2, 0),
        "products": (278_011, 3_828, 0, 274_183),
        "refunds": (3_836, 3_836, 0, 0),
    }
    assert ask("select count(*) from {order_items} where order_item_id like '%~%'") == [(5_268,)], "what is counted as duplicate by default"
    assert ask("select status, count(*), sum(amount)::varchar from {orders} group by 1 order by 1") == [
        ("cancelled", 3_836, "893979.73"),
        ("completed", 19_959, "10631048.74"),
        ("void", 2_103, "11062.06"),
    ]


def test_online_retail_gives_the_published_counts(online_retail: Any) -> None:
    _, ask = online_retail
    assert ask("select count(*), count(distinct user_id), count(distinct order_id), sum(amount)::varchar from {bought}") == [
        (397_884, 4_338, 18_532, "8911407.90")
    ]


def test_online_retail_gives_the_published_first_cohort(online_retail: Any) -> None:
    _, ask = online_retail
    months = "select distinct user_id, date_trunc('month', bought_at) as month, min(date_trunc('month', bought_at)) over (partition by user_id) as cohort from {bought}"
    row = ask(f"select count(*) from ({months}) where cohort = date '2010-12-01' group by month order by month")
    assert [count for (count,) in row] == [885, 324, 286, 340, 321, 352, 321, 309, 313, 350, 331, 445, 235]


def test_online_retail_gives_the_published_rfm_means(online_retail: Any) -> None:
    _, ask = online_retail
    lines = "select * from {bought} where order_item_id not like '%~%'"
    (means,) = ask(
        f"""
        with lines as ({lines}),
        users as (
            select date_sub('day', max(bought_at), (select max(bought_at) + interval 1 day from lines)) as recency,
                count(distinct order_id) as frequency, sum(amount) as monetary
            from lines group by user_id
        )
        select round(avg(recency), 2), round(avg(frequency), 2), round(avg(monetary), 2) from users
        """
    )
    assert means == (92.54, 4.27, 2048.69)


# -- source.yml --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"zone": "Mars/Base"}, "zone"),
        ({"root": {}}, "root needs one of package, env or path"),
        ({"colour": 1}, "colour"),
        ({"first_night": "2026-02-30"}, "first_night"),
        ({"files": {"orders": {"path": "../orders.csv", "columns": ["a"]}}}, "must stay inside the source's root"),
        ({"files": {"orders": {"path": "/etc/orders.csv", "columns": ["a"]}}}, "must stay inside the source's root"),
        ({"files": {"orders": {"path": "o.csv", "columns": []}}}, "columns"),
        ({"files": {"orders": {"path": "o.csv", "columns": ["a"], "encoding": "klingon"}}}, "klingon"),
        ({"tables": {"sales": {}}}, "tables.sales is not a table of the contract"),
        ({"tables": {"orders": {"each": "nothing"}}}, "tables.orders.each names no file"),
        ({"tables": {"orders": {}, "products": {}}}, "products.sql is missing"),
        ({"tables": {}}, "is not listed under tables"),
        ({"tables": {"orders": {"known_keys": "forget"}}}, "known_keys"),
        ({"phone_prefix": "0049"}, "phone_prefix"),
        ({"quiet": {"weekdays": ["Sunday"]}}, "quiet.weekdays.0"),
        ({"quiet": {"weekdays": ["sun"]}}, "quiet.weekdays.0"),
        ({"gate": {"quarantine_share": 2}}, "gate.quarantine_share"),
        ({"gate": {"orphan_share": -0.1}}, "gate.orphan_share"),
        ({"gate": {"orphan_share": float("nan")}}, "gate.orphan_share"),
        ({"gate": {"volume": [5, 0.2]}}, "the first must lie below 1 and the second above it"),
        ({"gate": {"volume": [2, 5]}}, "the first must lie below 1 and the second above it"),
        ({"gate": {"fresh_days": -1}}, "gate.fresh_days"),
        ({"first_night": "2026-03-02", "last_night": "2026-03-01"}, "last_night 2026-03-01 lies before first_night 2026-03-02"),
        ({"files": {"orders": {"path": "o.csv", "columns": ["a", "b", "a"]}}}, "columns names a twice"),
        ({"files": {"orders": {"path": "o.csv", "columns": ["a"], "delimiter": ";;"}}}, "delimiter"),
        ({"files": {"orders": {"path": "o.jsonl", "columns": ["a"], "format": "jsonl", "delimiter": ";"}}}, "delimiter says nothing"),
        ({"files": {"orders": {"path": "o.pq", "columns": ["a"], "format": "parquet", "encoding": "gb18030"}}}, "encoding says nothing"),
    ],
)
def test_a_wrong_source_is_told_in_one_sentence_with_its_place(new_shop: Callable, change: dict, sentence: str) -> None:
    shop = new_shop()
    (shop.folder / "users.sql").unlink()
    shop.document["tables"] = {"orders": {}}
    shop.document |= change
    shop.configure()
    with pytest.raises(UserOpsError, match=re.escape(sentence)) as fault:
        load_source(str(shop.folder))
    assert str(fault.value).startswith("shop/")
    assert "\n" not in str(fault.value)


def test_a_key_that_stands_twice_is_told(new_shop: Callable) -> None:
    shop = new_shop()
    path = shop.folder / "source.yml"
    path.write_text(path.read_text() + "\nzone: Europe/Paris\n")
    with pytest.raises(UserOpsError, match="the key 'zone' stands twice"):
        load_source(str(shop.folder))


@pytest.mark.parametrize("text", ["zone: [", "- a list", "", "!!python/object/apply:os.system ['true']", yaml.safe_dump({"about": "only"})])
def test_what_is_no_source_at_all_is_told(new_shop: Callable, text: str) -> None:
    shop = new_shop()
    (shop.folder / "source.yml").write_text(text)
    with pytest.raises(UserOpsError, match=r"^shop/source\.yml"):
        load_source(str(shop.folder))
    with pytest.raises(UserOpsError, match="There is no source 'nowhere'"):
        load_source("nowhere")
