"""Promises of the review: every section or its reason, whatever is missing; nothing from elsewhere; a broken generation is a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest
from published_tables import NIGHT, declared, published, section_of

from userops_pipeline.ground import reasons
from userops_pipeline.ground.home import DBT_PROJECT_DIR, PACKAGE_DIR, Home, UserOpsError
from userops_pipeline.ground.words import Words
from userops_pipeline.publish import generations, review
from userops_pipeline.publish.review.page import as_html
from userops_pipeline.publish.review.parts import Drawing, Published, Sentence, Table, Unknown, opened, section


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> generations.Generation:
    """Every table that is published, without a row."""
    return published(tmp_path_factory.mktemp("empty"), declared())


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., generations.Generation]:
    """Publishes the tables whose rows are given, and `user_rfm`; there are no others."""
    known = declared()
    return lambda night=NIGHT, **rows: published(tmp_path, {name: known[name] for name in ("user_rfm", *rows)}, night, **rows)


def test_a_generation_without_rows_gives_every_section_its_reason(empty: generations.Generation) -> None:
    made = review.review(empty)
    for each in review.SECTIONS:
        part = section_of(made.html, each.name)
        assert each.title.en in part
        assert each.title.zh in part
        assert 'class="unknown"' in part or each.name in ("data", "tags"), each.name
    assert "2 checks passed" not in made.html
    assert "1 checks passed; warned: orders.fresh." in made.html


def test_a_generation_that_lacks_a_table_says_which(publish: Callable[..., generations.Generation]) -> None:
    page = review.review(publish(user_survival="select 'active_life' as survival")).html
    assert "本次发布没有表 survival_monthly" in section_of(page, "survival")
    assert "this generation has no table retention_cohorts, retention_curve" in section_of(page, "retention")
    assert "has no table" not in section_of(page, "rfm")


def test_the_same_generation_gives_the_same_bytes_and_another_does_not(publish: Callable[..., generations.Generation]) -> None:
    stages = (
        "select date '2017-12-31' as night_on, 1 as position, 'contact' as stage, '接触' as label, {} as user_count, 1 as user_share, "
        "3 as entered_count, 0 as left_count, 'share_active' as kpi, '活跃' as kpi_label, 0.5 as kpi_value, 0.8 as kpi_target, "
        "'up' as kpi_direction, 'missed' as kpi_status, '<i>' as state, '新' as state_zh"
    )
    flow = "select date '2017-12-{}' as night_on, 'contact' as stage, 0 as opening_count, 3 as entered_count, 0 as left_count, 3 as closing_count"
    generation = publish(lifecycle_kpi_daily=stages.format(3), lifecycle_flow_daily=" union all ".join(flow.format(d) for d in (30, 31)))
    first = review.review(generation).html
    assert review.review(generation).html == first
    assert "50.0 % missed" in first
    assert "<i>" not in first.replace("<i><u", "")
    assert "&lt;i&gt;" in first
    changed = publish(lifecycle_kpi_daily=stages.format(4), lifecycle_flow_daily=flow.format(31))
    assert review.review(changed).html != first


def test_concentration_is_read_from_what_buyers_spent(publish: Callable[..., generations.Generation]) -> None:
    """Ten buyers, of whom the first spends 91 and the others 1 each: the top tenth brings 91 %."""
    users = "select 'u' || i as user_id, case when i = 0 then 91 when i < 10 then 1 end as spend_amount from range(12) as r(i)"
    page = section_of(review.review(publish(user_profile=users)).html, "concentration")
    assert "the top 10% bring 91 %" in page
    assert "the top 20% bring 92 %" in page
    assert "10 buyers, 100 spent in all" in page


def test_the_page_needs_nothing_from_elsewhere(empty: generations.Generation) -> None:
    page = review.review(empty).html
    assert re.findall(r"https?:|//\w|@import|url\((?!#)|src=|<link|<iframe", page) == []


def test_an_adversarial_name_stays_text(publish: Callable[..., generations.Generation]) -> None:
    made = section("x", Words("</h2><script>", "<b>"), Words("a & b", "<c>"))(lambda _: iter(()))
    generation = publish()
    parts = [Unknown(Words("<script>", "<d>")), Sentence(Words("<e>", "<f>")), Table((Words("<g>"),), [("<h>",), (Words("<j>", "<k>"),)])]
    page = as_html(generation, [(made, parts)])
    assert re.findall(r"<[a-k]>|</h2><script>", page) == []
    assert page.count("<script>") == 1  # the page's own


def test_a_section_reads_no_export(empty: generations.Generation) -> None:
    with opened(empty) as found, pytest.raises(duckdb.CatalogException):
        found.rows("select * from audiences")


def test_section_names_and_pictures_are_unique(empty: generations.Generation) -> None:
    names = [each.name for each in review.SECTIONS]
    assert len(set(names)) == len(names)
    tables = declared()
    assert {table for each in review.SECTIONS for table in each.tables} <= tables.keys()
    with opened(empty) as found:
        drawn = [part.name for each in review.SECTIONS for part in each.parts(found) if isinstance(part, Drawing)]
    assert len(set(drawn)) == len(drawn)


def test_a_night_is_found_or_the_sentence_says_which_there_are(publish: Callable[..., generations.Generation], tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(UserOpsError, match="Nothing is published yet; run a night first."):
        review.published_on(home, None)
    with pytest.raises(UserOpsError, match="Nothing is published yet"):
        review.published_on(home, NIGHT)
    older, newer = publish(date(2017, 12, 30)), publish()
    assert review.published_on(home, None).id == newer.id
    assert review.published_on(home, older.as_of).id == older.id
    with pytest.raises(UserOpsError, match="no generation of 2017-12-01 any more, or not yet; there are those of 2017-12-30, 2017-12-31.$"):
        review.published_on(home, date(2017, 12, 1))
    kept = review.write(home.review_of(date(2017, 12, 1)), review.review(older))
    with pytest.raises(UserOpsError, match=f"The review written that night is {kept}."):
        review.published_on(home, date(2017, 12, 1))


def test_a_broken_generation_is_a_sentence_and_writes_nothing(publish: Callable[..., generations.Generation], tmp_path: Path) -> None:
    home, generation = Home(tmp_path), publish()
    (generation.path / "user_rfm.parquet").write_bytes(b"torn")
    with pytest.raises(UserOpsError, match="cannot be trusted: user_rfm.parquet has changed since it was published"):
        review.published_on(home, None)
    assert not home.review_of(NIGHT).exists()


def test_a_review_is_replaced_whole(publish: Callable[..., generations.Generation], tmp_path: Path) -> None:
    path = tmp_path / "pages" / "review.html"
    page = review.review(publish())
    path.parent.mkdir()
    path.write_text("old", encoding="utf-8")
    assert review.write(path, page).read_text(encoding="utf-8") == page.html
    assert [entry.name for entry in path.parent.iterdir()] == ["review.html"]


def test_what_a_section_raises_is_not_hidden(empty: generations.Generation) -> None:
    def broken(found: Published):
        yield Sentence(Words(str(found.rows("select no_such_column from user_rfm"))))

    with opened(empty) as found, pytest.raises(duckdb.BinderException):
        section("x", Words("x"), Words("x"), "user_rfm")(broken).parts(found)


# ---- reasons -----------------------------------------------------------------------------------------------------------------------


def reasons_given() -> set[str]:
    """Every reason that a model or a score can give, with 7 for what is filled in."""
    files = [path for part in ("models", "macros") for path in sorted((DBT_PROJECT_DIR / part).rglob("*.sql"))]
    files += [path for path in (PACKAGE_DIR / "conclude").glob("*.py") if path.name != "scored.py"]
    text = re.sub(r"\{\{.*?\}\}|\{.*?\}", "7", "\n".join(path.read_text(encoding="utf-8") for path in files))
    return {reason for reason in re.findall(r"""not_eligible: ([^'"%]+)['"]""", text) if re.search("[a-z]", reason)}


def test_every_reason_a_table_can_give_has_its_words_in_chinese() -> None:
    given = reasons_given()
    assert len(given) > 15
    assert {reason for reason in given if not re.search("[\u4e00-\u9fff]", reasons.in_words(f"not_eligible: {reason}").zh)} == set()


def test_reasons_keep_their_numbers() -> None:
    assert reasons.in_words("not_eligible: 60 days of purchases, 180 are needed") == (
        "60 days of purchases, 180 are needed",
        "只有 60 天的购买记录，至少需要 180 天",
    )
    assert reasons.in_words("not_eligible: for a reason nobody knows yet").zh == "for a reason nobody knows yet"
