"""What people type wrongly in the files of rules, and what is said of it: file, line, what stands there and what was meant.

Add a mistake here when somebody makes one that is not answered well. Must not need dbt: what is typed is seen in the files.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from userops_pipeline.conclude.scored import ValueRules
from userops_pipeline.ground.home import DBT_PROJECT_DIR
from userops_pipeline.rulebook import check_yaml_files, grammar
from userops_pipeline.rulebook.kinds.goals import Metric
from userops_pipeline.rulebook.kinds.lists import ContactList, Segment, Tag
from userops_pipeline.rulebook.kinds.settings import SETTINGS
from userops_pipeline.rulebook.places import PLACES
from userops_pipeline.rulebook.problem import nearest
from userops_pipeline.rulebook.spelling import Project, misspelt
from userops_pipeline.rulebook.vocabulary import KEYS
from userops_pipeline.rulebook.wording import said

TAGS = "models/marts/tags/_tags.yml"
SEGMENTS = "models/marts/segments/_segments.yml"
STAGES = "models/marts/lifecycle/_lifecycle.yml"
LISTS = "models/exports/exposures.yml"
METRICS = "models/marts/goals/_metrics.yml"
TESTS = "models/marts/tags/_unit_tests.yml"
SESSIONS = "models/intermediate/_intermediate.yml"

NEW_BUYER = '{meta: {label: 新客, family: lifecycle, owner: user_operations, when: "days_since_first_order <= 30"}}'
A_TAG = """
      - name: vip
        data_type: boolean
        description: A very important one.
        config: {meta: {label: 贵宾, family: value, owner: crm, when: "order_count >= 9"}}
"""
A_SEGMENT = """
      - name: vips
        data_type: boolean
        description: Very important ones.
        config: {meta: {label: 贵宾, owner: crm, include: [order_count >= 9]}}
"""
A_STAGE = """
      - name: adored
        label: 挚爱
        when: order_count >= 99
        stays_when: order_count >= 98
        touchpoint: Calls
        kpi: {name: orders, label: L, sql: avg(order_count), target: 1, direction: up}
"""
A_LIST = """
      - name: vips
        label: 名单
        type: application
        depends_on: [ref('audiences')]
        config: {meta: {tool: csv_file, segment: vips, mode: mirror, match_key: user_id, channel: postal, purpose: marketing}}
