"""Promises of the pictures: whole whatever the numbers, in two languages, the same bytes twice, and matplotlib loaded only when one is drawn."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest

from userops_pipeline.ground.words import Words, joined, named
from userops_pipeline.publish import pictures
from userops_pipeline.publish.pictures import Band, Bar, Cohort, Curve, GridCell, ListSize, Move, Period, Picture, SurvivalStep, UserNight
from userops_pipeline.publish.pictures.canvas import day, share, users

NIGHT = date(2017, 12, 31)
NIGHTS = [NIGHT - timedelta(days=back) for back in range(60, -1, -1)]
STAGES = [Bar(named("contact", "接触"), 30), Bar(named("first_purchase", "首购"), 1_412_345), Bar(named("at_risk", "流失风险"), 0)]
HEAT = {"title": Words("Sign-up", "注册"), "subtitle": Words("share", "比例")}
CURVE = {"title": Words("Active life", "活跃寿命"), "subtitle": Words("9 users", "9 个用户")}
TRIANGLE = [Cohort(f"2017-{m:02}", 1000 * m, [1.0, 0.4, 0.3][: 13 - m], [True, True, m < 11][: 13 - m]) for m in range(1, 11)]
DRAWINGS: dict[str, Callable[[], Picture]] = {
    "lifecycle counts": lambda: pictures.lifecycle_counts(STAGES, as_of=NIGHT),
    "lifecycle counts of nobody": lambda: pictures.lifecycle_counts([Bar(Words("contact"), 0)], as_of=NIGHT),
    "lifecycle counts without stages": lambda: pictures.lifecycle_counts([], as_of=NIGHT),
    "funnel": lambda: pictures.purchase_funnel(
        [
            Bar(named("registered"), 2_469_000),
            Bar(named("second_order_within_thirty_days_of_the_first"), 2_466_123),
            Bar(named("third_order"), 0),
        ],
        as_of=NIGHT,
    ),
    "funnel of nobody": lambda: pictures.purchase_funnel([Bar(Words("registered"), 0), Bar(Words("ordered"), 0)], as_of=NIGHT),
    "funnel without steps": lambda: pictures.purchase_funnel([], as_of=NIGHT),
    "history": lambda: pictures.lifecycle_history(NIGHTS, [Band(named(f"stage_{number}"), [number] * 61) for number in range(14)]),
    "history of one night": lambda: pictures.lifecycle_history([NIGHT], [Band(Words("contact"), [3])]),
    "history of nobody": lambda: pictures.lifecycle_history(NIGHTS, [Band(Words("contact"), [0] * 61)]),
    "history without nights": lambda: pictures.lifecycle_history([], []),
    "flow": lambda: pictures.stage_flow(
        [stage.name for stage in STAGES], [Move(0, 1, 900_000), Move(1, 2, 40), Move(1, 0, 1), Move(2, 0, 7)], first=NIGHTS[0], last=NIGHT
    ),
    "flow of one": lambda: pictures.stage_flow([Words("contact"), Words("loyal")], [Move(0, 1, 1)], first=NIGHT, last=NIGHT),
    "flow of nobody": lambda: pictures.stage_flow([stage.name for stage in STAGES], [], first=NIGHTS[0], last=NIGHT),
    "active users": lambda: pictures.active_users(
        [UserNight(night, 9000 + 31 * number, 60 - number, number, 29, number % 2) for number, night in enumerate(NIGHTS)]
    ),
    "active users of one night": lambda: pictures.active_users([UserNight(NIGHT, 0, 0, 0, 0)]),
    "active users without nights": lambda: pictures.active_users([]),
    "periods": lambda: pictures.period_lifecycle(
        [Period(night, 9, 400 + number, 30, 70, night < NIGHT) for number, night in enumerate(NIGHTS[::7])], grain=Words("week", "周")
    ),
    "periods of nobody": lambda: pictures.period_lifecycle([Period(NIGHT, 0, 0, 0, 0, False)], grain=Words("day", "日")),
    "no periods": lambda: pictures.period_lifecycle([], grain=Words("month", "月")),
    "heat map": lambda: pictures.retention_heat_map(TRIANGLE, ["0", "1", "2"], **HEAT),
    "large heat map": lambda: pictures.retention_heat_map(
        [
            Cohort(str(row), row, [1 / (1 + column) for column in range(31)], [row + column < 40 for column in range(31)])
            for row in range(42)
        ],
        [str(column) for column in range(31)],
        **HEAT,
    ),
    "heat map of what still runs": lambda: pictures.retention_heat_map(
        [Cohort("2017-12", 3, [1.0, 0.0], [False, False])], ["0", "1"], **HEAT
    ),
    "heat map without return": lambda: pictures.retention_heat_map([Cohort("2017-12", 3, [1.0, 0.0], [True, True])], ["0", "1"], **HEAT),
    "no cohorts": lambda: pictures.retention_heat_map([], [], **HEAT),
    "survival": lambda: pictures.survival_curves(
        [Curve(Words("all", "全部"), [SurvivalStep(age, 1 - age / 400, 0.9 - age / 400, 1 - age / 500) for age in range(0, 390, 7)], 200)],
        **CURVE,
    ),
    "survival of one who is gone": lambda: pictures.survival_curves(
        [Curve(Words("all"), [SurvivalStep(0, 1, 1, 1), SurvivalStep(9, 0, None, None)], 9)], **CURVE
    ),
    "no survival": lambda: pictures.survival_curves([Curve(Words("all"), [])], **CURVE),
    "rfm grid": lambda: pictures.rfm_grid(
        [GridCell(r, fm, r * fm * 90_000, named("cannot_lose", "不可流失")) for r in range(1, 6) for fm in range(1, 6)], as_of=NIGHT
    ),
    "rfm grid of one": lambda: pictures.rfm_grid([GridCell(3, 3, 1, Words("loyal"))], as_of=NIGHT),
    "rfm grid of nobody": lambda: pictures.rfm_grid([], as_of=NIGHT),
    "concentration": lambda: pictures.value_concentration(
        [(step / 100, (step / 100) ** 0.3) for step in range(101)], {0.1: 0.501, 0.2: 0.617}, subtitle=Words("9 buyers", "9 个买家")
    ),
    "concentration of one": lambda: pictures.value_concentration([(0, 0), (1, 1)], {}, subtitle=Words("1 buyer")),
    "concentration of nobody": lambda: pictures.value_concentration([], {}, subtitle=Words("no buyer")),
    "calibration": lambda: pictures.value_calibration(
        [pictures.Tenth(tenth, tenth / 2, tenth / 2.1) for tenth in range(1, 11)], version_on=NIGHT
    ),
    "tracking": lambda: pictures.value_tracking(
        [pictures.TrackedWeek(night, number, number + 1, number > 40) for number, night in enumerate(NIGHTS)], version_on=NIGHT
    ),
    "no tracking": lambda: pictures.value_tracking([], version_on=NIGHT),
    "lists": lambda: pictures.list_sizes([ListSize(named("win_back"), 321, 20, 14, 3), ListSize(Words("empty"), 0, 0, 0, 0)], as_of=NIGHT),
    "no list": lambda: pictures.list_sizes([], as_of=NIGHT),
}


def edges_of(picture: Picture) -> set[int]:
    """Bytes of the picture's outermost rows and columns, as matplotlib paints it."""
    from matplotlib.image import imread

    painted = io.BytesIO()
    picture.figure.savefig(painted, format="png")
    painted.seek(0)
    pixels = (imread(painted)[..., :3] * 255).astype(int)
    return {int(value) for side in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]) for value in side.flatten()}


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_picture_is_whole_with_nothing_cut_off(name: str) -> None:
    picture = DRAWINGS[name]()
    tree = ElementTree.fromstring(picture.for_page().replace("xlink:href", "href"))
    assert tree.tag == "svg"
    assert picture.title.en in "".join(tree.itertext())
    assert edges_of(picture) == {255}
    assert not {"nan", "inf"} & set(re.findall(r"[a-z]+", " ".join(re.findall(r' d="([^"]*)"', picture.for_page()))))


