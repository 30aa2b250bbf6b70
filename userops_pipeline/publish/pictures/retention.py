"""Pictures of who stays: retention by cohort as a heat map, survival as curves with their bands.

Add here what shows users by age since their start. Must not estimate anything: shares and bands come from the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from userops_pipeline.ground.words import Words
from userops_pipeline.publish.pictures.canvas import BLUE, INK, LINE, MARGIN, PALE, SOFT, Canvas, Picture

MAX_WITH_NUMBERS = 16  # columns or rows of a heat map; beyond that numbers do not fit into its cells
SHADES = 20  # told apart in a heat map


@dataclass(frozen=True)
class Cohort:
    """A row of a heat map: share (0..1) of the cohort per column, None where there is no cell, and whether the cell has fully elapsed."""

    name: Words | str
    size: int
    shares: Sequence[float | None]
    is_complete: Sequence[bool]


@dataclass(frozen=True)
class SurvivalStep:
    """From this age in days on: the estimated share that has not churned, and its band where there is one."""

    age: int
    share: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Curve:
    """One survival curve; its steps by age."""

    name: Words
    steps: Sequence[SurvivalStep]
    median_days: int | None = None


def retention_heat_map(cohorts: Sequence[Cohort], columns: Sequence[str], *, title: Words, subtitle: Words) -> Picture:
    """A cohort a row, a period since the start a column, darker for a higher share; cells that have not fully elapsed are hatched and grey.

    The scale ends at the highest complete share behind the first column, which is the start itself and stays pale.
    """
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    crowded = len(cohorts) > MAX_WITH_NUMBERS
    canvas = Canvas(title, subtitle, height=1.32 + (0.17 if crowded else 0.27) * max(len(cohorts), 1), sides=(0.235, 1 - MARGIN), foot=0.1)
    if not cohorts:
        return canvas.empty(Words("No cohort has started yet.", "还没有群组。"))
    axes = canvas.axes
    shares = np.array([[np.nan if share is None else share for share in cohort.shares] for cohort in cohorts], dtype=float)
    done = np.array([cohort.is_complete for cohort in cohorts], dtype=bool) & ~np.isnan(shares)
    compared = np.where(done, shares, np.nan)[:, 1:]
    top = float(np.nanmax(compared, initial=0.0)) or 1.0
    depth = np.clip(shares / top, 0, 1)
    depth[:, 0] = 0
    ramp = LinearSegmentedColormap.from_list("ramp", ["#eef4fa", "#a9c9e8", BLUE])
    levels = np.where(done, np.round(depth * SHADES), -1).astype(int)
    for level in sorted(set(levels[done].tolist())):
        cells = [(column - 0.5, row - 0.5, 1, 1) for row, column in np.argwhere(levels == level)]
        canvas.boxes(cells, facecolor=ramp(level / SHADES), edgecolor="white", linewidth=0.8)
    still = [(column - 0.5, row - 0.5, 1, 1) for row, column in np.argwhere(~done & ~np.isnan(shares))]
    canvas.boxes(still, facecolor="#f1f2f4", edgecolor="#cfd4da", hatch="////")
    canvas.boxes(still, facecolor="none", edgecolor="white", linewidth=0.8)
    labelled = 7 if crowded else 1
    for row, cohort in enumerate(cohorts):
        if isinstance(cohort.name, Words) or (len(cohorts) - 1 - row) % labelled == 0:
            canvas.note(cohort.name, (canvas.margin, row), xycoords=("figure fraction", "data"), size=9)
            canvas.note(f"{cohort.size:,}", (0, row), (-8, 0), xycoords=("axes fraction", "data"), size=9, color=SOFT, ha="right")
        for column in np.flatnonzero(~np.isnan(shares[row])).tolist() if not crowded and len(columns) <= MAX_WITH_NUMBERS else ():
            color = SOFT if not done[row, column] or column == 0 else "white" if depth[row, column] > 0.75 else INK
            axes.text(column, row, f"{100 * shares[row, column]:.0f}", ha="center", va="center", size=8.5, color=color)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(cohorts) - 0.5, -0.5)
    axes.set_yticks([])
    step = 1 if len(columns) <= MAX_WITH_NUMBERS else 5
    axes.set_xticks(range(0, len(columns), step), columns[::step])
    axes.xaxis.tick_top()
    axes.tick_params(pad=1)
    return canvas.finished()


def survival_curves(curves: Sequence[Curve], *, title: Words, subtitle: Words) -> Picture:
    """Share of users not churned by age in days, as steps, with the confidence band as a pale ribbon and the median where it is known."""
    canvas = Canvas(title, subtitle, height=3.9, sides=(0.075, 0.83), foot=0.52)
    axes = canvas.axes
    ends = [curve.steps[-1].age for curve in curves if curve.steps]
    if not ends:
        return canvas.empty(Words("Nobody has been seen for a day yet.", "还没有观测到任何用户。"))
    tones = (BLUE, "#c98243", "#767f88", "#174a85")
    for number, curve in enumerate(curves):
        color = tones[number % len(tones)]
        ages = [step.age for step in curve.steps]
        banded = [step for step in curve.steps if step.lower is not None and step.upper is not None]
        axes.fill_between(
            [step.age for step in banded],
            [step.lower or 0 for step in banded],
            [step.upper or 0 for step in banded],
            step="post",
            color=PALE if number == 0 else color,
            alpha=1 if number == 0 else 0.15,
            linewidth=0,
        )
        axes.step(ages, [step.share for step in curve.steps], where="post", color=color, linewidth=1.8)
        end = curve.steps[-1]
        canvas.note(curve.name, (end.age, end.share), (8, 0), color=color)
        if curve.median_days is not None:
            axes.plot([curve.median_days] * 2, [0, 0.5], color=color, linewidth=0.9, linestyle=(0, (3, 2)))
            said = Words(f"median {curve.median_days:,} days", f"中位数 {curve.median_days:,} 天")
            canvas.note(said, (curve.median_days, 0), (5, 8 + 13 * number), color=color, size=9)
    axes.set_xlim(0, max(max(ends), 1))
    axes.set_ylim(0, 1.03)
    canvas.quiet(form=lambda value: f"{100 * value:.0f} %")
    axes.axhline(0, color=LINE, linewidth=0.8)
    canvas.note(Words("days since the start", "开始后的天数"), (1, 0), (0, -26), xycoords="axes fraction", ha="right", color=SOFT, size=9)
    return canvas.finished()
