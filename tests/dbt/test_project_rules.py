"""House rules of the dbt project, asked of its manifest: layers, documentation, contracts, portable SQL, what is generated.

Add a test when a rule of the house can be read off the manifest or the files.
Must not build tables or state what a single rule (a stage, a tag, a segment) should be.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from dbt_semantic_interfaces.implementations.semantic_manifest import PydanticSemanticManifest
from dbt_semantic_interfaces.validations.semantic_manifest_validator import SemanticManifestValidator
from sqlglot import exp

from userops_pipeline.ground import contract
from userops_pipeline.rulebook import load

PROJECT = Path(__file__).parents[2] / "dbt_project"
Models = dict[str, dict[str, Any]]

# Who may read whom. The clock is read by every layer.
NEIGHBOURS = {
    "staging": {"source"},
    "intermediate": {"staging", "intermediate"},
    "marts": {"intermediate", "marts"},
    "exports": {"marts", "intermediate"},
}
# What staging leaves behind: the clock, personal columns, earlier versions of a user or of a link. And a book that is only shown,
# and what staging counts once for several readers.
EXCEPTIONS = {
    ("int_clock", "source"),
    ("int_exclusion", "source"),
    ("int_device_user", "source"),
    ("int_user", "source"),
    ("int_subscription", "source"),
    ("int_contact_permission", "source"),
    ("int_contact_point", "source"),
    ("load_accounting", "staging"),
    ("stg_events", "staging"),
}
# Models that may see a name or an address.
PERSONAL = {"int_contact_point", "int_contact_permission"}
NOT_PORTABLE = {
    r"\bcurrent_date\b|\bcurrent_timestamp\b|\bnow\s*\(|\btoday\s*\(|\bgetdate\s*\(": "the clock is data: read int_clock",
    r"\brandom\s*\(|\buuid\s*\(": "a build must give the same tables again",
    r"select\s+(\w+\.)?\*": "name the columns",
    r"\bgenerate_series\s*\(|\brange\s*\(|\bunnest\s*\(|\bunpivot\b|\bpivot\b": "not portable: needs a macro of macros/engine",
    r"\basof\b|\barg_max\b|\barg_min\b|\bdate_diff\s*\(|\bdatediff\s*\(|\btimezone\s*\(": "not portable: needs a macro of macros/engine",
    r"\bmedian\s*\(|\bhash\s*\(|\blist\s*\(|\bstruct_pack\s*\(|\bexclude\s*\(|\breplace\s+\(|\bstring_agg\s*\(|\bsum\s*\(\s*is_": "not portable",
    r"\bdayofweek\b|\bisodow\b|\bunique_key\b|\bdelete\+insert\b": "not portable, or not by window",
    r"\bas\s+(varchar|text)\b|\bdata_type:\s*(varchar|text)\b": "Spark's text has another name: write string, which both know",
    r"::|\bdate\s*\(|\bstrftime\s*\(|\bto_char\s*\(|\binterval\b": "not portable: needs a macro of macros/engine",
    r"\b(from|join)\s+stream\b": "Spark reads `from stream x` as a stream: take another name",
    r"/\s*nullif\b|\*\s*1\.0\b": "engines round a division differently: ratio, share",
}
# Functions that mean the same on both engines. To add one, run `make check-spark` with a model that uses it.
PORTABLE_FUNCTIONS = {
    "abs",
    "arg_max",  # min_by and max_by, as sqlglot calls them
    "arg_min",
    "md5",
    "and",
    "avg",
    "case",
    "cast",
    "ceil",
    "coalesce",
    "count",
    "timestamp_trunc",
    "date_trunc",
    "dense_rank",
    "extract",
    "exp",
    "floor",
    "greatest",
    "if",
    "lag",
    "lead",
    "least",
    "ln",
    "lower",
    "max",
    "min",
    "mod",
    "not",
    "nullif",
    "or",
    "percentile_cont",
    "rank",
    "row_number",
    "sqrt",
    "sum",
    "trim",
    "upper",
    "substring",
    "pad",
    "concat",
    "exists",
    "replace",
}
# What macros/engine writes for DuckDB. A model that spells one of these itself is found in its own text, by the words above.
ENGINE_FUNCTIONS = {
    "epoch_us",
    "hash",
    "row",
    "to_months",
    "to_years",
    "timezone",
    "unnest",
    "generate_series",
    "isodow",
    "dayofweek_iso",
    "explode",
    "explodinggenerateseries",
    "j_s_o_n_object",
    "group_concat",  # listagg, as sqlglot calls it
}


def layer(node: dict[str, Any]) -> str:
    return Path(node["path"]).parts[0]


def wrong_reads(models: Models) -> Iterator[str]:
    by_id = {node["unique_id"]: node for node in models.values()}
    for node in models.values():
        for parent in node["depends_on"]["nodes"]:
            if parent == "model.userops.int_clock":
                continue
            read = "source" if parent.startswith("source.") else layer(by_id[parent])
            if read not in NEIGHBOURS[layer(node)] and (node["name"], read) not in EXCEPTIONS:
                yield f"{node['name']} reads {parent}: a model of {layer(node)} reads {' and '.join(sorted(NEIGHBOURS[layer(node)]))} only"


def not_portable(sql: str) -> list[str]:
    code = re.sub(r"\{#.*?#\}|--[^\n]*", "", sql, flags=re.DOTALL)
    return [why for pattern, why in NOT_PORTABLE.items() if re.search(pattern, code, flags=re.IGNORECASE)]


def test_a_layer_reads_only_its_neighbours(models: Models) -> None:
    assert list(wrong_reads(models)) == []


def test_a_mart_that_reads_staging_is_found(models: Models) -> None:
    bad = {**models["user_orders"], "depends_on": {"nodes": ["model.userops.stg_orders"]}}
    assert len(list(wrong_reads({**models, "user_orders": bad}))) == 1


def test_every_description_begins_with_the_grain(models: Models) -> None:
    assert [name for name, node in models.items() if not re.match(r"(An?|One) (row|\w+) per |One row", node["description"])] == []


def test_what_is_published_has_an_enforced_contract_an_owner_and_documented_columns(models: Models) -> None:
    for node in models.values():
        if layer(node) not in {"marts", "exports"}:
            continue
        assert node["config"]["contract"]["enforced"], node["name"]
        assert node["config"]["meta"].get("owner"), f"{node['name']} has no owner"
        for column in node["columns"].values():
            assert column["data_type"], f"{node['name']}.{column['name']} has no type"
            assert column["description"], f"{node['name']}.{column['name']} is not described"


def test_scored_tables_are_declared_like_published_models_and_read_by_none(manifest: dict[str, Any], models: Models) -> None:
    scored = [node for node in manifest["sources"].values() if node["schema"] in {"marts", "exports"}]
    assert {node["name"] for node in scored} == {"user_value", "value_model_fits", "value_calibration", "value_tracking"}
    for node in scored:
        assert node["description"].startswith("One row per ")
        assert node["config"]["meta"]["owner"], node["name"]
        for table in (node, *node["columns"].values()):
            assert re.search(r"[\u4e00-\u9fff]", table["config"]["meta"]["label"]), (node["name"], table["name"])
        for column in node["columns"].values():
            assert column["data_type"], f"{node['name']}.{column['name']} has no type"
            assert column["description"], f"{node['name']}.{column['name']} is not described"
        readers = [model["name"] for model in models.values() if node["unique_id"] in model["depends_on"]["nodes"]]
        assert readers == [], f"{readers} would read last night's {node['name']}"


def test_labels_are_chinese(models: Models) -> None:
    labels = [
        (node["name"], column["name"], column["config"]["meta"]["label"])
        for node in models.values()
        for column in node["columns"].values()
        if "label" in column["config"]["meta"]
    ]
    assert len(labels) > 100
    assert [row for row in labels if not re.search(r"[\u4e00-\u9fff]", row[2]) and not row[2].isascii()] == []


def test_models_are_portable_and_read_no_clock_of_their_own(models: Models) -> None:
    assert {name: why for name, node in models.items() if (why := not_portable(node["raw_code"]))} == {}


@pytest.mark.parametrize(
    "sql",
    [
        "select current_date",
        "select now() as at",
        "select * from orders",
        "select o.* from orders as o",
        "select unnest(x) from y",
        "select median(amount) from orders",
        "select hash(a) from t",
        "select a from b asof join c on true",
        "select cast(a as varchar) as b",
        "select a::bigint from t",
        "select a from stream where b",
        "select a * 1.0 / nullif(b, 0)",
        "{{ config(unique_key='a', incremental_strategy='delete+insert') }} select a",
    ],
)
def test_sql_that_is_not_portable_is_found(sql: str) -> None:
    assert not_portable(sql)


def foreign_functions(sql: str) -> set[str]:
    """Functions of compiled SQL that nobody has tried on both engines."""
    found = set()
    for node in sqlglot.parse_one(sql, read="duckdb").walk():
        if isinstance(node, exp.Anonymous):
            found.add(node.name.lower())
        elif isinstance(node, exp.Func):
            found.add(node.sql_name().lower())
    return found - PORTABLE_FUNCTIONS - ENGINE_FUNCTIONS


def test_models_call_only_functions_that_both_engines_have(compiled: dict[str, str]) -> None:
    assert len(compiled) > 40
    assert {name: sorted(foreign) for name, sql in compiled.items() if (foreign := foreign_functions(sql))} == {}


@pytest.mark.parametrize(
    "function", ["list_sort(x)", "strptime(x, '%Y')", "approx_quantile(x, 0.5)", "epoch_ms(x)", "mode(x)", "string_split(x, ',')"]
)
def test_a_function_of_one_engine_is_found(function: str) -> None:
    assert foreign_functions(f"select {function} as y from t")


def foreign_syntax(sql: str) -> set[str]:
    """Kinds of phrases in compiled SQL that only DuckDB understands."""
    lists = (exp.Array, exp.Bracket, exp.Comprehension, exp.Lambda, exp.Map, exp.Pivot, exp.Slice, exp.Struct, exp.ToMap)
    found = set()
    for node in sqlglot.parse_one(sql, read="duckdb").walk():
        star = isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count)
        asof = isinstance(node, exp.Join) and node.method == "ASOF"
        if isinstance(node, lists) or star or asof:
            found.add(node.key)
    return found


def test_models_are_written_in_phrases_that_both_engines_understand(compiled: dict[str, str]) -> None:
    assert {name: phrases for name, sql in compiled.items() if (phrases := foreign_syntax(sql))} == {}


@pytest.mark.parametrize(
    "sql",
    [
        "select {'a': 1} as x",
        "select a from b asof join c on b.at >= c.at",
        "from t",
        "select [x for x in y] as z",
        "select [1, 2] as a",
        "select a[1] as b from t",
        "select * exclude (a) from t",
        "select list_filter(a, lambda x: x > 1) as b from t",
    ],
)
def test_phrases_of_duckdb_alone_are_found(sql: str) -> None:
    assert foreign_syntax(sql)


def loose_joins(sql: str) -> list[str]:
    """The outer joins whose condition asks for one thing or another, which some planners answer by comparing every row with every other."""
    joins = sqlglot.parse_one(sql, read="duckdb").find_all(exp.Join)
    return [join.sql() for join in joins if join.side and (asked := join.args.get("on")) is not None and asked.find(exp.Or)]


def test_no_outer_join_asks_for_one_thing_or_another(compiled: dict[str, str], compiled_tests: dict[str, str]) -> None:
    assert len(compiled_tests) > 20
    assert {name: found for name, sql in {**compiled, **compiled_tests}.items() if (found := loose_joins(sql))} == {}


def test_an_outer_join_that_asks_for_one_thing_or_another_is_found() -> None:
    assert loose_joins("select 1 from a left join b on a.x = b.x and (b.y is null or a.y < b.y)")
    assert not loose_joins("select 1 from a left join b on a.x = b.x and a.y < coalesce(b.y, 9) where a.z or b.z")


def engine_macros() -> dict[str, set[str]]:
    """Engines that each dispatched macro of macros/engine is written for, by macro."""
    found: dict[str, set[str]] = {}
    for path in (PROJECT / "macros" / "engine").glob("*.sql"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r'adapter\.dispatch\("(\w+)", "userops"\)', text):
            found[name] = set(re.findall(rf"macro (\w+?)__{name}\(", text))
    return found


def test_every_engine_macro_is_written_for_both_engines() -> None:
    assert len(engine_macros()) > 10
    assert {name: engines for name, engines in engine_macros().items() if engines != {"duckdb", "spark"}} == {}


def test_engines_differ_in_macros_of_the_engine_only() -> None:
    elsewhere = [path for folder in ("models", "macros/rules", "tests") for path in (PROJECT / folder).rglob("*.sql")]
    assert len(elsewhere) > 50
    named = [path.name for path in elsewhere if re.search(r"target\.|adapter\.|\b(duckdb|spark)\b", path.read_text(encoding="utf-8"))]
    assert named == []


def test_declared_types_have_the_names_both_engines_know(models: Models) -> None:
    known = re.compile(r"(string|bigint|integer|double|boolean|date|timestamp|decimal\(\d+, ?\d+\))$")
    published = [node for node in models.values() if layer(node) in {"marts", "exports"}]
    assert [
        f"{node['name']}.{column['name']} {column['data_type']}"
        for node in published
        for column in node["columns"].values()
        if not known.match(column["data_type"])
    ] == []


def test_no_published_column_is_personal(models: Models) -> None:
    personal = {column.name for table in contract.tables().values() for column in table.columns if column.personal}
    seen = {
        f"{node['name']}.{column}"
        for node in models.values()
        if layer(node) in {"intermediate", "marts"} and node["name"] not in PERSONAL
        for column in node["columns"]
        if column in personal
    }
    assert seen == set()


def test_source_and_staging_yaml_follow_the_contract() -> None:
    written = (PROJECT / "models" / "staging" / "_contract.yml").read_text(encoding="utf-8")
    assert written == contract.dbt_yaml(), "run `make contract`"


@pytest.mark.parametrize("table", contract.tables().values(), ids=lambda table: table.name)
def test_staging_of_a_contract_table_is_one_line(table: contract.Table) -> None:
    at = f', at="{table.at}"' if table.at else ""
    at += f', staged="{table.staged}"' if table.staged != "whole" else ""
    written = (PROJECT / "models" / "staging" / f"stg_{table.name}.sql").read_text(encoding="utf-8")
    assert written == f'{{{{ conformed("{table.name}"{at}) }}}}\n'


def past_the_window(models: Models) -> list[str]:
    """Models that read a raw table of things that happen by themselves: of these a build shows the arrivals of its window only."""
    happening = {f"source.userops.raw.{table.name}" for table in contract.tables().values() if table.at}
    return [name for name, model in models.items() if not name.startswith("stg_") and happening & set(model["depends_on"]["nodes"])]


def test_only_staging_reads_raw_rows_that_happen_in_time(models: Models) -> None:
    assert past_the_window(models) == []


def test_a_model_that_reads_raw_events_is_found(models: Models) -> None:
    bad = {"depends_on": {"nodes": ["source.userops.raw.users", "source.userops.raw.events"]}}
    assert past_the_window({**models, "int_bad": bad}) == ["int_bad"]


def test_incremental_models_are_incremental_by_window_and_refuse_another_shape(models: Models) -> None:
    incremental = [node for node in models.values() if node["config"]["materialized"] == "incremental"]
    assert len(incremental) > 10
    for node in incremental:
        assert node["config"]["incremental_strategy"] == "window", node["name"]
        assert node["config"]["on_schema_change"] == "fail", node["name"]
        assert node["config"]["meta"]["window"], node["name"]


def test_the_profile_describes_every_feature_in_the_same_words(models: Models) -> None:
    features, profile = models["int_user_features"]["columns"], models["user_profile"]["columns"]
    for name, column in features.items():
        if name != "night_on":
            assert profile[name]["description"] == column["description"], name
            assert profile[name]["data_type"] == column["data_type"], name
            assert profile[name]["config"]["meta"] == column["config"]["meta"], name


def unmarked(models: Models) -> list[str]:
    """Columns of the panel and the profile that the contract calls sensitive, or that come from one, without the mark."""
    sensitive = {column.name for column in contract.tables()["users"].columns if column.sensitive} | {"age", "days_to_birthday"}
    return [
        f"{name}.{column['name']}"
        for name in ("int_user_features", "user_profile")
        for column in models[name]["columns"].values()
        if column["name"] in sensitive and not column["config"]["meta"].get("sensitive")
    ]


def test_what_the_contract_calls_sensitive_is_marked_where_rules_read_it(models: Models) -> None:
    assert unmarked(models) == []
    assert unmarked({**models, "int_user_features": {"columns": {"age": {"name": "age", "config": {"meta": {}}}}}}) == [
        "int_user_features.age"
    ]


def unsound(semantic_manifest: str) -> list[str]:
    """What dbt's own validator of semantic models has against these."""
    validator = SemanticManifestValidator[PydanticSemanticManifest]()
    return [error.message for error in validator.validate_semantic_manifest(PydanticSemanticManifest.parse_raw(semantic_manifest)).errors]