"""


@dataclass(frozen=True)
class Mistake:
    """`old` of a file becomes `new`, or `new` is written at its end; `mark`, or `new`, begins on the line that is named."""

    what: str
    file: str
    new: str
    words: tuple[str, ...]
    old: str = ""
    mark: str = ""
    zh: str = ""


MISTAKES = [
    # 1. signs that look like those of YAML and SQL
    Mistake("full-width colon in a block", STAGES, "label：忠诚", ("'：' (full-width)", "write ':'"), "label: 忠诚", zh="请改成 ':'"),
    Mistake(
        "full-width colon in braces",
        TAGS,
        "{meta: {label：新客, family",
        ("'label：新客' holds '：'", "write 'label: 新客'"),
        "{meta: {label: 新客, family",
    ),
    Mistake(
        "full-width comma in braces",
        TAGS,
        "label: 新客，family: lifecycle",
        ("'，' (full-width)", "write ','"),
        "label: 新客, family: lifecycle",
    ),
    Mistake(
        "full-width comma and colon",
        TAGS,
        "{meta: {label: 新客，family：lifecycle, owner",
        ("goes on to 'family'",),
        "{meta: {label: 新客, family: lifecycle, owner",
    ),
    Mistake("full-width braces", TAGS, NEW_BUYER.replace("{meta", "｛meta"), ("'｛' (full-width)", "write '{'"), NEW_BUYER),
    Mistake(
        "sign of mathematics",
        TAGS,
        "order_count_90d ≥ 4 and spend_amount_30d",
        ("'when' holds '≥' (a sign of mathematics)", "write '>='"),
        "order_count_90d >= 4 and spend_amount_30d",
        zh="请改成 '>='",
    ),
    Mistake(
        "full-width sign in a condition",
        TAGS,
        "spend_amount_90d ＞= 900",
        ("'when' holds '＞' (full-width)", "write '>'"),
        "spend_amount_90d >= 900",
    ),
    Mistake("full-width equals", TAGS, "order_count ＝ 1", ("holds '＝'", "write '='"), "order_count = 1"),
    Mistake("full-width digits", TAGS, "spend_amount_90d >= ９00", ("holds '９'", "write '9'"), "spend_amount_90d >= 900"),
    Mistake(
        "full-width brackets in a condition", TAGS, "coalesce（days_paid_up, 0)", ("holds '（'", "write '('"), "coalesce(days_paid_up, 0)"
    ),
    Mistake(
        "curly quotes in a condition",
        SEGMENTS,
        "[stage = ‘lapsed’, order_count >= 2]",
        ("'include' holds '‘' (a curly quote)", 'write "\'"'),
        "[stage = 'lapsed', order_count >= 2]",
    ),
    Mistake("curly quotes around a condition", TAGS, "when: “order_count = 1”}", ("'when' holds '“'",), 'when: "order_count = 1"}'),
    Mistake("curly quotes around a label", TAGS, "label: “新客”,", ("the text of 'label' stands in “”",), "label: 新客,"),
    Mistake(
        "full-width letters of a key",
        TAGS,
        'ｆａｍｉｌｙ: lifecycle, owner: user_operations, when: "order_count = 1"',
        ("'ｆａｍｉｌｙ' holds 'ｆ'", "write 'family'"),
        'family: lifecycle, owner: user_operations, when: "order_count = 1"',
    ),
    Mistake(
        "full-width letters of a value",
        TAGS,
        "data_type: ｂoolean\n        description: Signed up",
        ("'data_type' holds 'ｂ'",),
        "data_type: boolean\n        description: Signed up",
    ),
    Mistake("full-width space for an indent", STAGES, "　　label: 忠诚", ("U+3000 (a space that is none for YAML)",), "label: 忠诚"),
    Mistake("a space nobody sees", TAGS, "order_count\u200b = 1", ("U+200B", "write nothing"), "order_count = 1"),
    Mistake(
        "no-break space in a condition",
        TAGS,
        "order_count\u00a0= 1",
        ("U+00A0", "write a plain space"),
        "order_count = 1",
        zh="请改成 普通空格",
    ),
    Mistake(
        "no space behind a colon",
        TAGS,
        "{meta: {label:新客, family",
        ("'label:新客' has no space behind its colon", "'label: 新客'"),
        "{meta: {label: 新客, family",
    ),
    # 2. keys in another language
    Mistake(
        "Chinese key of a tag",
        TAGS,
        '条件: "order_count = 1"',
        ("'条件' is not known", "write 'when'"),
        'when: "order_count = 1"',
        zh="请写 'when'",
    ),
    Mistake("Chinese key for the label", TAGS, "标签: 新客", ("write 'label'",), "label: 新客"),
    Mistake("Chinese name for the label", TAGS, "名称: 新客", ("write 'label'",), "label: 新客"),
    Mistake(
        "Chinese key with its colon",
        TAGS,
        "{meta: {标签：新客, family",
        ("'标签：新客' holds '：'", "write 'label: 新客'"),
        "{meta: {label: 新客, family",
    ),
    Mistake("Chinese key of a table", STAGES, "阶段:\n", ("write 'stages'",), "stages:\n"),
    Mistake("Chinese key of a list", LISTS, "分群: first_purchase_push", ("write 'segment'",), "segment: first_purchase_push"),
    Mistake("Chinese key of a KPI", STAGES, "kpi:\n              名称: ", ("write 'name'",), "kpi:\n              name: ", "名称"),
    Mistake("Chinese key of a file", SEGMENTS, "模型:\n", ("write 'models'",), "models:\n"),
    Mistake("English, but another word", TAGS, 'condition: "order_count = 1"', ("did you mean 'when'?",), 'when: "order_count = 1"'),
    Mistake("Chinese and in a condition", TAGS, "order_count = 1 且 order_count < 2", ("'且'", "write and"), "order_count = 1"),
    Mistake("Chinese column", TAGS, "订单数 = 1", ("'订单数', which is no column",), "order_count = 1"),
    # 3. words of vocabularies that dbt and SQL would take
    Mistake(
        "type of a column",
        TAGS,
        "data_type: bolean\n        description: Signed up",
        ("'data_type' is 'bolean'", "did you mean 'boolean'?"),
        "data_type: boolean\n        description: Signed up",
    ),
    Mistake(
        "a tag that is a text",
        TAGS,
        "data_type: string\n        description: Signed up",
        ("a tag is true or false",),
        "data_type: boolean\n        description: Signed up",
    ),
    Mistake("type of a metric", METRICS, "type: rati\n", ("did you mean 'ratio'?",), "type: ratio\n"),
    Mistake("test of a column", TAGS, "data_tests: [not_nul, unique]", ("did you mean 'not_null'?",), "data_tests: [not_null, unique]"),
    # 4. keys spelt wrongly
    Mistake(
        "key of a column",
        TAGS,
        "data_typ: boolean\n        description: Signed up",
        ("'data_typ'", "did you mean 'data_type'?"),
        "data_type: boolean\n        description: Signed up",
    ),
    Mistake("key under config", TAGS, "config: {mata: {label: 新客", ("did you mean 'meta'?",), "config: {meta: {label: 新客"),
    Mistake("config itself", TAGS, "confg: {meta: {label: 新客", ("did you mean 'config'?",), "config: {meta: {label: 新客"),
    Mistake("key under meta", TAGS, "{meta: {label: 新客, famly", ("did you mean 'family'?",), "{meta: {label: 新客, family"),
    Mistake("columns itself", TAGS, "    colums:\n", ("did you mean 'columns'?",), "    columns:\n"),
    Mistake("key of a KPI", STAGES, "kpi:\n              nme: ", ("did you mean 'name'?",), "kpi:\n              name: ", "nme:"),
    Mistake("key of a setting", SESSIONS, "timeout_minuts: 30", ("did you mean 'timeout_minutes'?",), "timeout_minutes: 30"),
    Mistake("key of a list's meta", LISTS, "segmnt: first_purchase_push", ("did you mean 'segment'?",), "segment: first_purchase_push"),
    Mistake("family of a metric, without which it is lost", METRICS, "famly: ", ("did you mean 'family'?",), "family: "),
    Mistake("argument of a test", TAGS, "colums: [", ("did you mean 'columns'?",), "columns: ["),
    Mistake(
        "comma in a text without quotes",
        TAGS,
        "description: The user, whoever they are, config",
        ("put the whole text of 'description' in quotes",),
        "description: The user, config",
    ),
    Mistake(
        "a key too high",
        TAGS,
        "label: 新用户\n        config: {meta: {family",
        ("it belongs under 'config: meta:'",),
        "config: {meta: {label: 新用户, family",
    ),
    Mistake(
        "a Chinese key too high",
        TAGS,
        'data_type: boolean\n        条件: "order_count = 1"\n',
        ("write 'when' under 'config: meta:'",),
        "data_type: boolean\n",
        mark="条件",
    ),
    Mistake(
        "a key too low",
        TAGS,
        "owner: user_operations, data_type: boolean, when",
        ("'data_type' stands too deep; it belongs beside 'config'",),
        "owner: user_operations, when",
    ),
    Mistake("a name of no table", TAGS, "- name: user_tag\n", ("name of no table", "did you mean 'user_tags'?"), "- name: user_tags\n"),
    Mistake("a mapping for a list", STAGES, "stages: {name: loyal}\n        was:\n", ("'stages' must be a list",), "stages:\n"),
    # 5. rules where nobody looks for them
    Mistake(
        "a tag at the end of its file, under another table",
        TAGS,
        A_TAG,
        ("looks like a tag, but nobody reads one under 'columns' of the table 'tag_quality'", f"columns of the table 'user_tags' ({TAGS})"),
        mark="- name: vip",
        zh="看起来是标签",
    ),
    Mistake("a tag among the segments", SEGMENTS, A_TAG, ("looks like a tag", "'user_tags'"), mark="- name: vip"),
    Mistake(
        "a segment at the end of the tags",
        TAGS,
        A_SEGMENT,
        ("looks like a segment", "the columns of the table 'user_segments'"),
        mark="- name: vips",
    ),
    Mistake("a stage at the end of its file", STAGES, A_STAGE, ("looks like a stage", "'user_lifecycle'"), mark="- name: adored"),
    Mistake("a list at the end of the tags", TAGS, A_LIST, ("looks like a list", "'exposures:'"), mark="- name: vips"),
    Mistake("a tag among the tables", TAGS, A_TAG.replace("\n    ", "\n"), ("looks like a tag",), mark="- name: vip"),
    Mistake("a tag among the unit tests", TESTS, A_TAG.replace("\n    ", "\n"), ("looks like a tag",), mark="- name: vip"),
    Mistake("a tag among the lists", LISTS, A_TAG.replace("\n    ", "\n"), ("looks like a tag",), mark="- name: vip"),
    Mistake(
        "stages of another table",
        TAGS,
        "label: 用户标签\n        stages: []",
        ("'stages' is read by nobody", "'user_lifecycle'"),
        "label: 用户标签",
        mark="stages: []",
    ),
    Mistake("rules at the top of a file", TAGS, "stages: []", ("'stages' is read by nobody at the top of the file",)),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of rules as they are, beside tables of every name."""
    for path in (DBT_PROJECT_DIR / "models").rglob("*.sql"):
        (tmp_path / path.relative_to(DBT_PROJECT_DIR)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.relative_to(DBT_PROJECT_DIR)).touch()
    for file in (TAGS, SEGMENTS, STAGES, LISTS, METRICS, TESTS, SESSIONS, "models/marts/users/_user_profile.yml"):
        (tmp_path / file).write_text((DBT_PROJECT_DIR / file).read_text(encoding="utf-8"), encoding="utf-8")
    shutil.copytree(DBT_PROJECT_DIR / "tests" / "generic", tmp_path / "tests" / "generic")
    return tmp_path


