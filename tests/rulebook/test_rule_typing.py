"""What people type wrongly in the files of rules, and what is said of it: file, line, what stands there and what was meant.

Add a mistake here when somebody makes one that is not answered well. Must not need dbt: what is typed is seen in the files.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.changed_project import GROCER
from userops_pipeline.ground.home import DBT_PROJECT_DIR, PACKAGE_DIR
from userops_pipeline.rulebook import grammar, load
from userops_pipeline.rulebook.current import described
from userops_pipeline.rulebook.declarations import Declarations, files_of
from userops_pipeline.rulebook.kinds.goals import Metric
from userops_pipeline.rulebook.places import FILES, LISTS, RULE_FILES, SETTINGS_FILE
from userops_pipeline.rulebook.problem import Problem, nearest
from userops_pipeline.rulebook.rule_files import DEFAULTS, check_files, read
from userops_pipeline.rulebook.spelling import misspelt
from userops_pipeline.rulebook.vocabulary import KEYS
from userops_pipeline.rulebook.wording import SENTENCES, said

TAGS, SEGMENTS, STAGES, SETTINGS = "tags", "segments", "stages", "settings"
A_TAG = """
vip:
  label: 贵宾
  about: A very important one.
  family: value
  owner: crm
  when: order_count >= 9
"""
A_SEGMENT = """
vips:
  label: 贵宾
  owner: crm
  include: [order_count >= 9]
"""
A_STAGE = """
adored:
  label: 挚爱
  when: order_count >= 99
  stays_when: order_count >= 98
  touchpoint: Calls
  kpi: {name: orders, label: L, sql: avg(order_count), target: 1, direction: up}
"""
A_LIST = """
vips:
  label: 名单
  tool: csv_file
  segment: vips
  mode: mirror
  match_key: user_id
"""
NEW_BUYER = """new_buyer:
  label: 新客
  about: Bought for the first time within the last 30 days.
  family: lifecycle
"""
SOME_SETTINGS = """churn:
  after_days: {active: 90, purchase: 180}
  risk: {by: personal_gap, activity: purchase, min_gaps: 4, least_days: 7}
