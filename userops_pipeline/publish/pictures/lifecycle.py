"""Pictures of where users are and how they move: stages, periods, the active ones, the steps of a funnel.

Add here what shows users in states over time. Must not decide which states or nights are shown: the caller does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from userops_pipeline.ground.words import Words, joined
from userops_pipeline.publish.pictures.canvas import (
    AMBER,
    BLUE,
    CLAY,
    INK,
    LADDER,
    LINE,
    MARGIN,
    MIST,
    PALE,
    SOFT,
    Canvas,
    Picture,
    day,
    share,
    users,
)


@dataclass(frozen=True)
class Bar:
    """A name, and how many."""

    name: Words
    count: int


@dataclass(frozen=True)
class Band:
    """A stage, and how many users it held night by night."""

    name: Words
    counts: Sequence[int]


@dataclass(frozen=True)
class Move:
    """Users who passed from one place to another, both by position among the places."""

    origin: int
    target: int
    count: int


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
class Period:
    """Users active in a period, by what they were in the one before, and those who were active then and are not now."""

    begins_on: date
    new: int
    returning: int
    resurrecting: int
    dormant: int
    is_complete: bool = True


def lifecycle_counts(stages: Sequence[Bar], *, as_of: date) -> Picture:
    """Users per stage, in the order of the stages, with count and share."""
    total = sum(stage.count for stage in stages)
    canvas = Canvas(
        Words("Users by lifecycle stage", "各生命周期阶段的用户"), joined(users(total), day(as_of)), height=1.3 + 0.42 * len(stages)
    )
    canvas.axes.barh(range(len(stages)), [stage.count for stage in stages], height=0.68, color=BLUE)
    canvas.names([stage.name for stage in stages])
    canvas.values([(stage.count, f"{stage.count:,}", share(stage.count, total)) for stage in stages])
    return canvas.finished()


def purchase_funnel(steps: Sequence[Bar], *, title: Words = Words("Purchase funnel", "购买漏斗"), as_of: date) -> Picture:  # noqa: B008 - a constant
    """Users per step, with the share of the first step and of the step before; the pale part is who was lost at the step."""
    first = steps[0].count if steps else 0
    canvas = Canvas(
        title,
        joined(Words(f"{users(first).en} at the first step", f"第一步 {users(first).zh}"), day(as_of)),
        height=1.5 + 0.62 * len(steps),
    )
    before = [steps[max(position - 1, 0)].count for position in range(len(steps))]
    canvas.axes.barh(range(len(steps)), before, height=0.62, color=PALE)
    canvas.axes.barh(range(len(steps)), [step.count for step in steps], height=0.62, color=BLUE)
    canvas.names([step.name for step in steps])
    rows = []
    for position, (step, previous) in enumerate(zip(steps, before, strict=True)):
        of_first, of_previous = share(step.count, first), share(step.count, previous)
        said = Words(f"{of_first} of first · {of_previous} of previous", f"占首步 {of_first} · 占上一步 {of_previous}")
        rows.append((max(step.count, previous), f"{step.count:,}", said if position else ""))
    canvas.values(rows)
    return canvas.finished()


def lifecycle_history(nights: Sequence[date], stages: Sequence[Band]) -> Picture:
    """Users per stage night by night, stacked in the order of the stages; each stage is named at the right edge."""
    span = joined(day(nights[0]), day(nights[-1]), by=(" to ", " 至 ")) if nights else Words("no night yet", "还没有数据")
    canvas = Canvas(
        Words("Users by lifecycle stage, night by night", "每晚各生命周期阶段的用户"), span, height=4.8, sides=(0.075, 0.75), foot=0.36
    )
    if not nights or not stages:
        return canvas.empty(span)
    colors = [LADDER[position % len(LADDER)] for position in range(len(stages))]
    days = canvas.dates(nights)
    canvas.axes.stackplot(days, *(stage.counts for stage in stages), colors=colors, linewidth=0.4, edgecolor="white")
    canvas.axes.margins(x=0, y=0)
    canvas.quiet(form=lambda value: f"{value:,.0f}")
    canvas.axes.yaxis.grid(True, color="white", linewidth=0.6, alpha=0.6)
    canvas.axes.set_axisbelow(False)
    canvas.edges([(stage.name, stage.counts[-1]) for stage in stages], colors)
    return canvas.finished()


def stage_flow(places: Sequence[Words], moves: Sequence[Move], *, first: date, last: date) -> Picture:
    """Who passed from where to where: ribbons as thick as many users passed, from the place left to the place reached.

    A ribbon has the colour of where it leads; who stayed is not drawn.
    """
    from matplotlib.patches import PathPatch, Rectangle
    from matplotlib.path import Path

    total = sum(move.count for move in moves)
    canvas = Canvas(
        Words("From stage to stage", "阶段之间的迁移"),
        joined(Words(f"{total:,} passages", f"共 {total:,} 次迁移"), joined(day(first), day(last), by=(" to ", " 至 "))),
        height=1.5 + 0.46 * max(len(places), 3),
        sides=(0.24, 0.76),
    )
    if not total:
        return canvas.empty(Words("Nobody passed from one stage to another in these nights.", "这些天没有用户变换阶段。"))
    canvas.axes.set_xticks([])
    canvas.axes.set_yticks([])
    pad = 0.035 * total
    colors = [LADDER[position % len(LADDER)] for position in range(len(places))]

    def layout(counts: dict[int, int]) -> dict[int, float]:
        """Top of each place that somebody left or reached, from above."""
        tops, at = {}, 0.0
        for position in range(len(places)):
            if counts.get(position):
                tops[position] = at
                at += counts[position] + pad
        return tops

    out, into = defaultdict(int), defaultdict(int)
    for move in moves:
        out[move.origin] += move.count
        into[move.target] += move.count
    lefts, rights = layout(out), layout(into)
    depth = max(max(tops[p] + counts[p] for p in tops) for tops, counts in ((lefts, out), (rights, into)))
    canvas.axes.set_xlim(0, 1)
    canvas.axes.set_ylim(depth, 0)
    used_left, used_right = dict(lefts), dict(rights)
    for move in sorted(moves, key=lambda move: (move.origin, move.target)):
        y0, y1 = used_left[move.origin], used_right[move.target]
        used_left[move.origin] += move.count
        used_right[move.target] += move.count
        a, b, h = 0.015, 0.985, move.count
        points = [(a, y0), (0.5, y0), (0.5, y1), (b, y1), (b, y1 + h), (0.5, y1 + h), (0.5, y0 + h), (a, y0 + h), (a, y0)]
        codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        canvas.axes.add_patch(PathPatch(Path(points, codes), facecolor=colors[move.target], alpha=0.55, linewidth=0))
    for tops, counts, x, side, align in ((lefts, out, 0.0, (-8, 0), "right"), (rights, into, 0.985, (8, 0), "left")):
        for position, top in tops.items():
            canvas.axes.add_patch(Rectangle((x, top), 0.015, counts[position], facecolor=colors[position], linewidth=0))
            at = (0.0 if align == "right" else 1.0, top + counts[position] / 2)
            canvas.note(joined(places[position], f"{counts[position]:,}", by=("  ", "  ")), at, side, ha=align)
    return canvas.finished()


def active_users(nights: Sequence[UserNight]) -> Picture:
    """Active users night by night as an area, and under it who came (upwards) and who went (downwards)."""
    last = nights[-1] if nights else None
    none = Words("no night yet", "还没有数据")
    said = joined(Words(f"{users(last.active).en} active", f"{users(last.active).zh}活跃"), day(last.night)) if last else none
    canvas = Canvas(Words("Active users, night by night", "每晚的活跃用户"), said, height=5.2, sides=(0.075, 1 - MARGIN), foot=0.36)
    axes = canvas.axes
    if not nights:
        return canvas.empty(none)
    left, bottom, width, height = axes.get_position().bounds
    axes.set_position((left, bottom, width, 0.36 * height))
    stock = canvas.frameless(left, bottom + 0.44 * height, width, 0.56 * height, sharex=axes)
    days = canvas.dates([entry.night for entry in nights])
    stock.fill_between(days, [entry.active for entry in nights], color=PALE, linewidth=0)
    stock.plot(days, [entry.active for entry in nights], color=BLUE, linewidth=1.6)
    stock.set_ylim(bottom=0)
    parts = (
        (Words("new", "新增"), BLUE, [entry.new for entry in nights], [0] * len(nights)),
        (Words("resurrected", "回流"), AMBER, [entry.resurrected for entry in nights], [entry.new for entry in nights]),
        (Words("newly dormant", "新沉默"), CLAY, [-entry.dormant for entry in nights], [0] * len(nights)),
        (Words("removed", "移除"), SOFT, [-entry.removed for entry in nights], [-entry.dormant for entry in nights]),
    )
    shown = [part for part in parts if part[0].en != "removed" or any(part[2])]
    for _, color, counts, base in shown:
        canvas.boxes([(at - 0.425, low, 0.85, count) for at, low, count in zip(days, base, counts, strict=True)], facecolor=color)
    axes.axhline(0, color=LINE, linewidth=0.8)
    axes.set_xlim(days[0] - 0.6, days[-1] + 0.6)
    for plot in (axes, stock):
        canvas.quiet(plot, form=lambda value: f"{abs(value):,.0f}")
    stock.tick_params(labelbottom=False)
    canvas.legend([part[:2] for part in shown])
    return canvas.finished()


def period_lifecycle(periods: Sequence[Period], *, grain: Words) -> Picture:
    """Period by period: returning, resurrecting and new users upwards, who was not back downwards; a period that still runs is hatched."""
    title = Words(
        f"New, returning, resurrecting users and those not back, by {grain.en}", f"按{grain.zh}的新增、持续、回流与本期未活跃用户"
    )
    none = Words("no period yet", "还没有数据")
    last = periods[-1] if periods else None
    said = joined(day(periods[0].begins_on), day(last.begins_on), by=(" to ", " 至 ")) if last else none
    canvas = Canvas(title, said, height=4.4, sides=(0.075, 1 - MARGIN), foot=0.36)
    if not periods:
        return canvas.empty(none)
    places = range(len(periods))
    up = [0] * len(periods)
    parts = (
        (Words("returning", "持续活跃"), MIST, [period.returning for period in periods]),
        (Words("resurrecting", "回流"), AMBER, [period.resurrecting for period in periods]),
        (Words("new", "新增"), BLUE, [period.new for period in periods]),
    )
    bars = []
    for _, color, counts in parts:
        bars.append((color, list(zip(up, counts, strict=True))))
        up = [base + count for base, count in zip(up, counts, strict=True)]
    bars.append((CLAY, [(0, -period.dormant) for period in periods]))
    for color, heights in bars:
        boxes = [(place - 0.39, base, 0.78, height) for place, (base, height) in enumerate(heights)]
        canvas.boxes(boxes, facecolor=color)
        running = [box for box, period in zip(boxes, periods, strict=True) if not period.is_complete]
        canvas.boxes(running, facecolor=color, edgecolor="white", hatch="////")
    canvas.axes.set_ylim(-1.08 * max(period.dormant for period in periods), 1.08 * max(*up, 1))
    canvas.axes.axhline(0, color=INK, linewidth=0.8)
    step = -(-len(periods) // 12)
    months = all(period.begins_on.day == 1 for period in periods)
    canvas.axes.set_xticks(list(places)[::step], [f"{period.begins_on:{'%Y-%m' if months else '%m-%d'}}" for period in periods][::step])
    canvas.axes.set_xlim(-0.6, len(periods) - 0.4)
    canvas.quiet(form=lambda value: f"{abs(value):,.0f}")
    canvas.legend([*(part[:2] for part in parts), (Words("not back", "本期未活跃"), CLAY)])
    return canvas.finished()