@pytest.mark.parametrize("mistake", MISTAKES, ids=[each.what.replace(" ", "_") for each in MISTAKES])
def test_a_mistake_of_typing_is_told_with_its_line_and_what_was_meant(project: Path, mistake: Mistake) -> None:
    path = project / mistake.file
    text = path.read_text(encoding="utf-8")
    assert mistake.old in text
    changed = text.replace(mistake.old, mistake.new, 1) if mistake.old else f"{text.rstrip()}\n{mistake.new}\n"
    line = changed[: changed.index(mistake.mark or mistake.new)].count("\n") + 1
    path.write_text(changed, encoding="utf-8")
    problems = check_yaml_files(project)
    told = [problem for problem in problems if problem.line == line and all(word in problem.sentence for word in mistake.words)]
    assert told, (line, [str(problem) for problem in problems])
    assert told[0].file == mistake.file
    assert mistake.zh in said(told[0], "zh")
    assert said(told[0], "zh") != str(told[0])


def test_the_files_as_they_are_hold_no_mistake(project: Path) -> None:
    assert check_yaml_files(project) == []


# -- every kind of rule --------------------------------------------------------------------------------------------


def keys_in(shape: grammar.Shape) -> Iterator[tuple[tuple[str, ...], grammar.Keys]]:
    """Every mapping that may stand in a shape, with the keys on the way to it."""
    match shape:
        case grammar.Entries():
            yield from keys_in(shape.of)
        case grammar.Keys():
            yield (), shape
            for name, inner in shape.known.items():
                yield from (((name, *way), keys) for way, keys in keys_in(inner))
            if shape.others is not None:
                yield from keys_in(shape.others)
        case _:
            pass


