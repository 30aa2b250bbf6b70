"""Promises of the pictures: a PNG whatever the numbers, nothing cut off, and matplotlib loaded only when one is drawn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from userops_pipeline.core import pictures
from userops_pipeline.core.pictures import Bar, ListSize, UserNight

NIGHT = date(2017, 12, 31)
NIGHTS = [NIGHT - timedelta(days=back) for back in range(60, -1, -1)]
STAGES = [Bar("contact", 30, "接触"), Bar("first_purchase", 1_412_345, "首购"), Bar("at_risk", 0, "流失风险")]
DRAWINGS: dict[str, Callable[[], bytes]] = {
    "lifecycle counts": lambda: pictures.lifecycle_counts(STAGES, as_of=NIGHT),
    "lifecycle counts of nobody": lambda: pictures.lifecycle_counts([Bar("contact", 0)], as_of=NIGHT),
    "lifecycle counts without stages": lambda: pictures.lifecycle_counts([], as_of=NIGHT),
    "funnel": lambda: pictures.purchase_funnel(
        [Bar("registered", 2_469_000), Bar("second_order_within_thirty_days_of_the_first", 2_466_123), Bar("third_order", 0)], as_of=NIGHT
    ),
    "funnel of nobody": lambda: pictures.purchase_funnel([Bar("registered", 0), Bar("ordered", 0)], as_of=NIGHT),
    "funnel without steps": lambda: pictures.purchase_funnel([], as_of=NIGHT),
    "history": lambda: pictures.lifecycle_history(NIGHTS, {f"stage_{number}": [number] * 61 for number in range(14)}),
    "history of one night": lambda: pictures.lifecycle_history([NIGHT], {"contact": [3]}),
    "history of nobody": lambda: pictures.lifecycle_history(NIGHTS, {"contact": [0] * 61}),
    "history without nights": lambda: pictures.lifecycle_history([], {}),
    "active users": lambda: pictures.active_users(
        [UserNight(night, 9000 + 31 * number, 60 - number, number, 29, number % 2) for number, night in enumerate(NIGHTS)]
    ),
    "active users of one night": lambda: pictures.active_users([UserNight(NIGHT, 0, 0, 0, 0)]),
    "active users without nights": lambda: pictures.active_users([]),
    "lists": lambda: pictures.list_sizes([ListSize("win_back", 321, 20, 14), ListSize("empty", 0, 0, 0)], as_of=NIGHT),
    "no list": lambda: pictures.list_sizes([], as_of=NIGHT),
}


def edges_of(png: bytes) -> set[int]:
    """Bytes of the picture's outermost rows and columns."""
    import io

    from matplotlib.image import imread

    pixels = (imread(io.BytesIO(png))[..., :3] * 255).astype(int)
    return {int(value) for side in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]) for value in side.flatten()}


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_picture_is_a_png_with_nothing_cut_off(name: str) -> None:
    png = DRAWINGS[name]()
    assert png.startswith(b"\x89PNG")
    assert edges_of(png) == {255}


def test_same_numbers_give_the_same_bytes() -> None:
    assert pictures.lifecycle_counts(STAGES, as_of=NIGHT) == pictures.lifecycle_counts(STAGES, as_of=NIGHT)


def test_chinese_labels_are_drawn_only_with_a_font_that_has_them(monkeypatch: pytest.MonkeyPatch, recwarn: Any) -> None:
    monkeypatch.setattr(pictures, "_chinese_font", lambda: None)
    assert pictures._named("at_risk", "流失风险") == "At risk"
    pictures.lifecycle_counts(STAGES, as_of=NIGHT)
    assert [warning for warning in recwarn if "Glyph" in str(warning.message)] == []
    monkeypatch.setattr(pictures, "_chinese_font", lambda: "Noto Sans CJK SC")
    assert pictures._named("at_risk", "流失风险") == "At risk 流失风险"


@pytest.mark.parametrize(
    ("part", "whole", "shown"), [(0, 0, "–"), (0, 9, "0 %"), (9, 9, "100 %"), (2466, 2469, "99.9 %"), (1, 3, "33 %"), (1, 90, "1.1 %")]
)
def test_shares_are_as_exact_as_they_need_to_be(part: int, whole: int, shown: str) -> None:
    assert pictures._share(part, whole) == shown


def test_matplotlib_is_not_loaded_before_a_picture_is_drawn() -> None:
    program = "import sys, userops_pipeline.core.pictures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
