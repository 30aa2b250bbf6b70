"""Promises of the data dictionary: everything written in the YAML is in it, nothing else is, and it needs no network."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from tests.changed_project import GROCER
from userops_pipeline.publish import dictionary
from userops_pipeline.publish.dictionary import ColumnDoc, TableDoc
from userops_pipeline.rulebook.current import described


def model(name: str, *, meta: dict[str, Any] | None = None, columns: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "resource_type": "model",
        "fqn": ["userops", "marts", "lifecycle", name],
        "description": "One row per user.\nMore <b>here</b> & `code`.",
        "config": {"meta": meta or {}},
        "columns": {column: {"name": column, **body} for column, body in (columns or {}).items()},
    }


MANIFEST = {
    "nodes": {
        "model.userops.user_tags": model(
            "user_tags",
            meta={"label": "用户标签"},
            columns={
                "user_id": {"data_type": "varchar", "description": "The user"},
                "price_sensitive": {
                    "data_type": "boolean",
                    "description": "Buys on discount.",
                    "config": {"meta": {"label": "价格敏感", "when": "share >= 0.5 and (a | b)"}},
                },
            },
        ),
        "model.userops.user_segments": model(
            "user_segments",
            columns={
                "win_back": {
                    "config": {"meta": {"include": ["a or b", "c"], "exclude": ["complained", {"segment": "loyal_thanks"}]}},
                }
            },
        ),
        "model.userops.user_lifecycle": model("user_lifecycle"),
        "model.userops.funnel_conversion": model("funnel_conversion"),
        "test.userops.user_tags": {"name": "user_tags", "resource_type": "test"},
    }
}
RULES = {
    "user_lifecycle": {
        "stages": [{"name": "loyal", "label": "忠诚", "when": "orders >= 5", "state": "Buys often.", "goal": "Keep", "kpi": {"name": "k"}}]
    },
    "funnel_conversion": {
        "funnels": [
            {
                "name": "ladder",
                "steps": [{"name": "first", "when": "x"}, {"name": "second", "when": "y", "within_days": 30, "same_object": True}],
            }
        ]
    },
}
TABLES = ["user_tags", "user_segments", "user_lifecycle", "funnel_conversion", "unknown"]
DOCS = {doc.name: doc for doc in dictionary.describe(MANIFEST, TABLES, RULES)}


def test_descriptions_and_labels_are_found_in_the_manifest_and_rules_in_what_is_declared() -> None:
    assert list(DOCS) == ["user_tags", "user_segments", "user_lifecycle", "funnel_conversion"]
    tags = DOCS["user_tags"]
    assert (tags.label, tags.subject, tags.description) == ("用户标签", "lifecycle", "One row per user. More <b>here</b> & `code`.")
    assert tags.columns[1] == ColumnDoc("price_sensitive", "BOOLEAN", "Buys on discount.", "价格敏感", "share >= 0.5 and (a | b)")


def test_segments_stages_and_funnels_read_as_sentences() -> None:
    assert DOCS["user_segments"].columns[0].rule == "(a or b) and c; without: complained; segment loyal_thanks"
    (stage,) = DOCS["user_lifecycle"].rules
    assert (stage.kind, stage.name, stage.label, stage.rule, stage.meaning) == ("stage", "loyal", "忠诚", "orders >= 5", "Buys often. Keep")
    assert [step.meaning for step in DOCS["funnel_conversion"].rules] == ["", "within 30 days of the step before, same object"]


def test_a_table_has_exactly_its_own_columns() -> None:
    table = dictionary.with_columns(DOCS["user_tags"], {"price_sensitive": "INTEGER", "undocumented": "DATE"})
    assert [(column.name, column.data_type, column.label) for column in table.columns] == [
        ("price_sensitive", "INTEGER", "价格敏感"),
        ("undocumented", "DATE", ""),
    ]


def test_page_is_well_formed_escaped_and_needs_no_network() -> None:
    page = dictionary.as_html(list(DOCS.values()), {"user_tags": 2469}, "2017-12-31-abc")
    opened: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert not {name for name, _ in attrs} & {"src", "srcset"}
            if tag not in ("meta", "input", "br"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Balance().feed(page)
    assert opened == []
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    assert "&lt;b&gt;here&lt;/b&gt; &amp; <code>code</code>" in page and "<b>" not in page
    assert "2,469 rows" in page and "价格敏感" in page and "2017-12-31-abc" in page
    assert [anchor for anchor in re.findall(r'href="#(\w+)"', page) if f'<section id="{anchor}">' not in page] == []


def test_markdown_keeps_its_tables_whole() -> None:
    page = dictionary.as_markdown([*DOCS.values(), TableDoc("bare")], {"user_tags": 2469}, "2017-12-31-abc")
    assert "| `price_sensitive` | 价格敏感 | boolean | Buys on discount. | `share >= 0.5 and (a \\| b)` |" in page
    assert "| [`user_tags`](#user_tags) | 用户标签 | 2,469 |" in page
    assert "## bare" in page


def test_the_rules_of_a_shop_stand_at_the_tables_that_they_decide() -> None:
    manifest = {"nodes": {f"model.userops.{name}": model(name) for name in ("user_lifecycle", "user_rfm", "funnel_conversion")}}
    declared = described(GROCER)
    docs = {
        doc.name: doc for doc in dictionary.describe(manifest, declared.models, {name: declared.rules_of(name) for name in declared.models})
    }
    assert {"churned", "loyal"} <= {rule.name for rule in docs["user_lifecycle"].rules}
    assert "champions" in {rule.name for rule in docs["user_rfm"].rules} and "second_purchase" in {
        rule.name for rule in docs["funnel_conversion"].rules
    }