TABLES = ("user_tags", "user_segments", "user_lifecycle")
RULED = sorted({place.table for place in PLACES if place.key} | set(SETTINGS))
MAPPINGS = [(table, way, keys) for table in RULED for way, keys in keys_in(grammar.meta_of(table))]
MAPPINGS += [("exposure", (), grammar.keys_of(ContactList)), ("metric", (), grammar.keys_of(Metric))]
MAPPINGS += [("tag", (), grammar.keys_of(Tag)), ("segment", (), grammar.keys_of(Segment)), ("value", (), grammar.keys_of(ValueRules))]


def test_every_key_of_a_rule_has_its_chinese_words() -> None:
    assert {key for _, _, keys in MAPPINGS for key in keys.known if key not in KEYS} == {"type", "asks", "of"} - set(KEYS)


@pytest.mark.parametrize(("table", "way", "keys"), MAPPINGS, ids=[".".join((table, *way)) for table, way, _ in MAPPINGS])
def test_each_key_is_meant_by_its_chinese_word_and_by_a_slip_of_it(table: str, way: tuple[str, ...], keys: grammar.Keys) -> None:
    for key in keys.known:
        assert nearest(f"{key}x", keys.known, KEYS) == key
        for word in KEYS.get(key, ()):
            meant = nearest(word, keys.known, KEYS)
            assert meant in (key, word) or word in KEYS[meant], (word, key, meant)


