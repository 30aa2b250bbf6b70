"""Pictures: a few charts as PNG bytes, made to be read at a glance in the Dagster UI.

Here lives how counts become a picture; every function takes plain numbers and returns the bytes of one PNG.
Add here when a table is understood faster as a picture; must not query anything, decide a number, or hold a rule.
matplotlib is imported inside the functions, because it takes longer to load than a small night takes to run.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE = "#1c2733", "#66727f", "#d9dfe5"
BLUE, PALE, AMBER, CLAY = "#2f6db3", "#dfe9f4", "#d9a441", "#b86b4b"
# One colour per position in a lifecycle: from first contact (pale) over loyal (deep) to churned (grey).
LADDER = ("#bcd5ee", "#8db8e0", "#5c96cd", "#2f6db3", "#174a85", "#e3b34f", "#c98243", "#a8aeb5", "#767f88", "#4d565f")
CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
)


@dataclass(frozen=True)
class Bar:
    """A name as it stands in the data, its Chinese label, and how many."""

    name: str
    count: int
    label: str = ""


@dataclass(frozen=True)
class ListSize:
    """What became of the users a list's segment holds; the three counts together are the segment."""

    name: str
    exported: int
    without_consent: int
    without_contact_point: int
    label: str = ""


def lifecycle_counts(stages: Sequence[Bar], *, as_of: date) -> bytes:
    """Users per stage, in the order of the stages, with count and share."""
    total = sum(stage.count for stage in stages)
    figure, axes = _canvas(height=1.3 + 0.42 * len(stages))
    _head(figure, "Users by lifecycle stage", f"{_users(total)}, {as_of:%-d %B %Y}")
    positions = range(len(stages))
    axes.barh(positions, [stage.count for stage in stages], height=0.68, color=BLUE)
    _names(axes, [_named(stage.name, stage.label) for stage in stages])
    for position, stage in enumerate(stages):
        _value(axes, stage.count, position, f"{stage.count:,}", f"{_share(stage.count, total)}")
    axes.set_xlim(0, _room(stage.count for stage in stages))
    return _png(figure)


def purchase_funnel(steps: Sequence[Bar], *, title: str = "Purchase funnel", as_of: date) -> bytes:
    """Users per step, with the share of the first step and of the step before; the pale part is who was lost at the step."""
    first = steps[0].count if steps else 0
    figure, axes = _canvas(height=1.5 + 0.62 * len(steps))
    _head(figure, title, f"{_users(first)} at the first step, {as_of:%-d %B %Y}")
    before = [steps[max(position - 1, 0)].count for position in range(len(steps))]
    axes.barh(range(len(steps)), before, height=0.62, color=PALE)
    axes.barh(range(len(steps)), [step.count for step in steps], height=0.62, color=BLUE)
    _names(axes, [_named(step.name, step.label) for step in steps])
    for position, step in enumerate(steps):
        shares = "" if position == 0 else f"{_share(step.count, first)} of first · {_share(step.count, before[position])} of previous"
        _value(axes, max(step.count, before[position]), position, f"{step.count:,}", shares)
    axes.set_xlim(0, _room([first], beside=0.85))
    return _png(figure)


def lifecycle_history(nights: Sequence[date], stages: Mapping[str, Sequence[int]], *, labels: Mapping[str, str] | None = None) -> bytes:
    """Users per stage night by night, stacked in the order of the stages; each stage is named at the right edge."""
    import matplotlib.dates as dates

    figure, axes = _canvas(height=4.8)
    figure.subplots_adjust(left=0.075, right=0.80, bottom=0.10)
    _head(
        figure, "Users by lifecycle stage, night by night", f"{nights[0]:%-d %B %Y} to {nights[-1]:%-d %B %Y}" if nights else "no night yet"
    )
    colors = [LADDER[position % len(LADDER)] for position in range(len(stages))]
    axes.stackplot(list(nights), *stages.values(), colors=colors, linewidth=0.4, edgecolor="white")  # pyright: ignore[reportArgumentType] - dates plot
    axes.margins(x=0, y=0)
    locator = dates.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.tick_params(colors=SOFT, length=0, labelsize=9)
    axes.yaxis.grid(True, color="white", linewidth=0.6, alpha=0.6)
    axes.set_axisbelow(False)
    _name_edges(axes, stages, colors, labels or {})
    return _png(figure)


