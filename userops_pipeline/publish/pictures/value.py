"""Pictures of what users are worth: the RFM grid, how value is concentrated, and whether the value model was right.

Add here what shows amounts or purchases expected of users. Must not compute a share of value: the caller reads it from the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from userops_pipeline.ground.words import Words, joined
from userops_pipeline.publish.pictures.canvas import AMBER, BLUE, INK, LINE, MARGIN, PALE, SOFT, Canvas, Picture, day, share


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
class GridCell:
    """Buyers with one recency score (1 to 5) and one score of frequency and money (1 to 5), and the group they fall into."""

    r: int
    fm: int
    count: int
    group: Words


def rfm_grid(cells: Sequence[GridCell], *, as_of: date) -> Picture:
    """Buyers by recency (across) and frequency with money (upwards), darker for more of them; every cell says its group."""
    from matplotlib.patches import Rectangle

    total, most = sum(cell.count for cell in cells), max((cell.count for cell in cells), default=0)
    canvas = Canvas(
        Words("Buyers by recency, and by frequency and money", "按最近一次购买与频次金额分布的买家"),
        joined(Words(f"{total:,} buyers", f"{total:,} 个买家"), day(as_of)),
        height=4.7,
        sides=(0.085, 1 - MARGIN),
        foot=0.62,
    )
    if not total:
        return canvas.empty(Words("Nobody bought in the window.", "窗口期内没有买家。"))
    axes = canvas.axes
    for cell in cells:
        depth = cell.count / most
        tint = tuple(1 - depth * (1 - channel) for channel in (0.184, 0.427, 0.702))
        axes.add_patch(Rectangle((cell.r - 0.5, cell.fm - 0.5), 1, 1, facecolor=tint, edgecolor="white", linewidth=2))
        ink = "white" if depth > 0.72 else INK
        canvas.note(f"{cell.count:,}", (cell.r, cell.fm), (0, 7), ha="center", size=12, weight="bold", color=ink)
        canvas.note(cell.group, (cell.r, cell.fm), (0, -8), ha="center", size=9, color=ink)
    axes.set_xlim(0.5, 5.5)
    axes.set_ylim(0.5, 5.5)
    axes.set_xticks(range(1, 6))
    axes.set_yticks(range(1, 6))
    canvas.note(
        Words("recency score → bought more recently", "最近一次购买得分 → 越近"),
        (0.5, 0),
        (0, -28),
        xycoords="axes fraction",
        ha="center",
        color=SOFT,
    )
    canvas.note(
        Words("frequency and money score →", "频次与金额得分 →"),
        (0, 0.5),
        (-30, 0),
        xycoords="axes fraction",
        ha="center",
        color=SOFT,
        rotation=90,
    )
    return canvas.finished()


def value_concentration(curve: Sequence[tuple[float, float]], marks: Mapping[float, float], *, subtitle: Words) -> Picture:
    """Share of spend (0..1) held by the best-paying share of buyers (0..1), from nobody to everybody; marked at the given shares.

    Lorenz's curve (Publications of the American Statistical Association 9, 1905) drawn from the top, so that it reads as Pareto's.
    """
    canvas = Canvas(Words("Who brings the money", "谁带来收入"), subtitle, height=4.2, sides=(0.095, 0.9), foot=0.52)
    if not curve:
        return canvas.empty(Words("Nobody has paid anything yet.", "还没有付费用户。"))
    axes = canvas.axes
    buyers, spends = zip(*curve, strict=True)
    axes.fill_between(buyers, buyers, spends, color=PALE, linewidth=0)
    axes.plot(buyers, spends, color=BLUE, linewidth=1.8)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=(0, (3, 2)))
    canvas.note(Words("if all spent the same", "若人人花费相同"), (0.62, 0.62), (6, -12), color=SOFT, size=9)
    for buyers_share, spend_share in marks.items():
        axes.plot(buyers_share, spend_share, "o", color=AMBER, markersize=6)
        held = share(spend_share, 1)
        said = Words(f"the top {buyers_share:.0%} bring {held}", f"前 {buyers_share:.0%} 带来 {held}")
        canvas.note(said, (buyers_share, spend_share), (10, -4), size=10.5, weight="bold")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    canvas.quiet(form=lambda value: f"{100 * value:.0f} %")
    axes.axhline(0, color=LINE, linewidth=0.8)
    canvas.note(
        Words("share of buyers, best-paying first", "买家占比，由高到低"),
        (1, 0),
        (0, -26),
        xycoords="axes fraction",
        ha="right",
        color=SOFT,
        size=9,
    )
    return canvas.finished()


def value_calibration(tenths: Sequence[Tenth], *, version_on: date) -> Picture:
    """Purchases per buyer in the holdout, expected and actual, by tenth of the buyers."""
    canvas = Canvas(
        Words("Purchases per buyer, predicted and actual", "人均购买次数：预测与实际"),
        joined(Words("by tenth of the buyers", "按买家十分位"), Words(f"until {day(version_on).en}", f"截至 {day(version_on).zh}")),
        height=4.2,
        sides=(0.075, 1 - MARGIN),
        foot=0.36,
    )
    places = [tenth.number for tenth in tenths]
    canvas.axes.bar([place - 0.2 for place in places], [tenth.expected for tenth in tenths], width=0.38, color=AMBER)
    canvas.axes.bar([place + 0.2 for place in places], [tenth.actual for tenth in tenths], width=0.38, color=BLUE)
    canvas.axes.set_xticks(places)
    canvas.quiet()
    canvas.legend([(Words("predicted", "预测"), AMBER), (Words("actual", "实际"), BLUE)])
    return canvas.finished()


def value_tracking(weeks: Sequence[TrackedWeek], *, version_on: date) -> Picture:
    """Cumulative repeat purchases week by week, expected and actual; a line where the fit ends and the holdout begins."""
    last = weeks[-1] if weeks else None
    until = Words(f"until {day(version_on).en}", f"截至 {day(version_on).zh}")
    off = (last.expected - last.actual) / last.actual if last and last.actual else None
    canvas = Canvas(
        Words("Cumulative repeat purchases, expected and actual", "累计复购：预期与实际"),
        until if off is None else joined(until, Words(f"{off:+.1%} at the end", f"期末偏差 {off:+.1%}")),
        height=4.2,
        sides=(0.095, 1 - MARGIN),
        foot=0.36,
    )
    axes = canvas.axes
    days = canvas.dates([week.ends_on for week in weeks])
    axes.plot(days, [week.actual for week in weeks], color=BLUE, linewidth=1.8)
    axes.plot(days, [week.expected for week in weeks], color=AMBER, linewidth=1.8, linestyle=(0, (4, 2)))
    begun = next((at for at, week in zip(days, weeks, strict=True) if week.is_holdout), None)
    if begun is not None:
        axes.axvline(begun, color=SOFT, linewidth=0.9)
        canvas.note(Words("holdout", "检验期"), (begun, 1), (6, -4), xycoords=("data", "axes fraction"), va="top", size=9, color=SOFT)
    axes.set_ylim(bottom=0)
    canvas.quiet(form=lambda value: f"{value:,.0f}")
    canvas.legend([(Words("expected", "预期"), AMBER), (Words("actual", "实际"), BLUE)])
    return canvas.finished()