def test_a_text_drawn_over_the_edge_would_be_seen() -> None:
    assert edges_of(
        pictures.lifecycle_counts([Bar(Words("a stage with a name that is much too long for any picture " * 3), 1)], as_of=NIGHT)
    ) != {255}


def test_same_numbers_give_the_same_bytes() -> None:
    for draw in (DRAWINGS["active users"], DRAWINGS["heat map"]):
        assert draw().for_page() == draw().for_page()


def test_every_text_is_there_in_both_languages_for_the_page_to_choose() -> None:
    drawn = pictures.lifecycle_counts(STAGES, as_of=NIGHT).for_page()
    assert '<tspan lang="en">First purchase</tspan><tspan lang="zh">首购</tspan>' in drawn
    assert '<tspan lang="en">1,412,375 users, 31 December 2017</tspan><tspan lang="zh">1,412,375 个用户，2017年12月31日</tspan>' in drawn
    texts = re.findall(r"<text [^>]*>(.*?)</text>", DRAWINGS["concentration"]().for_page())
    assert [text for text in texts if re.search("[a-z]{2}", re.sub("<tspan.*", "", text))] == []


def test_an_image_speaks_the_language_of_the_browser() -> None:
    kind, data = pictures.lifecycle_counts(STAGES, as_of=NIGHT).as_image().split(",")
    assert kind == "data:image/svg+xml;base64"
    tree = ElementTree.fromstring(base64.b64decode(data))
    space = "{http://www.w3.org/2000/svg}"
    switches = [[text.text for text in switch] for switch in tree.iter(f"{space}switch")]
    assert ["首购", "First purchase"] in switches
    assert all(switch[0].get("systemLanguage") == "zh" for switch in tree.iter(f"{space}switch"))


def test_a_name_from_the_data_cannot_write_markup_or_formulas() -> None:
    drawn = pictures.lifecycle_counts([Bar(Words("<script>$x^2$ & co", "<b>"), 1)], as_of=NIGHT).for_page()
    assert "<script" not in drawn
    assert '<tspan lang="en">&lt;script&gt;$x^2$ &amp; co</tspan><tspan lang="zh">&lt;b&gt;</tspan>' in drawn


def test_cells_that_still_run_are_hatched() -> None:
    drawn = DRAWINGS["heat map of what still runs"]().for_page()
    assert "<pattern" in drawn
    assert "<pattern" not in DRAWINGS["heat map without return"]().for_page()


@pytest.mark.parametrize(
    ("part", "whole", "shown"), [(0, 0, "–"), (0, 9, "0 %"), (9, 9, "100 %"), (2466, 2469, "99.9 %"), (1, 3, "33 %"), (1, 90, "1.1 %")]
)
def test_shares_are_as_exact_as_they_need_to_be(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


def test_words_join_in_both_languages() -> None:
    assert joined(users(1), day(NIGHT), "x") == ("1 user, 31 December 2017, x", "1 个用户，2017年12月31日，x")


def test_matplotlib_is_not_loaded_before_a_picture_is_drawn() -> None:
    program = "import sys, userops_pipeline.publish.review; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