def list_sizes(lists: Sequence[ListSize], *, as_of: date) -> bytes:
    """Users per list: exported, and withheld for want of consent or of a contact point."""
    ordered = sorted(lists, key=lambda entry: (-entry.exported, entry.name))
    figure, axes = _canvas(height=1.6 + 0.42 * len(ordered))
    _head(figure, "Users on each list", f"{as_of:%-d %B %Y}")
    parts = (
        ("exported", BLUE, [entry.exported for entry in ordered]),
        ("no consent", AMBER, [entry.without_consent for entry in ordered]),
        ("no contact point", CLAY, [entry.without_contact_point for entry in ordered]),
    )
    left = [0] * len(ordered)
    for name, color, counts in parts:
        axes.barh(range(len(ordered)), counts, left=left, height=0.68, color=color, label=name, edgecolor="white", linewidth=0.5)
        left = [start + count for start, count in zip(left, counts, strict=True)]
    _names(axes, [_named(entry.name, entry.label) for entry in ordered])
    for position, (entry, end) in enumerate(zip(ordered, left, strict=True)):
        _value(axes, end, position, f"{entry.exported:,}", "" if entry.exported == end else f"of {end:,}")
    axes.set_xlim(0, _room(left))
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="upper right",
        bbox_to_anchor=(0.98, 1 - 0.18 / figure.get_figheight()),
        ncols=3,
        frameon=False,
        fontsize=9,
        labelcolor=SOFT,
        handlelength=0.9,
        handleheight=0.9,
        columnspacing=1.4,
        handletextpad=0.5,
    )
    return _png(figure)


# ---- parts --------------------------------------------------------------------------------------------------------------------------


def _canvas(*, height: float) -> tuple[Figure, Axes]:
    """An empty figure of fixed width with one frameless plot under the room for its head."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, height), dpi=144, facecolor="white")
    axes = figure.add_axes((0.20, 0.14 / height, 0.77, 1 - 1.0 / height))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure, axes


def _head(figure: Figure, title: str, subtitle: str) -> None:
    height = figure.get_figheight()
    for text, down, size, weight, color in ((title, 0.22, 14, "bold", INK), (subtitle, 0.50, 10, "normal", SOFT)):
        figure.text(0.022, 1 - down / height, text, size=size, weight=weight, color=color, va="top", family=_family())


def _names(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=10.5, color=INK, family=_family())
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.set_xticks([])
    axes.axvline(0, color=LINE, linewidth=1)


def _value(axes: Axes, end: float, position: float, strong: str, soft: str) -> None:
    """A number beside its bar, and what it means in a softer colour after it."""
    text = axes.annotate(strong, (end, position), (6, 0), textcoords="offset points", va="center", size=10.5, color=INK, family=_family())
    if soft:
        axes.annotate(soft, (1, 0.5), (8, 0), xycoords=text, textcoords="offset points", va="center", size=9.5, color=SOFT)


def _name_edges(axes: Axes, stages: Mapping[str, Sequence[int]], colors: Sequence[str], labels: Mapping[str, str]) -> None:
    """Name every stage at the height where its band ends, pushed apart where bands are thin."""
    total = sum(counts[-1] for counts in stages.values() if counts) or 1
    gap, edges, below = 0.052, [], 0.0
    for counts in stages.values():
        share = (counts[-1] if counts else 0) / total
        edges.append(below + share / 2)
        below += share
    top = axes.get_ylim()[1] or 1
    heights = [edge * total / top for edge in edges]
    for position in range(1, len(heights)):
        heights[position] = max(heights[position], heights[position - 1] + gap)
    overflow = max(heights[-1] - (1 - gap / 2), 0) if heights else 0
    for position in reversed(range(len(heights))):
        heights[position] = min(heights[position], 1 - gap / 2 - gap * (len(heights) - 1 - position)) if overflow else heights[position]
    for (name, counts), height, color in zip(stages.items(), heights, colors, strict=True):
        axes.annotate("■", (1, height), (7, 0), xycoords="axes fraction", textcoords="offset points", va="center", size=9, color=color)
        count = f"  {counts[-1]:,}" if counts else ""
        axes.annotate(
            _named(name, labels.get(name, "")) + count,
            (1, height),
            (20, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            size=9.5,
            color=INK,
            family=_family(),
        )


def _room(ends: Sequence[float] | object, *, beside: float = 0.28) -> float:
    """The right end of the axis: the longest bar and the room for the text beside it."""
    return (max(ends, default=0) or 1) * (1 + beside)  # type: ignore[call-overload]


def _share(part: int, whole: int) -> str:
    if not whole:
        return "–"
    share = 100 * part / whole
    return f"{share:.1f} %" if share and (share < 10 or share > 99) and share != 100 else f"{share:.0f} %"


def _users(count: int) -> str:
    return f"{count:,} user" + ("" if count == 1 else "s")


def _named(name: str, label: str) -> str:
    """`first_purchase` as `First purchase`, followed by its Chinese label where a font can draw it."""
    plain = name.replace("_", " ").capitalize()
    return f"{plain} {label}" if label and _chinese_font() else plain


def _family() -> list[str]:
    return ["DejaVu Sans", *filter(None, [_chinese_font()])]


@functools.cache
def _chinese_font() -> str | None:
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return next((name for name in CHINESE_FONTS if name in installed), None)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
