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

MARGIN = 0.022
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
    "Noto Sans CJK JP",  # the face of the Noto collection that matplotlib finds; it draws simplified Chinese too
)


@dataclass(frozen=True)
class Bar:
    """A name as it stands in the data, its Chinese label, and how many."""

    name: str
    count: int
    label: str = ""


@dataclass(frozen=True)
class UserNight:
    """Active users at the close of a night, and what changed them: new and resurrected come, dormant and removed go."""

    night: date
    active: int
    new: int
    resurrected: int
    dormant: int
    removed: int = 0


@dataclass(frozen=True)
class Tenth:
    """A tenth of the buyers, by what was expected of them: purchases per buyer as expected and as made."""

    number: int
    expected: float
    actual: float


@dataclass(frozen=True)
class TrackedWeek:
    """Cumulative repeat purchases by the end of a week, as expected and as made; in the holdout they were not known to who expected them."""

    ends_on: date
    expected: float
    actual: float
    is_holdout: bool


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
    _values(axes, [(stage.count, f"{stage.count:,}", _share(stage.count, total)) for stage in stages])
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
    shares = [
        f"{_share(step.count, first)} of first · {_share(step.count, previous)} of previous" if position else ""
        for position, (step, previous) in enumerate(zip(steps, before, strict=True))
    ]
    _values(
        axes, [(max(step.count, previous), f"{step.count:,}", share) for step, previous, share in zip(steps, before, shares, strict=True)]
    )
    return _png(figure)


def lifecycle_history(nights: Sequence[date], stages: Mapping[str, Sequence[int]], *, labels: Mapping[str, str] | None = None) -> bytes:
    """Users per stage night by night, stacked in the order of the stages; each stage is named at the right edge."""
    import matplotlib.dates as dates

    figure, axes = _canvas(height=4.8, sides=(0.075, 0.75), foot=0.36)
    _head(
        figure, "Users by lifecycle stage, night by night", f"{nights[0]:%-d %B %Y} to {nights[-1]:%-d %B %Y}" if nights else "no night yet"
    )
    if not nights or not stages:
        axes.set_axis_off()
        return _png(figure)
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


def active_users(nights: Sequence[UserNight]) -> bytes:
    """Active users night by night as an area, and under it who came (upwards) and who went (downwards)."""
    import matplotlib.dates as dates

    figure, axes = _canvas(height=5.2, sides=(0.075, 1 - MARGIN), foot=0.36)
    last = nights[-1] if nights else None
    _head(figure, "Active users, night by night", f"{_users(last.active)} active, {last.night:%-d %B %Y}" if last else "no night yet")
    if not nights:
        axes.set_axis_off()
        return _png(figure)
    left, bottom, width, height = axes.get_position().bounds
    axes.set_position((left, bottom, width, 0.36 * height))
    stock = figure.add_axes((left, bottom + 0.44 * height, width, 0.56 * height), sharex=axes)
    stock.spines[:].set_visible(False)
    days = [float(dates.date2num(entry.night)) for entry in nights]
    stock.fill_between(days, [entry.active for entry in nights], color=PALE, linewidth=0)
    stock.plot(days, [entry.active for entry in nights], color=BLUE, linewidth=1.6)
    stock.set_ylim(bottom=0)
    parts = (
        ("new", BLUE, [entry.new for entry in nights], [0] * len(nights)),
        ("resurrected", AMBER, [entry.resurrected for entry in nights], [entry.new for entry in nights]),
        ("newly dormant", CLAY, [-entry.dormant for entry in nights], [0] * len(nights)),
        ("removed", SOFT, [-entry.removed for entry in nights], [-entry.dormant for entry in nights]),
    )
    for name, color, counts, base in parts:
        if name != "removed" or any(counts):
            axes.bar(days, counts, bottom=base, width=0.85, color=color, label=name)
    axes.axhline(0, color=LINE, linewidth=0.8)
    axes.set_xlim(days[0] - 0.6, days[-1] + 0.6)
    locator = dates.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=False))
    for plot in (axes, stock):
        plot.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
        plot.tick_params(colors=SOFT, length=0, labelsize=9)
        plot.yaxis.grid(True, color=LINE, linewidth=0.6)
        plot.set_axisbelow(True)
    stock.tick_params(labelbottom=False)
    _legend(figure, axes)
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
    ends = zip(ordered, left, strict=True)
    _values(axes, [(end, f"{entry.exported:,}", "" if entry.exported == end else f"of {end:,}") for entry, end in ends])
    _legend(figure, axes)
    return _png(figure)


def value_calibration(tenths: Sequence[Tenth], *, version_on: date) -> bytes:
    """Purchases per buyer in the holdout, expected and actual, by tenth of the buyers."""
    figure, axes = _canvas(height=4.2, sides=(0.075, 1 - MARGIN), foot=0.36)
    _head(figure, "Purchases per buyer, predicted and actual", f"by tenth of the buyers, until {version_on:%-d %B %Y}")
    places = [tenth.number for tenth in tenths]
    axes.bar([place - 0.2 for place in places], [tenth.expected for tenth in tenths], width=0.38, color=PALE, label="predicted")
    axes.bar([place + 0.2 for place in places], [tenth.actual for tenth in tenths], width=0.38, color=BLUE, label="actual")
    axes.set_xticks(places)
    _quiet(axes)
    _legend(figure, axes)
    return _png(figure)