def test_the_semantic_models_are_sound_and_one_that_is_not_is_found(manifest: dict[str, Any], semantic_manifest: str) -> None:
    published = [metric["name"] for metric in manifest["metrics"].values() if "family" in metric["config"]["meta"]]
    assert {metric["name"] for metric in json.loads(semantic_manifest)["metrics"]} >= set(published)
    assert unsound(semantic_manifest) == []
    assert unsound(semantic_manifest.replace('"name": "revenue_amount"', '"name": "revenue_amounts"', 1))


# What a Chinese word stands for, and nothing else: who is dormant; who has churned, is about to, or was won back.
WORDS = {"沉默": ("dormant",), "流失": ("churn", "won_back", "win_back", "stage at_risk")}


def misnamed(entries: dict[str, str]) -> list[str]:
    """Names under whose label stands a word that means something else."""
    return sorted(
        name
        for name, label in entries.items()
        for word, means in WORDS.items()
        if word in label and not any(part in name for part in means)
    )


def test_a_word_means_one_thing(manifest: dict[str, Any], models: Models) -> None:
    """Dormant is who has had no active day for so long, churned who has had none for as long as churn takes: other silences have other names."""
    rulebook = load(manifest)
    labels = {
        f"{model}.{name}": (column["config"]["meta"].get("label") or "")
        for model, node in models.items()
        for name, column in node["columns"].items()
    }
    rules = {**{f"stage {stage.name}": stage.label for stage in rulebook.stages}, **{f"tag {tag.name}": tag.label for tag in rulebook.tags}}
    assert misnamed(labels | rules) == []
    assert misnamed({"user_rfm.at_risk": "流失风险", "stage lapsed": "沉默", "stage churned": "购买流失"}) == [
        "stage lapsed",
        "user_rfm.at_risk",
    ]


