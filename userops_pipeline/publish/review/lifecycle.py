"""Sections on where users stand and how they move: at a glance, stages, playbook, periods, funnel.

Add a section here when it shows users in states. Must not compute a business figure: marts do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from userops_pipeline.ground.words import Words, named
from userops_pipeline.publish import pictures
from userops_pipeline.publish.pictures import Band, Bar, Move, Period, UserNight
from userops_pipeline.publish.review.parts import Cell, Drawing, Figures, Gauge, Mark, Part, Published, Sentence, Table, Unknown, section

FLOW_NIGHTS = 30
PERIODS_SHOWN = 26
OUTSIDE = Words("Not yet known", "尚未认识")
GRAINS = {"month": Words("month", "月"), "week": Words("week", "周"), "day": Words("day", "日")}


@section(
    "glance",
    Words("At a glance", "总览"),
    Words(
        "Users as the night closed, and the change against seven nights before; below, the active ones night by night with who came and went.",
        "当晚结束时的用户规模及与七天前的变化；下图为每晚活跃用户及其来去。",
    ),
    "user_counts_daily",
)
def glance(published: Published) -> Iterator[Part]:
    columns = "registered_count, active_count, dormant_count, churned_count, dau_count, paying_count"
    idle = next((rules.dormant_after_days for rules in published.rulebook.activity), "–")
    gone = published.rulebook.churned_after("active") or "–"
    labels = (
        Words("registered", "注册用户"),
        Words(f"active in the last {idle} days", f"近 {idle} 天活跃"),
        Words(f"dormant: not active for {idle} days", f"沉默：{idle} 天未活跃"),
        Words(f"churned: not active for {gone} days", f"活跃流失：{gone} 天未活跃"),
        Words("active that day", "日活"),
        Words("paid that day", "当日付费"),
    )
    nights = {
        row[0]: row[1:]
        for row in published.rows(
            f"select night_on, {columns} from user_counts_daily where night_on >= $since", {"since": published.as_of - timedelta(7)}
        )
    }
    now, before = nights.get(published.as_of), nights.get(published.as_of - timedelta(7))
    if now is None:
        return
    yield Figures(
        [
            (label, f"{count:,}", None if before is None else _change(count, before[number]))
            for number, (label, count) in enumerate(zip(labels, now, strict=True))
        ]
    )
    moves = published.rows(
        "select night_on, active_count, new_active_count, resurrected_count, newly_dormant_count, active_removed_count "
        "from user_counts_daily order by night_on"
    )
    yield Drawing("active_users", pictures.active_users([UserNight(*move) for move in moves]))


def _change(now: int, before: int) -> Words:
    difference = now - before
    said = "±0" if difference == 0 else f"{difference:+,}".replace("-", "−")
    return Words(f"{said} in 7 nights", f"7 天 {said}")


@section(
    "stages",
    Words("Business lifecycle", "业务生命周期"),
    Words(
        "Every user stands in one stage each night. Above: how the stages grew. Below: who passed from where to where; a ribbon is as thick as users passed.",
        "每个用户每晚处于一个阶段。上图：各阶段规模的变化；下图：用户从哪个阶段到了哪个阶段，带宽即人数。",
    ),
    "lifecycle_kpi_daily",
    "lifecycle_flow_daily",
    "lifecycle_transitions_daily",
)
def stages(published: Published) -> Iterator[Part]:
    known = published.rows(
        "select stage, label from lifecycle_kpi_daily where night_on = $night order by position", {"night": published.as_of}
    )
    history = published.rows("select night_on, stage, closing_count from lifecycle_flow_daily order by night_on, stage")
    if not known or not history:
        return
    nights = sorted({row[0] for row in history})
    counts = {(night, stage): int(closing) for night, stage, closing in history}
    bands = [Band(named(stage, label), [counts.get((night, stage), 0) for night in nights]) for stage, label in known]
    yield Drawing("stages_night_by_night", pictures.lifecycle_history(nights, bands))

    first = max(published.as_of - timedelta(FLOW_NIGHTS - 1), published.generation.manifest.first_on + timedelta(1))
    places = [named(stage, label) for stage, label in known] + [OUTSIDE]
    position = {stage: number for number, (stage, _) in enumerate(known)} | {"outside": len(known)}
    moves = [
        Move(position[origin], position[target], int(count))
        for origin, target, count in published.rows(
            "select from_stage, to_stage, sum(user_count) from lifecycle_transitions_daily "
            "where night_on between $first and $last group by all order by all",
            {"first": first, "last": published.as_of},
        )
        if origin in position and target in position
    ]
    if moves:
        yield Drawing("stage_flow", pictures.stage_flow(places, moves, first=first, last=published.as_of))
    else:
        yield Unknown(Words(f"nobody passed from one stage to another since {first}", f"{first} 以来没有用户变换阶段"))


@section(
    "playbook",
    Words("Lifecycle playbook", "生命周期运营手册"),
    Words(
        "The table every team draws by hand, alive: who is in the stage, what we want of them, where, how and with what, and whether the KPI meets its target.",
        "每个团队都会手画的那张表，每晚自动更新：阶段里是谁、目标、触点、动作、内容，以及指标是否达标。",
    ),
    "lifecycle_kpi_daily",
)
def playbook(published: Published) -> Iterator[Part]:
    heads = (
        Words("Stage", "阶段"),
        Words("Users", "用户数"),
        Words("In / out", "进 / 出"),
        Words("State", "用户状态"),
        Words("Goal", "目标"),
        Words("Touchpoint", "触点"),
        Words("KPI", "指标"),
        Words("Action", "动作"),
        Words("Content", "内容"),
    )
    tones = {"met": ("good", Words("met", "达标")), "missed": ("bad", Words("missed", "未达标"))}
    rows: list[list[Cell]] = []
    for row in published.rows(
        "select stage, label, user_count, user_share, entered_count, left_count, state, state_zh, goal, goal_zh, touchpoint, touchpoint_zh, "
        "kpi, kpi_label, kpi_value, kpi_target, kpi_direction, kpi_status, action, action_zh, content, content_zh "
        "from lifecycle_kpi_daily where night_on = $night order by position",
        {"night": published.as_of},
    ):
        stage, label, count, share, came, left, state, state_zh, goal, goal_zh, place, place_zh = row[:12]
        kpi, kpi_label, value, target, direction, status, action, action_zh, content, content_zh = row[12:]
        form = (lambda number: f"{100 * number:.1f} %") if kpi.startswith("share_") else (lambda number: f"{number:,.2f}")
        tone, said = tones.get(status, ("none", Words("nobody counts yet", "尚无人可计")))
        aim = f"{'≥' if direction == 'up' else '≤'} {form(target)}"
        measured: tuple[Cell, ...] = (
            named(kpi, kpi_label),
            Mark(said if value is None else Words(f"{form(value)} {said.en}", f"{form(value)} {said.zh}"), tone),  # pyright: ignore[reportArgumentType]
            Words(f"target {aim}", f"目标 {aim}"),
        )
        rows.append(
            [
                (named(stage, label),),
                (Gauge(float(share or 0), f"{count:,}"),),
                f"+{came:,} / −{left:,}",
                Words(state or "", state_zh or ""),
                Words(goal or "", goal_zh or ""),
                Words(place or "", place_zh or ""),
                measured,
                Words(action or "", action_zh or ""),
                Words(content or "", content_zh or ""),
            ]
        )
    if rows:
        yield Table(heads, rows, is_wide=True)


@section(
    "periods",
    Words("New, returning, resurrecting, not back", "新增、持续、回流与本期未活跃"),
    Words(
        "Upwards the users active in each period by where they come from, downwards who was active the period before and is not now; "
        "the hatched period still runs.",
        "向上为各周期的活跃用户及其来源，向下为上一周期活跃而本周期不再活跃的用户；斜线周期尚未结束。",
    ),
    "period_lifecycle",
)
def periods(published: Published) -> Iterator[Part]:
    found: dict[str, list[Period]] = defaultdict(list)
    for grain, *period in published.rows(
        "select grain, period_on, new_count, returning_count, resurrecting_count, dormant_count, is_complete "
        "from period_lifecycle where dimension = 'total' order by period_on"
    ):
        found[grain].append(Period(*period))
    grain = next((grain for grain in GRAINS if len(found[grain]) >= 6), "day")
    if found[grain]:
        yield Drawing("period_lifecycle", pictures.period_lifecycle(found[grain][-PERIODS_SHOWN:], grain=GRAINS[grain]))


@section(
    "funnels",
    Words("Funnels", "漏斗"),
    Words(
        "Of those who entered and whose time has run out, how many reached each step; who still has time is not counted and not lost.",
        "进入漏斗且期限已满的用户中，有多少到达每一步；期限未满的用户不计入，也不算流失。",
    ),
    "funnel_conversion",
)
def funnels(published: Published) -> Iterator[Part]:
    found: dict[str, list[tuple]] = defaultdict(list)
    for row in published.rows(
        "select funnel, any_value(funnel_label order by entry_month), step, any_value(label order by entry_month), sum(users), sum(open_users) "
        "from funnel_conversion group by funnel, step order by funnel, min(step_number)"
    ):
        found[row[0]].append(row)
    order = {funnel.name: number for number, funnel in enumerate(published.rulebook.funnels)}
    for name in sorted(found, key=lambda name: (order.get(name, len(order)), name)):
        steps, title = found[name], named(name, found[name][0][1])
        if not steps[0][4]:
            waiting = int(steps[0][5])
            yield Unknown(
                Words(
                    f"{title.en}: nobody has entered it whose time has run out ({waiting:,} still have time)",
                    f"{title.zh}：还没有期限已满的用户（{waiting:,} 个期限未满）",
                )
            )
            continue
        bars = [Bar(named(step, label), int(users or 0)) for _, _, step, label, users, _ in steps]
        yield Drawing(f"funnel_{name}", pictures.purchase_funnel(bars, title=title, as_of=published.as_of))
        if steps[0][5]:
            yield Sentence(Words(f"{int(steps[0][5]):,} more still have time.", f"另有 {int(steps[0][5]):,} 个期限未满。"))