sessions:
  timeout_minutes: 30
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
    Mistake("full-width colon", STAGES, "label：忠诚", ("'：' (full-width)", "write ':'"), "label: 忠诚", zh="请改成 ':'"),
    Mistake("full-width colon behind a name", TAGS, "new_buyer：\n", ("'：' (full-width)", "write ':'"), "new_buyer:\n", zh="请改成 ':'"),
    Mistake(
        "full-width colon in braces",
        "levels",
        "{label：铂金会员, reach",
        ("'label：铂金会员' holds '：'", "write 'label: 铂金会员'"),
        "{label: 铂金会员, reach",
        zh="请写成 'label: 铂金会员'",
    ),
    Mistake(
        "full-width comma in braces",
        "levels",
        "label: 铂金会员，reach: 1500",
        ("'，' (full-width)", "write ','"),
        "label: 铂金会员, reach: 1500",
    ),
    Mistake(
        "full-width comma and colon",
        "levels",
        "{label: 铂金会员，reach：1500, keep",
        ("goes on to 'reach'",),
        "{label: 铂金会员, reach: 1500, keep",
        zh="一直延续到了键 'reach'",
    ),
    Mistake("full-width braces", "outcomes", "｛label: 留存, activity", ("'｛' (full-width)", "write '{'"), "{label: 留存, activity"),
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
    Mistake("full-width digits of a level", "levels", "reach: １500", ("'reach' holds '１'", "write '1'"), "reach: 1500"),
    Mistake(
        "full-width brackets in a condition", TAGS, "coalesce（days_paid_up, 0)", ("holds '（'", "write '('"), "coalesce(days_paid_up, 0)"
    ),
    Mistake(
        "curly quotes in a condition",
        SEGMENTS,
        "- stage = ‘first_purchase’",
        ("'include' holds '‘' (a curly quote)", 'write "\'"'),
        "- stage = 'first_purchase'",
    ),
    Mistake("curly quotes around a condition", TAGS, "when: “order_count = 1”", ("'when' holds '“'",), "when: order_count = 1"),
    Mistake(
        "curly quotes around a label",
        TAGS,
        "label: “新客”",
        ("the text of 'label' stands in “”",),
        "label: 新客\n".strip(),
        zh="会照样显示出来",
    ),
    Mistake(
        "full-width letters of a key",
        TAGS,
        "ｆａｍｉｌｙ: lifecycle",
        ("'ｆａｍｉｌｙ' holds 'ｆ'", "write 'family'"),
        "family: lifecycle",
        zh="请写成 'family'",
    ),
    Mistake(
        "full-width letters of a name",
        TAGS,
        "ｎｅｗ_buyer:",
        ("'ｎｅｗ_buyer' holds 'ｎ'", "write 'new_buyer'"),
        "new_buyer:",
        zh="请写成 'new_buyer'",
    ),
    Mistake("full-width letters of a section", SETTINGS, "ｃhurn: {after_days: {active: 60}}", ("holds 'ｃ'", "write 'churn'")),
    Mistake("full-width letters of a value", TAGS, "family: ｌifecycle", ("'family' holds 'ｌ'", "write 'l'"), "family: lifecycle"),
    Mistake(
        "full-width space for an indent", TAGS, "　　label: 新客", ("U+3000 (a space that is none for YAML)",), "  label: 新客", zh="U+3000"
    ),
    Mistake(
        "full-width spaces for every indent",
        TAGS,
        "vip:\n　　label: 贵宾\n　　when: order_count > 1",
        ("the indent of 'label' holds U+3000",),
        mark="　　label: 贵宾",
        zh="缩进",
    ),
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
        "levels",
        "{label:铂金会员, reach",
        ("'label:铂金会员' has no space behind its colon", "'label: 铂金会员'"),
        "{label: 铂金会员, reach",
        zh="请写成 'label: 铂金会员'",
    ),
    Mistake("a tab for an indent", TAGS, "\tlabel: 新客", ("is not YAML",), "  label: 新客"),
    # 2. keys in another language
    Mistake(
        "Chinese key of a tag",
        TAGS,
        "条件: order_count = 1",
        ("'条件' is not known", "write 'when'"),
        "when: order_count = 1",
        zh="请写 'when'",
    ),
    Mistake("Chinese key for the label", TAGS, "标签: 新客", ("write 'label'",), "label: 新客", zh="请写 'label'"),
    Mistake("Chinese name for the label", TAGS, "名称: 新客", ("write 'label'",), "label: 新客"),
    Mistake("Chinese key with its colon", TAGS, "标签：新客", ("'：' (full-width)", "write ':'"), "label: 新客"),
    Mistake(
        "Chinese key with its colon in braces",
        "levels",
        "{标签：铂金会员, reach",
        ("'标签：铂金会员' holds '：'", "write 'label: 铂金会员'"),
        "{label: 铂金会员, reach",
    ),
    Mistake("Chinese key of a list", LISTS, "分群: first_purchase_push", ("write 'segment'",), "segment: first_purchase_push"),
    Mistake("Chinese key of a KPI", STAGES, "  kpi:\n    名称: ", ("write 'name'",), "  kpi:\n    name: ", "名称"),
    Mistake("Chinese section", SETTINGS, "流失: {after_days: {active: 60}}", ("write 'churn'",), zh="请写 'churn'"),
    Mistake("Chinese setting", SETTINGS, "超时: 30", ("write 'timeout_minutes'",), "timeout_minutes: 30"),
    Mistake("English, but another word", TAGS, "condition: order_count = 1", ("did you mean 'when'?",), "when: order_count = 1"),
    Mistake(
        "Chinese and in a condition", TAGS, "order_count = 1 且 order_count < 2", ("'且'", "write and"), "order_count = 1", zh="请写 and"
    ),
    Mistake("Chinese column", TAGS, "订单数 = 1", ("'订单数', which is no column",), "order_count = 1", zh="列名用英文"),
    Mistake(
        "Chinese name of a rule",
        TAGS,
        "贵宾: {label: 贵宾, family: value, when: order_count > 9}",
        ("'贵宾' is not a name",),
        zh="不能作名字",
    ),
    # 3. keys spelt wrongly
    Mistake("key of a tag", TAGS, "famly: lifecycle", ("did you mean 'family'?",), "family: lifecycle", zh="是不是 'family'？"),
    Mistake("key of a KPI", STAGES, "  kpi:\n    nme: ", ("did you mean 'name'?",), "  kpi:\n    name: ", "nme:"),
    Mistake("key of a list", LISTS, "segmnt: first_purchase_push", ("did you mean 'segment'?",), "segment: first_purchase_push"),
    Mistake("key of the owner of a list", LISTS, "{nam: User operations", ("did you mean 'name'?",), "{name: User operations"),
    Mistake(
        "section of the settings",
        SETTINGS,
        "chrun: {after_days: {active: 60}}",
        ("'chrun' is not known", "did you mean 'churn'?"),
        zh="是不是 'churn'？",
    ),
    Mistake("setting", SETTINGS, "timeout_minuts: 30", ("did you mean 'timeout_minutes'?",), "timeout_minutes: 30"),
    Mistake("setting far below", SETTINGS, "least_day: 7", ("did you mean 'least_days'?",), "least_days: 7"),
    Mistake(
        "comma in a text without quotes",
        "levels",
        "{label: 铂金, or better, reach",
        ("put the whole text of 'label' in quotes",),
        "{label: 铂金会员, reach",
        zh="加上引号",
    ),
    Mistake(
        "a key too low",
        STAGES,
        "direction: up\n    action: ",
        ("'action' stands too deep; it belongs beside 'kpi'",),
        "direction: up\n  action: ",
        "action: ",
        zh="应与 'kpi' 并列",
    ),
    Mistake(
        "a mapping for a list",
        SEGMENTS,
        "include: {when: stage = 'x'}\n  owner: crm",
        ("'include' must be a list",),
        "owner: crm",
        zh="必须是列表",
    ),
    Mistake("a list for keys", STAGES, "kpi: []\n  was:", ("'kpi' must hold keys",), "kpi:", zh="不能是列表"),
    # 4. what begins no rule
    Mistake(
        "a key without its indent", TAGS, "stays_when: order_count > 0", ("'stays_when' begins at the margin", "indent it"), zh="顶格写"
    ),
    Mistake("a Chinese key without its indent", TAGS, "条件: order_count > 0", ("'条件' begins at the margin",), zh="顶格写"),
    Mistake("keys without their indent", TAGS, "vip:\nlabel: 贵宾\nfamily: value", ("'label' begins at the margin",), mark="label: 贵宾"),
    Mistake("a list without its indent", SEGMENTS, "include: [order_count > 1]", ("'include' begins at the margin",)),
    Mistake("a mapping without its indent", LISTS, "fields: {stage: stage}", ("'fields' begins at the margin",)),
    Mistake("a KPI without its indent", STAGES, "kpi: {name: orders, label: L, sql: avg(order_count)}", ("'kpi' begins at the margin",)),
    Mistake(
        "a setting without its indent",
        SETTINGS,
        "timeout_minutes: 30",
        ("it belongs under 'sessions'",),
        "  timeout_minutes: 30",
        zh="应写在 'sessions' 之下",
    ),
    Mistake("a name with nothing below it", TAGS, "vip:", ("'vip' has nothing below it",), zh="下面什么都没有"),
    Mistake("a section with nothing below it", SETTINGS, "habits:", ("'habits' has nothing below it",)),
    Mistake(
        "a text below a name", TAGS, "vip: order_count > 9", ("'vip' must hold keys and their values, not a text",), zh="不能是一段文字"
    ),
    Mistake("a list below a name", TAGS, "vip: [order_count > 9]", ("'vip' must hold keys and their values, not a list",)),
    Mistake(
        "a name in capitals",
        TAGS,
        A_TAG.replace("vip", "Very-VIP"),
        ("'Very-VIP' is not a name", "did you mean 'very_vip'?"),
        mark="Very-VIP",
    ),
    Mistake("a name that begins with a number", TAGS, A_TAG.replace("vip", "5_orders"), ("'5_orders' is not a name",), mark="5_orders"),
    Mistake("a name that is true for YAML", TAGS, A_TAG.replace("vip", "yes"), ("'yes' is no text for YAML",), mark="yes", zh="请换个名字"),
    Mistake("a rule twice", TAGS, NEW_BUYER, ("'new_buyer' stands twice",), zh="写了两次"),
    Mistake("a key twice", TAGS, "label: 新客\n  label: 新用户", ("'label' stands twice",), "label: 新客\n".strip(), "label: 新用户"),
    # 5. rules as they once stood in dbt's YAML, or where they are lost to it
    Mistake("an entry with a dash", TAGS, "- name: vip\n  label: 贵宾", ("write 'vip:' in place of '- name: vip'",), zh="改成 'vip:'"),
    Mistake(
        "a rule with a name below",
        TAGS,
        "label: 新客\n  name: new_buyer",
        ("'name' is of dbt's YAML", "take it out"),
        "label: 新客\n".strip(),
        "name: new_buyer",
        zh="请删掉",
    ),
    Mistake("a description", TAGS, "description: Bought for the first", ("did you mean 'about'?",), "about: Bought for the first"),
    Mistake("config and meta", TAGS, "vip:\n  config: {meta: {label: 贵宾}}", ("'config' is of dbt's YAML",), mark="config:"),
    Mistake("a table of dbt", TAGS, "models:\n  - name: user_tags", ("'models' is of dbt's YAML",), zh="dbt 的 YAML"),
    Mistake("a merge", TAGS, "vip: {<<: {label: 贵宾}}", ("merge key '<<'",), zh="合并键"),
    Mistake("a list for a key", TAGS, "? [a, b]\n: {label: 贵宾}", ("a list or a mapping stands where a key must",), zh="键的位置"),
    Mistake("a number without an end", "goals", "target: .inf", ("'.inf' is no number",), "target: 0.15", zh="不是能计算的数"),
    Mistake(
        "a date that does not exist",
        TAGS,
        "when: 2018-02-30",
        ("'2018-02-30' is no number to count with, nor a date",),
        "when: order_count = 1",
    ),
    # 6. rules where nobody looks for them
    Mistake("a tag among the segments", SEGMENTS, A_TAG, ("looks like a tag", "rules/tags.yml"), mark="vip:", zh="看起来是标签"),
    Mistake("a segment among the tags", TAGS, A_SEGMENT, ("looks like a segment", "rules/segments.yml"), mark="vips:", zh="看起来是分群"),
    Mistake("a stage among the tags", TAGS, A_STAGE, ("looks like a stage", "rules/stages.yml"), mark="adored:"),
    Mistake("a list among the segments", SEGMENTS, A_LIST, ("looks like a list", "rules/lists.yml"), mark="vips:"),
    Mistake(
        "a level in one line among the tags",
        TAGS,
        "ruby: {label: 红宝石, reach: 9, keep: 8, grace_days: 3}",
        ("looks like a level", "rules/levels.yml"),
    ),
    Mistake("a tag among the settings", SETTINGS, A_TAG, ("looks like a tag", "rules/tags.yml"), mark="vip:", zh="请移到 rules/tags.yml"),
    Mistake(
        "a section among the tags",
        TAGS,
        "sessions: {timeout_minutes: 30}",
        ("section of the settings", "rules/settings.yml"),
        zh="设置里的一节",
    ),
]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The grocer's rules, with some settings of their own."""
    shutil.copytree(GROCER, tmp_path / "rules")
    (tmp_path / "rules" / "settings.yml").write_text(SOME_SETTINGS, encoding="utf-8")
    return tmp_path / "rules"


