"""The rules that the guides write down: as they stand there they are accepted, and without the one they need they are refused.

Add a paragraph to WRITTEN when a guide shows a new rule, with the line it goes above. Must not build tables: dbt only reads the project.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from tests.changed_project import project_with
from tests.dbt_runs import run_dbt
from userops_pipeline import rulebook
from userops_pipeline.deliver.destinations import registry
from userops_pipeline.ground.home import DBT_PROJECT_DIR, PROJECT_DIR

GUIDES = PROJECT_DIR / "docs" / "guides"
# What a guide adds: its page, how its paragraph begins, the file under models/, and the line that it goes above.
WRITTEN = [
    ("tag.md", "      - name: sleepy_regular", "marts/tags/_tags.yml", "      - name: one_time_buyer"),
    ("stage.md", "          - name: habit_forming", "marts/lifecycle/_lifecycle.yml", "          - name: repeat"),
    ("segment.md", "      - name: quick_repeaters", "marts/segments/_segments.yml", "      - name: first_purchase_push"),
    ("list.md", "  - name: quick_repeater_letters", "exports/exposures.yml", "  - name: womens_goods_mailing"),
    ("funnel.md", "          - name: coupon_use", "marts/funnels/_funnels.yml", "          - name: purchase_ladder"),
    ("source.md", "  - name: second_purchase_emails", "exports/exposures.yml", "  - name: womens_goods_mailing"),
]
# What a guide shows of the project as it is.
SHOWN = {
    "goal.md": "marts/goals/_goals.yml",
    "membership.md": "marts/membership/_membership.yml",
    "churn.md": "marts/churn/_churn.yml",
}


def paragraphs(page: str) -> list[str]:
    return re.findall(r"(?ms)^```yaml\n(.*?)^```", (GUIDES / page).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of a copy of the project into which the guides' rules are written."""
    folder = tmp_path_factory.mktemp("guides")
    project = project_with(folder, {})
    for page, begins, file, above in WRITTEN:
        (paragraph,) = [text for text in paragraphs(page) if text.startswith(begins)]
        path = project / "models" / file
        text = path.read_text(encoding="utf-8")
        assert text.count(f"\n{above}\n") == 1, (file, above)
        path.write_text(text.replace(f"\n{above}\n", f"\n{paragraph}\n{above}\n"), encoding="utf-8")
    assert rulebook.check_yaml_files(project) == []
    run_dbt(folder / "userops.duckdb", "parse", target=folder / "target", project=project)
    return json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))


def refusals(manifest: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in rulebook.check(rulebook.load(manifest), registry.names()) if not problem.is_warning]


def test_what_the_guides_write_is_accepted(written: dict[str, Any]) -> None:
    rules = json.dumps(written)
    assert all(begins.split(": ")[1] in rules for _, begins, _, _ in WRITTEN)
    assert refusals(written) == []


def test_the_stage_without_its_segment_is_refused(written: dict[str, Any]) -> None:
    spoilt = copy.deepcopy(written)
    (segments,) = [node for node in spoilt["nodes"].values() if node["name"] == "user_segments"]
    del segments["columns"]["quick_repeaters"]
    told = refusals(spoilt)
    assert any("quick_repeaters" in sentence for sentence in told), told


@pytest.mark.parametrize("page", SHOWN)
def test_what_the_guides_show_stands_in_the_project(page: str) -> None:
    stands = {_bare(line) for line in (DBT_PROJECT_DIR / "models" / SHOWN[page]).read_text(encoding="utf-8").splitlines()}
    for paragraph in paragraphs(page):
        assert [line for line in paragraph.splitlines() if _bare(line) not in stands] == []


def _bare(line: str) -> str:
    return re.split(r"\s{2,}#", line.rstrip())[0].rstrip()
