"""The canvas: what every picture stands on, from the empty sheet with its head to the SVG that leaves the house.

Here live colours, texts in two languages, axes of dates and what is said at the ends of bars; add here what two pictures need.
Must not know what is drawn. matplotlib is imported inside the functions, because it takes longer to load than a small night takes to run.
"""

from __future__ import annotations

import base64
import functools
import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from userops_pipeline.ground.words import Words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN = 0.022
WIDTH = 8.4  # inches
INK, SOFT, LINE = "#1c2733", "#66727f", "#d9dfe5"
BLUE, MIST, PALE, AMBER, CLAY = "#2f6db3", "#8db8e0", "#dfe9f4", "#d9a441", "#b86b4b"
# One colour per position in a lifecycle: from first contact (pale) over loyal (deep) to churned (grey).
LADDER = ("#bcd5ee", "#8db8e0", "#5c96cd", "#2f6db3", "#174a85", "#e3b34f", "#c98243", "#a8aeb5", "#767f88", "#4d565f")


@dataclass(frozen=True)
class Picture:
    """A finished drawing; its texts stay texts, so that the reader's browser writes them, in the reader's language."""

    title: Words
    figure: Figure
    chinese: dict[str, str] = field(default_factory=dict)

    def for_page(self) -> str:
        """An `<svg>` element to stand inside a page, every text in both languages, each marked with `lang` for the page to choose.

        Equal numbers give equal bytes; no address, no date and no id of a group is in it.
        """
        return self._svg(lambda style, en, zh: f'<text {style}><tspan lang="en">{en}</tspan><tspan lang="zh">{zh}</tspan></text>')

    def as_image(self) -> str:
        """A `data:` address for an `<img>`: the same, and the browser's own language chooses (`systemLanguage`, SVG 2 §5.8)."""

        def switch(style: str, en: str, zh: str) -> str:
            return f'<switch><text systemLanguage="zh" {style}>{zh}</text><text {style}>{en}</text></switch>'

        svg = self._svg(switch).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ', 1)
        return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"

    def _svg(self, both: Callable[[str, str, str], str]) -> str:
        def translated(found: re.Match[str]) -> str:
            style, text = found.groups()
            zh = self.chinese.get(html.unescape(text))
            return found.group() if not zh else both(style, text, html.escape(zh, quote=False))

        return re.sub(r"<text ([^>]*)>([^<]*)</text>", translated, self._drawn)

    @functools.cached_property
    def _drawn(self) -> str:
        """The figure as matplotlib writes it, in English, without all that names a program, a time or a group."""
        import matplotlib

        buffer = io.StringIO()
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": self.title.en}):
            self.figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        drawn = buffer.getvalue()
        drawn = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
        drawn = re.sub(r'(<g) id="[^"]*"', r"\1", drawn)
        _, _, width, height = re.search(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', drawn).groups()  # pyright: ignore[reportOptionalMemberAccess] - savefig wrote it
        head = (
            f'<svg role="img" aria-label="{html.escape(self.title.en)}" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        )
        drawn = head + drawn[drawn.index(">") + 1 :]
        drawn = re.sub(r' d="[^"]*"', lambda path: re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found.group()):.2f}", path.group()), drawn)
        return re.sub(r"\s*\n\s*", "\n", drawn).strip()


class Canvas:
    """An empty sheet with a head and one frameless plot under it; sides are fractions of its width, foot is in inches."""

    def __init__(
        self,
        title: Words,
        subtitle: Words,
        *,
        height: float,
        width: float = WIDTH,
        sides: tuple[float, float] = (MARGIN, 1 - MARGIN),
        foot: float = 0.14,
    ) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.title = title
        self.figure = Figure(figsize=(width, height), dpi=144, facecolor="white")
        FigureCanvasAgg(self.figure)
        left, right = sides
        self.axes = self.frameless(left, foot / height, right - left, 1 - (0.92 + foot) / height)
        self._chinese: dict[str, str] = {}
        for words, down, size, weight, color in ((title, 0.22, 13, "bold", INK), (subtitle, 0.50, 10, "normal", SOFT)):
            self.figure.text(
                self.margin, 1 - down / height, self.say(words), size=size, weight=weight, color=color, va="top", parse_math=False
            )

    @property
    def margin(self) -> float:
        """The same in inches on every width."""
        return MARGIN * WIDTH / self.figure.get_figwidth()

    def say(self, words: Words | str) -> str:
        """The English, to be drawn; its Chinese is remembered."""
        if isinstance(words, Words):
            if words.zh:
                self._chinese[words.en] = words.zh
            return words.en
        return words

    def finished(self) -> Picture:
        return Picture(self.title, self.figure, self._chinese)

    def empty(self, words: Words) -> Picture:
        """The sheet with a sentence in place of a plot."""
        self.axes.set_axis_off()
        self.note(words, (0, 1), (0, 0), xycoords="axes fraction", ha="left", va="top", size=10, color=SOFT)
        return self.finished()

    def frameless(self, left: float, bottom: float, width: float, height: float, **more: Any) -> Axes:
        axes = self.figure.add_axes((left, bottom, width, height), **more)
        axes.spines[:].set_visible(False)
        axes.tick_params(colors=SOFT, length=0, labelsize=9)
        axes.set_axisbelow(True)
        return axes

    def note(
        self, words: Words | str, at: tuple[float, float], by: tuple[float, float] = (0, 0), *, axes: Axes | None = None, **more: Any
    ) -> Any:
        """A text at a point of the plot, moved by points."""
        options: dict[str, Any] = {"size": 9.5, "color": INK, "va": "center", "annotation_clip": False, "parse_math": False} | more
        return (axes or self.axes).annotate(self.say(words), at, by, textcoords="offset points", **options)

    def names(self, names: Sequence[Words]) -> None:
        """Names flush left under the title, one a row, and the bars where the longest name ends."""
        axes = self.axes
        axes.set_yticks([])
        axes.set_xticks([])
        axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
        texts = [self.note(name, (self.margin, row), xycoords=("figure fraction", "data"), size=10.5) for row, name in enumerate(names)]
        left = max((text.get_window_extent().x1 for text in texts), default=0) / self.figure.bbox.width + 0.02
        box = axes.get_position()
        axes.set_position((left, box.y0, 1 - self.margin - left, box.height))
        axes.axvline(0, color=LINE, linewidth=1)

    def values(self, rows: Sequence[tuple[int, str, Words | str]]) -> None:
        """Beside each bar's end its number, and after it in a softer colour what it means; the bars leave the room that takes."""
        widest = 1.0
        for row, (end, strong, soft) in enumerate(rows):
            last = number = self.note(strong, (end, row), (6, 0), size=10.5)
            if soft:
                last = self.note(soft, (1, 0.5), (8, 0), xycoords=number, color=SOFT)
            text = last.get_window_extent().x1 - number.get_window_extent().x0 + 0.1 * self.figure.dpi
            width = self.axes.get_window_extent().width
            widest = max(widest, end * width / max(width - text, 0.1 * width))
        self.axes.set_xlim(0, widest)

    def edges(self, bands: Sequence[tuple[Words, int]], colors: Sequence[str]) -> None:
        """Name every band of a stack at the height where it ends, pushed apart where bands are thin."""
        top, gap, below = self.axes.get_ylim()[1] or 1, 0.21 / (self.axes.get_position().height * self.figure.get_figheight()), 0.0
        heights: list[float] = []
        for _, count in bands:
            middle = (below + count / 2) / top
            heights.append(max(middle, heights[-1] + gap if heights else 0))
            below += count
        for row in reversed(range(len(heights))):
            ceiling = heights[row + 1] - gap if row + 1 < len(heights) else 1.0
            heights[row] = min(heights[row], ceiling)
        for (name, count), height, color in zip(bands, heights, colors, strict=True):
            self.note("■", (1, height), (7, 0), xycoords="axes fraction", color=color, size=9)
            self.note(name, (1, height), (21, 0), xycoords="axes fraction")
            self.note(f"{count:,}", (1 - self.margin, height), xycoords=("figure fraction", "axes fraction"), ha="right", color=SOFT)

    def boxes(self, boxes: Sequence[tuple[float, float, float, float]], axes: Axes | None = None, **style: Any) -> None:
        """Rectangles (left, bottom, width, height) in one style as one path: a tenth of the cost of as many bars."""
        import numpy as np
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        drawn = [((x, y), (x + width, y), (x + width, y + height), (x, y + height)) for x, y, width, height in boxes if width and height]
        if drawn:
            axes = axes or self.axes
            axes.add_patch(PathPatch(Path.make_compound_path_from_polys(np.array(drawn, dtype=float)), **{"linewidth": 0} | style))
            axes.autoscale_view(scalex=False)

    def quiet(self, axes: Axes | None = None, *, form: Callable[[float], str] | None = None) -> None:
        """Small grey numbers and pale lines behind what is drawn."""
        axes = axes or self.axes
        if form is not None:
            axes.yaxis.set_major_formatter(lambda value, _: form(value))
        axes.yaxis.grid(True, color=LINE, linewidth=0.6)

    def dates(self, days: Sequence[date], axes: Axes | None = None) -> list[float]:
        """The days as numbers, and under the plot a few of them as both languages write them: month-day, or year-month where they span long."""
        import matplotlib.dates as dates

        axes = axes or self.axes
        axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=3, maxticks=8))
        long = bool(days) and (days[-1] - days[0]).days > 200
        axes.xaxis.set_major_formatter(dates.DateFormatter("%Y-%m" if long else "%m-%d"))
        return [float(dates.date2num(day)) for day in days]

    def legend(self, parts: Sequence[tuple[Words, str]]) -> None:
        """The colours named in one line at the upper right."""
        from matplotlib.patches import Patch

        self.figure.legend(
            [Patch(color=color) for _, color in parts],
            [self.say(words) for words, _ in parts],
            loc="upper right",
            bbox_to_anchor=(1 - self.margin + 0.006, 1 - 0.40 / self.figure.get_figheight()),
            ncols=len(parts),
            frameon=False,
            fontsize=9,
            labelcolor=SOFT,
            handlelength=0.9,
            handleheight=0.9,
            columnspacing=1.4,
            handletextpad=0.5,
            borderpad=0,
        )


def share(part: float, whole: float) -> str:
    """As exact as needed: `1.1 %`, `33 %`, `99.9 %`."""
    if not whole:
        return "–"
    found = 100 * part / whole
    return f"{found:.1f} %" if found and (found < 10 or found > 99) and found != 100 else f"{found:.0f} %"


def users(count: int) -> Words:
    return Words(f"{count:,} user" + ("" if count == 1 else "s"), f"{count:,} 个用户")


def day(on: date) -> Words:
    return Words(f"{on:%-d %B %Y}", f"{on.year}年{on.month}月{on.day}日")