@functools.cache
def labels() -> Mapping[str, str]:
    return described(GROCER).labels


def change(rules: Path, mistake: Mistake) -> int:
    """Make the mistake; the line on which it stands."""
    path = rules / f"{mistake.file}.yml"
    text = path.read_text(encoding="utf-8")
    assert mistake.old in text, f"{mistake.old!r} stands nowhere in {mistake.file}.yml"
    at = text.index(mistake.old) if mistake.old else len(text.rstrip()) + 1
    changed = text.replace(mistake.old, mistake.new, 1) if mistake.old else f"{text.rstrip()}\n{mistake.new}\n"
    path.write_text(changed, encoding="utf-8")
    return changed[: changed.index(mistake.mark or mistake.new, at)].count("\n") + 1


@pytest.mark.parametrize("mistake", MISTAKES, ids=[each.what.replace(" ", "_") for each in MISTAKES])
def test_a_mistake_of_typing_is_told_with_its_line_and_what_was_meant(rules: Path, mistake: Mistake) -> None:
    line = change(rules, mistake)
    problems = check_files(rules, labels())
    told = [problem for problem in problems if problem.line == line and all(word in problem.sentence for word in mistake.words)]
    assert told, (line, [str(problem) for problem in problems])
    assert told[0].file == f"rules/{mistake.file}.yml"
    assert mistake.zh in said(told[0], "zh")
    assert said(told[0], "zh") != str(told[0])
    assert {problem.file for problem in problems} == {told[0].file}
    assert len(problems) <= 3, "one mistake is not buried under what follows from it"


