"""Pictures of the lists that are sent to campaign tools.

Add here what shows lists. Must not know a user: counts only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from userops_pipeline.ground.words import Words
from userops_pipeline.publish.pictures.canvas import AMBER, BLUE, CLAY, MIST, Canvas, Picture, day


@dataclass(frozen=True)
class ListSize:
    """What became of the users a list's segment holds; the counts together are the segment."""

    name: Words
    exported: int
    without_consent: int
    without_contact_point: int
    with_shared_match_value: int


def list_sizes(lists: Sequence[ListSize], *, as_of: date) -> Picture:
    """Users per list: exported, and withheld for want of consent, of a contact point or of a match value of their own."""
    ordered = sorted(lists, key=lambda entry: (-entry.exported, entry.name))
    canvas = Canvas(Words("Users on each list", "各名单的用户"), day(as_of), height=1.6 + 0.42 * len(ordered))
    parts = (
        (Words("exported", "已导出"), BLUE, [entry.exported for entry in ordered]),
        (Words("no consent", "无授权"), AMBER, [entry.without_consent for entry in ordered]),
        (Words("no contact point", "无联系方式"), CLAY, [entry.without_contact_point for entry in ordered]),
        (Words("shared match value", "匹配值重复"), MIST, [entry.with_shared_match_value for entry in ordered]),
    )
    left = [0] * len(ordered)
    for _, color, counts in parts:
        canvas.axes.barh(range(len(ordered)), counts, left=left, height=0.68, color=color, edgecolor="white", linewidth=0.5)
        left = [start + count for start, count in zip(left, counts, strict=True)]
    canvas.names([entry.name for entry in ordered])
    canvas.values(
        [
            (end, f"{entry.exported:,}", "" if entry.exported == end else Words(f"of {end:,}", f"共 {end:,}"))
            for entry, end in zip(ordered, left, strict=True)
        ]
    )
    canvas.legend([part[:2] for part in parts])
    return canvas.finished()