def entry_of(home: grammar.Home) -> dict[str, object]:
    """An entry with the keys by which its kind is known."""
    meta = dict.fromkeys(sorted(home.keys - grammar.SHARED), "x")
    if home.table in ("user_tags", "user_segments"):
        return {"name": "lost_one", "data_type": "boolean", "description": "D", "config": {"meta": {"label": "L", "owner": "crm", **meta}}}
    return {"name": "lost_one", "label": "L", **meta}


ELSEWHERE: dict[str, Callable[[dict[str, object]], dict[str, object]]] = {
    "columns": lambda entry: {"models": [{"name": "tag_quality", "columns": [{"name": "tag", "description": "D"}, entry]}]},
    "data_tests": lambda entry: {"models": [{"name": "tag_quality", "data_tests": ["unique", entry]}]},
    "a source of the same name": lambda entry: {
        "sources": [
            {"name": "marts", "tables": [{"name": name, "columns": [entry], "config": {"meta": {"stages": [entry]}}}]} for name in TABLES
        ]
    },
    "columns of a source": lambda entry: {"sources": [{"name": "raw", "tables": [{"name": "users", "columns": [entry]}]}]},
    "another list": lambda entry: {"models": [{"name": "user_survival", "config": {"meta": {"survivals": [entry]}}}]},
    "measures": lambda entry: {"semantic_models": [{"name": "m", "model": "ref('a')", "measures": [entry]}]},
    "given": lambda entry: {"unit_tests": [{"name": "u", "model": "m", "given": [entry]}]},
    "sources": lambda entry: {"sources": [entry]},
    "top": lambda entry: {"rules": [entry]},
    "a list of its own": lambda entry: {"models": [{"name": "tag_quality", "config": {"meta": {"rules": [entry]}}}]},
}


@pytest.mark.parametrize("home", grammar.homes(), ids=[home.kind.replace(" ", "_") for home in grammar.homes()])
@pytest.mark.parametrize("where", ELSEWHERE)
def test_no_kind_of_rule_is_lost_where_nobody_reads_it(tmp_path: Path, home: grammar.Home, where: str) -> None:
    if where == "another list" and home.kind == "survival":
        pytest.skip("this is where it belongs")
    (tmp_path / "models").mkdir()
    for table in ("tag_quality", "user_survival"):
        (tmp_path / "models" / f"{table}.sql").touch()
    (tmp_path / "models" / "rules.yml").write_text(yaml.safe_dump(ELSEWHERE[where](entry_of(home)), sort_keys=False), encoding="utf-8")
    assert check_yaml_files(tmp_path), "said to be sound"