def test_the_rules_as_they_are_hold_no_mistake(rules: Path) -> None:
    assert check_files(rules, labels()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- name: vip\n  label: 贵宾\n  when: true\n", "write 'vip:' in place of '- name: vip'"),
        ("- vip\n", "holds no paragraphs"),
        ("hello\n", "holds no paragraphs"),
        ("version: 2\nmodels: [{name: user_tags}]\n", "'version' is of dbt's YAML"),
        ("a: {label: L}\n---\nb: {label: L}\n", "another document"),
        ("vip: {label: 贵宾}\n".encode("utf-16"), "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_paragraphs_is_told(tmp_path: Path, text: str | bytes, words: str) -> None:
    (tmp_path / "tags.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    problems = check_files(tmp_path, {})
    assert words in problems[0].sentence, [str(problem) for problem in problems]
    assert said(problems[0], "zh") != str(problems[0])


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\ufeffa: {label: L}\n", "a: {label: L}\r\nb: {label: L}\r\n"])
def test_an_empty_file_and_one_of_another_editor_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "tags.yml").write_bytes(text.encode())
    assert check_files(tmp_path, {}) == []
    assert list(read(tmp_path)[TAGS]) == re.findall(r"(\w): \{", text)


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


MAPPINGS = [(file, way, keys) for file in FILES for way, keys in keys_in(grammar.file_of(file)) if keys.known]
MAPPINGS += [("metric", (), grammar.keys_of(Metric))]


def test_every_key_of_a_rule_has_its_chinese_words_and_every_word_its_key() -> None:
    known = {key for _, _, keys in MAPPINGS for key in keys.known}
    assert known - set(KEYS) == {"asks", "of"}, "which no person writes"
    assert set(KEYS) - known == set()


def test_every_sentence_about_typing_is_said_somewhere() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((PACKAGE_DIR / "rulebook").rglob("*.py")))
    assert [code for code in SENTENCES if not re.search(rf'"{code}", ?(\{{|facts)', source)] == []


@pytest.mark.parametrize(("file", "way", "keys"), MAPPINGS, ids=[".".join((file, *way)) for file, way, _ in MAPPINGS])
def test_each_key_is_meant_by_its_chinese_word_and_by_a_slip_of_it(file: str, way: tuple[str, ...], keys: grammar.Keys) -> None:
    for key in keys.known:
        assert nearest(f"{key}x", keys.known, KEYS) == key
        for word in KEYS.get(key, ()):
            meant = nearest(word, keys.known, KEYS)
            assert meant in (key, word) or word in KEYS[meant], (word, key, meant)


@functools.cache
def engine() -> dict[str, Any]:
    return files_of(DBT_PROJECT_DIR / "models")


@functools.cache
def paragraph_of(file: str) -> dict[str, Any]:
    """The first rule of the grocer's of one kind, or section of the settings."""
    path = DEFAULTS if file == SETTINGS_FILE else GROCER / f"{file}.yml"
    return next(iter(yaml.safe_load(path.read_text(encoding="utf-8")).values()))


def rules_named(rules: Path, file: str, name: str) -> list[str]:
    """The rules of a name that the rulebook has of the kind of a file."""
    if file == SETTINGS_FILE:
        return []
    book = load(Declarations(engine(), read(rules)).document())
    found = book.lists if file == LISTS else getattr(book, RULE_FILES[file].field)
    return [rule.name for rule in found if rule.name == name]


@pytest.mark.parametrize("style", ["indented", "in_braces"])
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("file", FILES)
def test_a_paragraph_at_the_end_of_any_file_is_a_rule_there_or_is_refused_by_name(tmp_path: Path, file: str, kind: str, style: str) -> None:
    name = "sessions" if kind == SETTINGS_FILE else "lost_one"
    written = yaml.safe_dump(
        {name: paragraph_of(kind)}, allow_unicode=True, sort_keys=False, default_flow_style=style == "in_braces", width=1000
    )
    text = SOME_SETTINGS if file == SETTINGS_FILE else (GROCER / f"{file}.yml").read_text(encoding="utf-8").rstrip() + "\n"
    (tmp_path / f"{file}.yml").write_text(text + written.removeprefix("{").removesuffix("}\n") + "\n", encoding="utf-8")
    refused = [problem for problem in check_files(tmp_path, labels()) if problem.rule == name]
    if file == kind != SETTINGS_FILE:
        assert refused == [] and rules_named(tmp_path, file, name) == [name]
    elif not refused:
        assert rules_named(tmp_path, file, name) == [name], "neither a rule nor refused: lost"
    else:
        assert refused[0].file == f"rules/{file}.yml" and refused[0].line is not None and refused[0].line > text.count("\n")


@pytest.mark.parametrize(
    ("file", "meant"),
    [
        ("tag.yml", "tags.yml"),
        ("tags.yaml", "tags.yml"),
        ("Tags.yml", "tags.yml"),
        ("tags.YML", "tags.yml"),
        ("tags.yml.txt", "tags.yml"),
        ("tags.txt", "tags.yml"),
        ("tags", "tags.yml"),
        ("tags copy.yml", "tags.yml"),
        ("more/tags.yml", "tags.yml"),
        ("标签.yml", "tags.yml"),
        ("分群.yml", "segments.yml"),
        ("设置.yml", "settings.yml"),
        ("stage.yml", "stages.yml"),
        ("setting.yml", "settings.yml"),
        ("settings.yml.yml", "settings.yml"),
        ("ｔａｇｓ.yml", "tags.yml"),
        ("exposures.yml", ""),
    ],
)
def test_a_file_that_nobody_reads_is_told(tmp_path: Path, file: str, meant: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(A_TAG, encoding="utf-8")
    (problem,) = check_files(tmp_path, {})
    assert str(problem).startswith(f"rules/{file}: file: is no file of rules, so nobody reads it; ")
    assert (f"did you mean '{meant}'?" if meant else "known here are stages.yml, ") in problem.sentence
    assert (f"是不是 '{meant}'？" if meant else "这里可以写 stages.yml, ") in said(problem, "zh")


@pytest.mark.parametrize("file", ["tags.yml~", "tags.yml.bak", ".tags.yml.swp", ".template.json", ".schema/tags.json", "README.md"])
def test_what_an_editor_leaves_and_what_is_no_rule_at_all_is_passed_over(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(A_TAG, encoding="utf-8")
    assert check_files(tmp_path, {}) == []


@pytest.mark.parametrize("text", ["订单额，含税；见说明：退款后", "月活（近30天）", "“新客”与“老客”", "≥ 900 元 × 12"])
def test_a_text_for_people_may_hold_any_sign(rules: Path, text: str) -> None:
    path = rules / "tags.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("Signed up within the last 30 days.", text), encoding="utf-8")
    assert [str(problem) for problem in check_files(rules, labels())] == []


@pytest.mark.parametrize("name", ["purpose", "owner", "label", "include", "churn", "value"])
def test_a_rule_may_have_the_name_of_a_key_or_of_a_section(rules: Path, name: str) -> None:
    for file, paragraph in ((TAGS, A_TAG.replace("vip:", f"{name}:")), (SEGMENTS, A_SEGMENT.replace("vips:", f"{name}:"))):
        path = rules / f"{file}.yml"
        path.write_text(path.read_text(encoding="utf-8") + paragraph, encoding="utf-8")
    assert [str(problem) for problem in check_files(rules, labels())] == []


# What a vocabulary of the rulebook judges: mappings by a word of theirs.
JUDGED_ELSEWHERE = {"fields", "weights", "content_points", "referral_points", "core", "service", "after_days", "thresholds"}


def keys_of_file(
    node: yaml.Node, shape: grammar.Shape | None, way: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], yaml.ScalarNode]]:
    """Every key of a tree that is no name of a rule, with the keys on the way to it."""
    if isinstance(node, yaml.MappingNode):
        are_names = isinstance(shape, grammar.Keys) and shape.others is not None and not shape.known
        for key, value in node.value:
            if not are_names:
                yield way, key
            if str(key.value) not in JUDGED_ELSEWHERE:
                yield from keys_of_file(value, None, way if are_names else (*way, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from keys_of_file(item, None, way)


def test_each_key_of_our_files_is_told_with_its_line_when_it_is_misspelt() -> None:
    seen: set[tuple[object, ...]] = set()
    silent = []
    for file, path in [*((file, GROCER / f"{file}.yml") for file in FILES if file != SETTINGS_FILE), (SETTINGS_FILE, DEFAULTS)]:
        tree = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        assert tree is not None
        for way, key in keys_of_file(tree, grammar.file_of(file)):
            if (file, way, key.value) in seen:
                continue
            seen.add((file, way, key.value))
            meant, key.value = str(key.value), f"{key.value[:-1]}x{key.value[-1]}"
            told: list[Problem] = [each for each in misspelt(tree, file, {}) if each.line == key.start_mark.line + 1]
            if not any(f"'{key.value}'" in each.sentence and f"did you mean '{meant}'?" in each.sentence for each in told):
                silent.append((file, *way, key.value, list(map(str, told))))
            key.value = meant
    assert len(seen) > 200
    assert silent == []
