"""What a person at a terminal is told: every command answers, every mistake is a sentence, and nobody's data stands in any log.

Add a command with its good and its bad case. Must not run nights beyond those of the shelf.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flow_harness import EVE, LAST, FlowShop, Shelf, ask, content, current_id

from userops_pipeline.publish.review import SECTIONS


def test_the_summary_shows_stages_tags_lists_and_rows(shop: FlowShop, clean: Path) -> None:
    said = shop.run(clean, "summary").said
    for words in ("users as of 2026-03-16", "first_purchase", "coupon_lover", "high_value_care", "quarantined", "Try next"):
        assert words in said


def test_rules_can_be_checked_listed_and_previewed(shop: FlowShop, clean: Path) -> None:
    assert "the rules are sound" in shop.run(clean, "rules", "check").said
    listed = shop.run(clean, "rules", "list", COLUMNS="400").said
    assert len([line for line in listed.splitlines() if line.startswith(("stage", "tag", "segment", "funnel", "list"))]) > 60
    said = shop.run(clean, "rules", "preview", "order_count >= 2 and coupon_lover").said
    [(wanted, everyone)] = ask(
        clean, "select count(*) filter (order_count >= 2 and coupon_lover), count(*) from user_profile join user_tags using (user_id)"
    )
    assert f"{wanted} of {everyone} users" in said
    named = shop.run(clean, "rules", "preview", "order_count >= 2 and coupon_lover", "--ids", 3).said.splitlines()[-3:]
    assert [(user.strip(),) for user in named] == ask(
        clean, "select user_id from user_profile join user_tags using (user_id) where order_count >= 2 and coupon_lover order by 1 limit 3"
    )
    assert {line.split()[0] for line in shop.run(clean, "rules", "list", "TAG", "coupon", COLUMNS="400").said.splitlines()[::2]} == {"tag"}
    assert "No rule has all" in shop.run(clean, "rules", "list", "nothing at all").said
    for condition, words in (
        ("no_such_column > 1", "no_such_column"),
        ("order_count >", ""),
        ("(select count(*) from user_profile) > 1", ""),
        ("order_count > 1; drop table user_profile", ""),
        ("read_text('/etc/passwd') is not null", ""),
    ):
        refused = shop.run(clean, "rules", "preview", condition, code=1).said
        assert words in refused
        assert "✗" in refused


# In a process that has imported nothing yet: the command, and then what it took to answer.
LOADED = """
import sys
from userops_pipeline.cli import main
try:
    main(sys.argv[1:], prog_name="userops")
except SystemExit:
    pass