@pytest.mark.parametrize(
    "file", ["rules.yml", "models/_tags.YML", "models/_tags.yml.txt", "models/rules.txt", "macros/rules.yaml", "models/_tags.ymal"]
)
def test_a_file_that_nobody_reads_is_told(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("models: [{name: user_tags}]", encoding="utf-8")
    (tmp_path / "models").mkdir(exist_ok=True)
    assert [str(problem) for problem in check_yaml_files(tmp_path)] == [
        f"{file}: file: is read by nobody: rules stand in .yml files under models/; move it there."
    ]


def test_a_table_described_twice_and_a_metric_that_nobody_publishes_are_told(project: Path) -> None:
    (project / "models" / "more.yml").write_text(
        "models: [{name: user_tags}]\nmetrics: [{name: m, type: simple, type_params: {measure: dau_count}}]", encoding="utf-8"
    )
    told = [str(problem) for problem in check_yaml_files(project)]
    assert any(
        "models/marts/tags/_tags.yml:4: user_tags: is described in models/more.yml too" in each
        or "models/more.yml:1: user_tags: is described in" in each
        for each in told
    ), told
    assert any(each.startswith("models/more.yml:2: m: has no family") for each in told), told


@pytest.mark.parametrize("text", ["订单额，含税；见说明：退款后", "月活（近30天）", "“新客”与“老客”", "≥ 900 元 × 12"])
def test_a_text_for_people_may_hold_any_sign(project: Path, text: str) -> None:
    path = project / TAGS
    path.write_text(
        path.read_text(encoding="utf-8").replace("description: Signed up within the last 30 days.", f"description: {text}"),
        encoding="utf-8",
    )
    assert [str(problem) for problem in check_yaml_files(project)] == []


# What only dbt or a vocabulary of the rulebook judges: contents of unit tests, arguments, and mappings by a word of theirs.
JUDGED_ELSEWHERE = {"macros", "rows", "arguments", "type_params", "fields", "defaults", "time_spine", "non_additive_dimension"}
JUDGED_ELSEWHERE |= {"weights", "content_points", "referral_points", "core", "service", "after_days", "thresholds"}


def keys_of_file(node: yaml.Node, way: tuple[str, ...] = (), table: str = "") -> Iterator[tuple[tuple[str, ...], str, yaml.ScalarNode]]:
    """Every key of a tree with the keys on the way to it, and the table it is said of."""
    if isinstance(node, yaml.MappingNode):
        named = {str(key.value): str(value.value) for key, value in node.value}
        table = named.get("name", "") if way in (("models",), ("sources", "tables")) else table
        for key, value in node.value:
            yield way, table, key
            if str(key.value) not in JUDGED_ELSEWHERE:
                yield from keys_of_file(value, (*way, str(key.value)), table)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from keys_of_file(item, way, table)


def test_each_key_of_our_files_is_told_with_its_line_when_it_is_misspelt() -> None:
    ours = Project(None, {}, {"holds": ("expression", "where"), "unique_together": ("columns", "recomputed_by")})
    seen: set[tuple[object, ...]] = set()
    silent = []
    for path in sorted((DBT_PROJECT_DIR / "models").rglob("*.yml")):
        tree = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        assert tree is not None
        for way, table, key in keys_of_file(tree):
            ruled = table if ("meta" in way and "columns" not in way) or table in ("user_tags", "user_segments") else ""
            if (way, key.value, ruled) in seen:
                continue
            seen.add((way, key.value, ruled))
            meant, key.value = str(key.value), f"{key.value[:-1]}x{key.value[-1]}"
            told = [each for each in misspelt(tree, path.name, ours) if each.line == key.start_mark.line + 1]
            if not any(f"'{key.value}'" in each.sentence and f"did you mean '{meant}'?" in each.sentence for each in told):
                silent.append((*way, key.value, list(map(str, told))))
            key.value = meant
    assert len(seen) > 500
    assert silent == []