def met_by_night_alone(sql: str) -> list[tuple[str, str]]:
    """Pairs of relations that a planner may join on a date alone, although each has many rows of it: both are joined, by this date and more,
    to a third one, and have nothing else in common. DuckDB 2.0.0 did, and made 4.7 billion rows of 20,000 orders."""
    found = []
    for select in sqlglot.parse_one(sql, read="duckdb").find_all(exp.Select):
        inner = [join for join in select.args.get("joins") or [] if join.side == "" and join.args.get("on")]
        alike: dict[tuple[str, str], set[tuple[str, str]]] = {}
        asked = set()
        for equal in (part for join in inner for part in join.args["on"].flatten() if isinstance(part, exp.EQ)):
            ends = [(side.table, side.name) for side in (equal.left, equal.right) if isinstance(side, exp.Column)]
            if len(ends) == 2:
                asked.add(frozenset(table for table, _ in ends))
                together = alike.setdefault(ends[0], {ends[0]}) | alike.setdefault(ends[1], {ends[1]})
                alike.update(dict.fromkeys(together, together))
        columns = Counter(table for table, _ in alike)
        for one, other in itertools.combinations(sorted(columns), 2):
            common = {frozenset(group) for (table, _), group in alike.items() if table == one and any(end[0] == other for end in group)}
            names = {name for group in common for table, name in group if table in (one, other)}
            by_date = bool(names) and all(name.endswith("_on") for name in names)
            if by_date and frozenset((one, other)) not in asked and min(columns[one], columns[other]) > len(common):
                found.append((one, other))
    return found


def test_no_planner_can_join_by_the_night_alone(compiled: dict[str, str]) -> None:
    assert {name: pairs for name, sql in compiled.items() if (pairs := met_by_night_alone(sql))} == {}


def test_a_join_by_the_night_alone_is_found() -> None:
    lookups = "select m.id from m join r on m.night_on = r.night_on and m.age = r.age join f on m.night_on = f.night_on"
    assert met_by_night_alone(f"{lookups} and m.times = f.times") == [("f", "r")]
    assert met_by_night_alone(lookups) == [], "one row per night"


FAMILIES = {"lifecycle", "value", "activity", "preference", "price", "channel", "content", "risk"}


def test_sixty_tags_in_eight_families_have_both_names(models: Models) -> None:
    tags = [column["config"]["meta"] for column in models["user_tags"]["columns"].values() if "when" in column["config"]["meta"]]
    assert len(tags) >= 60
    assert {tag["family"] for tag in tags} == FAMILIES
    labels = [tag["label"] for tag in tags]
    assert len(set(labels)) == len(labels)
    assert all(re.search(r"[\u4e00-\u9fff]", label) for label in labels)