def value_tracking(weeks: Sequence[TrackedWeek], *, version_on: date) -> bytes:
    """Cumulative repeat purchases week by week, expected and actual; a line where the fit ends and the holdout begins."""
    import matplotlib.dates as dates

    figure, axes = _canvas(height=4.2, sides=(0.095, 1 - MARGIN), foot=0.36)
    last = weeks[-1] if weeks else None
    off = f", {(last.expected - last.actual) / last.actual:+.1%} at the end" if last and last.actual else ""
    _head(figure, "Cumulative repeat purchases, expected and actual", f"until {version_on:%-d %B %Y}{off}")
    days = [float(dates.date2num(week.ends_on)) for week in weeks]
    axes.plot(days, [week.actual for week in weeks], color=BLUE, linewidth=1.8, label="actual")
    axes.plot(days, [week.expected for week in weeks], color=AMBER, linewidth=1.8, linestyle=(0, (4, 2)), label="expected")
    begun = next((day for day, week in zip(days, weeks, strict=True) if week.is_holdout), None)
    if begun is not None:
        axes.axvline(begun, color=SOFT, linewidth=0.9)
        axes.annotate(
            "holdout", (begun, 1), (6, -4), xycoords=("data", "axes fraction"), textcoords="offset points", va="top", size=9, color=SOFT
        )
    axes.set_ylim(bottom=0)
    locator = dates.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=False))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    _quiet(axes)
    _legend(figure, axes)
    return _png(figure)


# ---- parts --------------------------------------------------------------------------------------------------------------------------


def _canvas(*, height: float, sides: tuple[float, float] = (MARGIN, 1 - MARGIN), foot: float = 0.14) -> tuple[Figure, Axes]:
    """An empty figure of fixed width with one frameless plot between its head and its foot, both in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, height), dpi=144, facecolor="white")
    FigureCanvasAgg(figure)
    left, right = sides
    axes = figure.add_axes((left, foot / height, right - left, 1 - (0.86 + foot) / height))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure, axes


def _head(figure: Figure, title: str, subtitle: str) -> None:
    height = figure.get_figheight()
    for text, down, size, weight, color in ((title, 0.22, 14, "bold", INK), (subtitle, 0.50, 10, "normal", SOFT)):
        figure.text(MARGIN, 1 - down / height, text, size=size, weight=weight, color=color, va="top", family=_family())


def _names(axes: Axes, names: Sequence[str]) -> None:
    """Names flush left under the title, and the bars where the longest name ends."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    axes.set_yticks([])
    axes.set_xticks([])
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    texts = [
        axes.annotate(
            name,
            (MARGIN, position),
            xycoords=("figure fraction", "data"),
            va="center",
            size=10.5,
            color=INK,
            family=_family(),
            annotation_clip=False,
        )
        for position, name in enumerate(names)
    ]
    left = max((text.get_window_extent().x1 for text in texts), default=0) / figure.bbox.width + 0.02
    box = axes.get_position()
    axes.set_position((left, box.y0, 1 - MARGIN - left, box.height))
    axes.axvline(0, color=LINE, linewidth=1)


def _values(axes: Axes, rows: Sequence[tuple[int, str, str]]) -> None:
    """Beside each bar's end its number, and after it in a softer colour what it means; the bars leave the room that takes."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    widest = 1.0
    for position, (end, strong, soft) in enumerate(rows):
        last = number = axes.annotate(
            strong, (end, position), (6, 0), textcoords="offset points", va="center", size=10.5, color=INK, family=_family()
        )
        if soft:
            last = axes.annotate(soft, (1, 0.5), (8, 0), xycoords=number, textcoords="offset points", va="center", size=9.5, color=SOFT)
        text = last.get_window_extent().x1 - number.get_window_extent().x0 + 0.1 * figure.dpi
        width = axes.get_window_extent().width
        widest = max(widest, end * width / max(width - text, 0.1 * width))
    axes.set_xlim(0, widest)


def _name_edges(axes: Axes, stages: Mapping[str, Sequence[int]], colors: Sequence[str], labels: Mapping[str, str]) -> None:
    """Name every stage at the height where its band ends, pushed apart where bands are thin."""
    top, gap, below = axes.get_ylim()[1] or 1, 0.056, 0.0
    heights: list[float] = []
    for counts in stages.values():
        middle = (below + counts[-1] / 2) / top
        heights.append(max(middle, heights[-1] + gap if heights else 0))
        below += counts[-1]
    for position in reversed(range(len(heights))):
        ceiling = heights[position + 1] - gap if position + 1 < len(heights) else 1.0
        heights[position] = min(heights[position], ceiling)
    for (name, counts), height, color in zip(stages.items(), heights, colors, strict=True):
        for text, x, across, align, tone, size in (
            ("■", 7, (1, "axes fraction"), "left", color, 9),
            (_named(name, labels.get(name, "")), 21, (1, "axes fraction"), "left", INK, 9.5),
            (f"{counts[-1]:,}", 0, (1 - MARGIN, "figure fraction"), "right", SOFT, 9.5),
        ):
            where, frame = across
            axes.annotate(
                text,
                (where, height),
                (x, 0),
                xycoords=(frame, "axes fraction"),
                textcoords="offset points",
                va="center",
                ha=align,
                size=size,
                color=tone,
                family=_family(),
                annotation_clip=False,
            )


def _quiet(axes: Axes) -> None:
    """Small grey numbers and pale lines behind what is drawn."""
    axes.tick_params(colors=SOFT, length=0, labelsize=9)
    axes.yaxis.grid(True, color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)


def _legend(figure: Figure, axes: Axes) -> None:
    """The colours named in one line at the upper right."""
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="upper right",
        bbox_to_anchor=(0.98, 1 - 0.18 / figure.get_figheight()),
        ncols=len(names),
        frameon=False,
        fontsize=9,
        labelcolor=SOFT,
        handlelength=0.9,
        handleheight=0.9,
        columnspacing=1.4,
        handletextpad=0.5,
    )


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