print("loaded:", *sorted(set(sys.modules) & {"dagster", "dbt", "great_expectations", "matplotlib", "duckdb"}))
"""


@pytest.mark.parametrize(
    ("command", "loads"),
    [
        (["--help"], ""),
        (["rules", "list"], "duckdb"),
        (["rules", "check"], "duckdb"),
        (["rules", "preview", "order_count >= 2"], "duckdb"),
        (["explain", "nobody"], "duckdb"),
        (["summary"], "duckdb"),
    ],
)
def test_who_asks_about_rules_waits_for_neither_dagster_nor_dbt(shop: FlowShop, clean: Path, command: list[str], loads: str) -> None:
    environment = {**os.environ, "USEROPS_HOME": str(clean), "USEROPS_SOURCE": str(shop.source)}
    shop.run(clean, "rules", "list")  # the manifest is as new as the project
    done = subprocess.run([sys.executable, "-c", LOADED, *command], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split()[1:] == loads.split()


def test_explain_gives_the_rules_and_the_values_they_saw(shop: FlowShop, clean: Path) -> None:
    [(user, stage)] = ask(
        clean, "select user_id, stage from user_lifecycle join user_tags using (user_id) where coupon_lover order by user_id limit 1"
    )
    said = shop.run(clean, "explain", user).said
    assert stage in said
    assert "redemption count in the last 90 nights is at least 2" in said
    assert "近90天核销次数 至少 2" in shop.run(clean, "explain", user, "--language", "zh").said
    assert "coupon_news" in said
    assert "no such user" in shop.run(clean, "explain", "U9999", code=1).said  # the id may be somebody's number, so it is not repeated


def test_the_review_of_a_night_is_one_page_without_network_or_personal_data(shop: FlowShop, clean: Path, tmp_path: Path) -> None:
    written = clean / "published" / "reviews" / f"{LAST}.html"
    assert str(written) in shop.run(clean, "summary").said
    by_the_night = written.read_bytes()
    assert str(written) in shop.run(clean, "review").said
    assert written.read_bytes() == by_the_night
    shop.run(clean, "review", "--date", EVE, "--out", tmp_path / "eve.html")
    assert (tmp_path / "eve.html").read_bytes() != by_the_night
    assert f"there are those of {EVE}, {LAST}" in shop.run(clean, "review", "--date", "2026-03-02", code=1).said
    page = by_the_night.decode()
    for section in SECTIONS:
        assert (
            f'<section id="{section.name}"><h2><span lang="en">{section.title.en}</span><span lang="zh">{section.title.zh}</span></h2>'
            in page
            or (section.title.en == section.title.zh)
        )
    assert page.count("<figure><svg ") > 6
    assert re.findall(r"https?:|src=|<link|<iframe|@import", page) == []
    people = {name for (name,) in ask(clean, "select user_id from user_profile")}
    assert {name for name in people if f">{name}<" in page} == set()


def test_generations_are_listed_and_an_older_one_is_made_current(shop: FlowShop, clean: Path) -> None:
    newest = current_id(clean)
    listed = shop.run(clean, "generations", "list").said
    assert f"→  {newest}" in listed
    [older] = [word for word in listed.split() if word.startswith(f"{EVE}-")]
    assert older in shop.run(clean, "generations", "activate", older).said
    assert ask(clean, "select generation_id from generation") == [(older,)]
    held = shop.run(clean, "deliver", "category_news", code=1).said
    assert "was delivered as of 2026-03-16 already" in held  # going back never sends to people who have withdrawn since
    assert "Known generations" in shop.run(clean, "generations", "activate", "no-such", code=1).said
    shop.run(clean, "generations", "activate", newest)
    assert "nothing keeps a night from running" in shop.run(clean, "doctor").said


def test_deliver_tells_before_it_sends(shop: FlowShop, clean: Path) -> None:
    said = shop.run(clean, "deliver", "--dry-run").said
    assert "category_news" in said
    assert "nothing was sent (dry run)" in said
    assert "There is no list 'nobody'" in shop.run(clean, "deliver", "nobody", code=1).said
    assert "USEROPS_WEBHOOK_URL is not set" in shop.run(clean, "deliver", code=1, USEROPS_WEBHOOK_LIVE="1").said


def test_quarantine_is_listed_and_replayed(shop: FlowShop, clean: Path) -> None:
    said = shop.run(clean, "quarantine", "list").said
    assert "orders.csv record" in said
    assert "users" not in shop.run(clean, "quarantine", "list", "--table", "orders").said
    before = content(clean)
    assert "0 of" in shop.run(clean, "quarantine", "replay").said
    assert "nothing keeps a night" in shop.run(clean, "doctor").said
    assert content(clean) == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nightly", "--date", "2026-13-01"], 2, "is not a date like"),
        (["nightly"], 2, "--date"),
        (["nightly", "--date", "2026-02-01"], 1, "2026-03-01"),
        (["nightly", "--date", "2027-01-01"], 1, "2026-03-16"),
        (["backfill", "--from", "2026-03-05", "--to", "2026-03-01"], 1, "lies after"),
        (["nightly", "--date", "2026-03-01", "--source", "nobody"], 1, "There is no source 'nobody'"),
        (["nightly", "--date", "2026-03-16", "--waive", "orders.nonsense"], 1, "orders.nonsense"),
        (["quarantine", "list", "--table", "no_such_table"], 1, "no_such_table"),
        (["deliver", "--allow-removals", "nobody"], 1, "There is no list 'nobody'"),
        (["no-such-command"], 2, "No such command"),
    ],
)
def test_a_mistake_is_a_sentence(shop: FlowShop, clean: Path, arguments: list[str], code: int, words: str) -> None:
    before = content(clean)
    said = shop.run(clean, *arguments, code=code).said
    assert words in said
    assert content(clean) == before


@pytest.mark.parametrize("arguments", [["summary"], ["review"], ["explain", "U0001"], ["deliver"], ["rules", "preview", "order_count > 1"]])
def test_before_the_first_night_every_question_says_so(shop: FlowShop, shelf: Shelf, arguments: list[str]) -> None:
    assert "night" in shop.run(shelf.fresh(), *arguments, code=1).said
    assert "Nothing is published yet" in shop.run(shelf.home, "doctor", code=1).said
