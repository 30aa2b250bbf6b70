"""Shops of other shapes than the simulated one: an archive, long and thin, a content account, and members whose subscriptions change.

Their tables are the same in any parts and any order of rows, and no statement of a build joins more than its nights and rows account for.
Add a shape when a real business strains what these do not. Must not know a number of any table.
"""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from compiled import Bench, Model, differing
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.archive_shop import archive
from tests.members_shop import members
from userops_pipeline.conclude.scored import INPUTS
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.landing import nights_between
from userops_pipeline.intake.source import Source, load_source

FEW = settings(phases=[Phase.explicit], deadline=None)
MANY = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
CONTENT_ACCOUNT = Path(__file__).parent / "content_account"
SHAPES = ("archive", "content account", "members")
Cut = tuple[str, int, list[int], int, int]  # shape, its seed, nights after which a part ends, nights of a leg, seed of the order of rows


def shop_of(shape: str, folder: Path, seed: int, order: int) -> Source:
    """A shop of this shape in a folder of its own, the rows of its files in this order."""
    shutil.rmtree(folder, ignore_errors=True)
    if shape == "archive":
        source = archive(folder, customers=40, nights=36)
    elif shape == "members":
        source = members(folder, count=12, nights=50, seed=seed)
    else:
        shutil.copytree(CONTENT_ACCOUNT, folder)
        told = folder / "source.yml"
        told.write_text(
            told.read_text(encoding="utf-8").replace("tests/dbt/content_account/files", str(folder / "files")), encoding="utf-8"
        )
        source = load_source(str(folder))
    chance = random.Random(order)
    for file in sorted((folder / "files").rglob("*.csv")):
        header, *rows = file.read_text(encoding="utf-8").splitlines(keepends=True)
        chance.shuffle(rows)
        file.write_text("".join([header, *rows]), encoding="utf-8")
    return source


def nights_of(source: Source) -> int:
    assert source.last_night is not None
    return len(nights_between(source.first_night, source.last_night))


def any_parts(bench: Bench, cut: Cut) -> list[str]:
    """Tables that differ when the nights come in parts, built in legs, and the rows in another order."""
    shape, seed, ends, nights_at_once, order = cut
    source = shop_of(shape, bench.folder / "shape", seed, order=0)
    last = nights_of(source) - 1
    once = bench.run_source(source, [(0, last)], "once")
    other = shop_of(shape, bench.folder / "shape", seed, order)
    bounds = [-1, *sorted({min(end, last - 1) for end in ends}), last]
    parts = [(before + 1, end) for before, end in itertools.pairwise(bounds)]
    return differing(once, bench.run_source(other, parts, "parts", nights_at_once))


@st.composite
def cuts(draw: Callable) -> Cut:
    ends = draw(st.lists(st.integers(0, 48), max_size=4))
    return draw(st.sampled_from(SHAPES)), draw(st.integers(0, 1000)), ends, draw(st.integers(1, 50)), draw(st.integers(0, 1000))


@FEW
@example(cut=("archive", 0, [20], 20, 1))
@example(cut=("content account", 0, [30], 50, 1))
@example(cut=("members", 3, [20, 30], 50, 1))
@given(cut=cuts())
def test_a_shop_of_another_shape_is_the_same_in_any_parts_and_order(bench: Bench, cut: Cut) -> None:
    assert any_parts(bench, cut) == []


@pytest.mark.soak
@MANY
@given(cut=cuts())
def test_a_shop_of_another_shape_is_the_same_in_any_parts_and_order_many_times(bench: Bench, cut: Cut) -> None:
    assert any_parts(bench, cut) == []


# -- what is declared ---------------------------------------------------------------------------------------------------


def test_a_table_that_is_handed_on_has_the_columns_it_declares(bench: Bench, models: dict[str, dict[str, Any]]) -> None:
    """Spark hands a table over by its declared columns: one that is not declared would be lost on the way."""
    bench.run_source(shop_of("archive", bench.folder / "shape", seed=0, order=0), [(0, 20)], "declared")
    handed_on = {name: node for name, node in models.items() if node["schema"] in ("marts", "exports") or (node["schema"], name) in INPUTS}
    with duckdb.connect(str(Home(bench.folder / "declared").warehouse), read_only=True) as built:
        found = {
            name: {row[0] for row in built.execute(f"describe {node['schema']}.{name}").fetchall()} ^ node["columns"].keys()
            for name, node in handed_on.items()
        }
    assert {name: columns for name, columns in found.items() if columns} == {}
    assert {"int_buyer", "user_profile"} <= found.keys()


# -- what is joined -----------------------------------------------------------------------------------------------------


def too_wide(bench: Bench, customers: int, nights: int) -> dict[str, int]:
    """Statements that join more than twice what they may: the nights of all users, or the rows of the largest table they read."""
    folder = bench.folder / "wide"
    shutil.rmtree(folder, ignore_errors=True)
    bench.run_source(archive(folder, customers, nights), [(0, nights - 1)], "wide_home")
    user_nights = next(found.joined for found in bench.joined if found.name == "int_user_features")
    assert user_nights >= customers * nights // 3, "the nights of users are not counted"
    return {found.name: found.joined for found in bench.joined if found.joined > 2 * max(user_nights, found.scanned)}


def test_a_long_archive_joins_no_more_rows_than_its_users_have_nights(bench: Bench) -> None:
    assert too_wide(bench, customers=500, nights=730) == {}


@pytest.mark.parametrize(
    "planted",
    [
        "select one.user_id from {ladder} as one inner join {ladder} as other on one.night_on = other.night_on",  # many to many on the night
        pytest.param(
            "select count(*) as n from {ladder} as one inner join {ladder} as other on one.user_id = other.user_id and one.night_on < other.night_on",
            marks=pytest.mark.soak,
        ),
        pytest.param(
            "select count(*) as n from {ladder} as one inner join {orders} as orders on one.night_on >= orders.ordered_on",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_a_join_that_multiplies_is_found(bench: Bench, planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def relation(name: str) -> Model:
        return next(model for model in bench.models if model.relation.endswith(f'"{name}"'))

    ladder, orders = relation("int_user_ladder"), relation("int_order")
    sql = planted.format(ladder=ladder.relation, orders=orders.relation)
    extra = replace(ladder, relation=ladder.relation.replace("int_user_ladder", "planted"), kept_as="table", full=sql, later=sql)
    monkeypatch.setattr(bench, "models", [*bench.models, extra])
    assert list(too_wide(bench, customers=300, nights=90)) == ["planted"]
