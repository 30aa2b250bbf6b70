"""Community and service: posts and likes, invitations, tickets and what users say.

Add here what users write or ask for. Must not change what they do: it only listens to visits, orders and registrations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from userops_pipeline.simulate.behaviour import FIRST_USER as FIRST
from userops_pipeline.simulate.behaviour import Behaviour, EventsOfDay, VisitsOfDay
from userops_pipeline.simulate.catalogue import TOPICS
from userops_pipeline.simulate.commerce import Coupons, iso
from userops_pipeline.simulate.paths import KIND, STEP
from userops_pipeline.simulate.population import Population
from userops_pipeline.simulate.settings import DAY, Settings
from userops_pipeline.simulate.writer import Outbox, coded, times

CONTENT_KINDS = ("post", "comment", "like", "share")
FIRST_CONTENT = 1_000_000_000
POST_SHARE = 0.04  # of the visits that read
REFERRAL_STEPS = ("poster", "scan", "follow", "task", "reward")
REWARD_THRESHOLD = 3  # invited users for a reward
REWARD_CENTS = 2000
TICKET_SHARE = 0.04
REVIEW_SHARE = 0.08
NPS_SHARE = 0.0006  # of users a day
TICKET_CHANNELS = ("chat", "phone", "email")
OUTCOMES = ("fixed", "answered", "rejected", "deflected")
PRAISE = ("物流很快，包装完好", "质量不错，会回购", "和描述一致", "送人很有面子", "味道很好")
BLAME = ("包装破损", "等了很久才发货", "和图片不一样", "客服回复太慢", "价格比别家贵")
NOTES = (
    ("每次都等打折才买，平时只是看看", "价格敏感，等促销"),
    ("给爸妈买的，他们不会用手机", "代他人购买，需要一键复购"),
    ("上次退货太麻烦了", "退货流程是流失原因"),
    ("喜欢看别人的测评再决定", "内容影响决策"),
)
AGENTS = ("A01", "A02", "A03")
# What users tell an agent, as the tag the agent gives them, and what the agent writes down beside it.
HEARD = (
    ("key_account", "公司采购，每月下单"),
    ("gift_buyer", "买来送人"),
    ("wants_a_call", "请下午来电"),
    ("price_sensitive", "每次先问有没有券"),
    ("one_store_buyer", "只去楼下那家"),
)
UNKNOWN_TAG = ("likes_blue", "喜欢蓝色包装")
HEARD_SHARE = 0.004  # of users a day
MOST_HEARD = 90  # lines the agents can write in a day


class Community:
    """Content out of the events of a day."""

    def __init__(self, settings: Settings, behaviour: Behaviour) -> None:
        self._settings, self._behaviour = settings, behaviour

    def of_day(self, day: int, visits: VisitsOfDay, events: EventsOfDay, outbox: Outbox) -> None:
        step = events.step
        acts = np.flatnonzero((step == STEP["like"]) | (step == STEP["comment"]) | (step == STEP["share"]))
        visit = events.visit[acts]
        known = acts - events.first[visit] >= visits.known_from[visit]
        acts, visit = acts[known], visit[known]
        kind = np.select([step[acts] == STEP["comment"], step[acts] == STEP["like"]], [1, 2], 3).astype(np.int8)
        second = events.second[acts]
        outbox.add_by_night(
            (second // DAY).astype(np.int64),
            "content",
            self._rows(events.first_id + acts, visits.user[visit], kind, events.topic[acts], events.post[acts], second),
        )
        rng = self._settings.stream("posts", day)
        writes = np.flatnonzero((visits.kind == KIND["read"]) & (visits.known_from == 0) & (rng.random(len(visits.person)) < POST_SHARE))
        ends = events.second[events.first[writes] + events.length[writes] - 1]
        topic = rng.integers(0, len(TOPICS), len(writes)).astype(np.int8)
        number = events.first_id + events.first[writes]  # the number of its visit's first event, which is no act
        rows = self._rows(number, visits.user[writes], np.zeros(len(writes), np.int8), topic, None, ends)
        outbox.add_by_night((ends // DAY).astype(np.int64), "content", rows)
        self._behaviour.remember_posts(FIRST_CONTENT + number, topic)

    def _rows(self, number, user, kind, topic, parent, second) -> pa.Table:
        none = np.ones(len(user), dtype=bool)
        return pa.table(
            {
                "content_id": pa.array(FIRST_CONTENT + number),
                "user_id": pa.array(user),
                "kind": coded(kind, CONTENT_KINDS),
                "topic": coded(topic, TOPICS),
                "parent_id": pa.array(np.zeros(len(user), np.int64) if parent is None else parent, mask=none if parent is None else None),
                "created_at": times(self._settings, second),
            }
        )


class Referrals:
    """Invitations: steps of those who came, posters that brought nobody, and rewards at every third."""

    def __init__(self, settings: Settings, population: Population, coupons: Coupons) -> None:
        self._settings, self._population, self._coupons = settings, population, coupons
        self._invited = np.zeros(population.users, np.int32)
        self._next_id = 1

    def of_day(
        self, day: int, users: npt.NDArray[np.int32], seconds: npt.NDArray[np.float64], registered_before: int, outbox: Outbox
    ) -> None:
        rng, population = self._settings.stream("invitations", day), self._population
        came = population.inviter[users] >= 0
        invitee, second = users[came], seconds[came]
        inviter = population.inviter[invitee]
        lead = rng.uniform(60, 3600, len(invitee))
        begin = np.maximum(second - lead, float(day * DAY))
        parts = [(inviter, invitee, step, begin + (second - begin) * share) for step, share in ((0, 0.0), (1, 0.6), (2, 0.8), (3, 1.0))]
        order = np.argsort(inviter, kind="stable")
        ranked = np.arange(len(order)) - np.searchsorted(inviter[order], inviter[order])
        total = np.empty(len(order), np.int64)
        total[order] = self._invited[inviter[order]] + ranked + 1
        np.add.at(self._invited, inviter, 1)
        earned = total % REWARD_THRESHOLD == 0
        parts.append((inviter[earned], invitee[earned], 4, np.minimum(second[earned] + 60, (day + 1) * DAY - 1)))
        self._coupons.issue(day, inviter[earned], np.minimum(second[earned] + 60, (day + 1) * DAY - 1), REWARD_CENTS, 1, -1, outbox)
        if registered_before:
            idle = rng.integers(0, registered_before, rng.binomial(registered_before, 0.0006)).astype(np.int32)
            when = day * DAY + rng.uniform(8, 22, len(idle)) * 3600
            nobody = np.full(len(idle), -1, np.int32)
            scanned = rng.random(len(idle)) < 0.5
            parts.append((idle, nobody, 0, when))
            parts.append((idle[scanned], nobody[scanned], 1, when[scanned] + 600))
        who = np.concatenate([part[0] for part in parts])
        whom = np.concatenate([part[1] for part in parts])
        step = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
        at = np.concatenate([part[3] for part in parts])
        deep = np.where(whom >= 0, population.generation[np.maximum(whom, 0)], population.generation[who] + 1)
        outbox.add(
            day,
            "referrals",
            pa.table(
                {
                    "referral_id": pa.array([f"I{number:09}" for number in range(self._next_id, self._next_id + len(who))], pa.string()),
                    "inviter_id": pa.array(who.astype(np.int64) + FIRST).cast(pa.string()),
                    "invitee_id": pa.array(whom.astype(np.int64) + FIRST, mask=whom < 0).cast(pa.string()),
                    "step": coded(step.astype(np.int8), REFERRAL_STEPS).cast(pa.string()),
                    "step_at": iso(self._settings, at),
                    "generation": pa.array(deep.astype(np.int64)).cast(pa.string()),
                }
            ),
        )
        self._next_id += len(who)


class Service:
    """Tickets and feedback."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next_ticket = self._next_feedback = 1
        self._told: list[tuple[int, int]] = []  # (user, place in HEARD) of tags given so far

    def of_day(
        self, day: int, bought: tuple[npt.NDArray[np.integer], ...], user: npt.NDArray[np.int64], registered_before: int, outbox: Outbox
    ) -> None:
        """Tickets and reviews about today's paid orders, on the days after them; surveys and interviews among all users."""
        rng = self._settings.stream("service", day)
        _, order, product, _, night, _ = bought
        asks = np.flatnonzero(rng.random(len(order)) < TICKET_SHARE)
        self._tickets((night[asks] + 1 + rng.integers(0, 3, len(asks))) * DAY + rng.uniform(0, DAY - 1, len(asks)), user[asks], rng, outbox)
        says = np.flatnonzero(rng.random(len(order)) < REVIEW_SHARE)
        when = (night[says] + rng.integers(3, 8, len(says))) * DAY + rng.uniform(8, 23, len(says)) * 3600
        score = rng.choice([1, 2, 3, 4, 5], len(says), p=(0.05, 0.05, 0.12, 0.33, 0.45))
        text = [(PRAISE if s >= 4 else BLAME)[i] for s, i in zip(score, rng.integers(0, 5, len(says)), strict=True)]
        self._feedback("review", when, user[says], score, order[says], product[says] + 1000, text, None, outbox)
        self._manual_tags(day, registered_before, outbox)
        if registered_before == 0:
            return
        asked = np.unique(rng.integers(0, registered_before, rng.binomial(registered_before, NPS_SHARE))) + FIRST
        when = day * DAY + rng.uniform(9, 22, len(asked)) * 3600
        self._feedback(
            "nps", when, asked, np.clip(np.round(rng.normal(8, 2, len(asked))), 0, 10).astype(int), None, None, None, None, outbox
        )
        if (self._settings.start.toordinal() + day) % 7 == 3:
            met = rng.integers(0, registered_before, min(3, registered_before)) + FIRST
            notes = [NOTES[i] for i in rng.integers(0, len(NOTES), len(met))]
            when = day * DAY + rng.uniform(10, 18, len(met)) * 3600
            self._feedback("interview", when, met, None, None, None, [said for said, _ in notes], [meant for _, meant in notes], outbox)

    def _tickets(self, opened, user, rng, outbox) -> None:
        """A first reply takes half an hour by day, waits for the morning at night, and takes four times as long on weekends."""
        count = len(opened)
        hour = (opened % DAY) / 3600
        weekday = (self._settings.start.weekday() + (opened // DAY).astype(int)) % 7
        morning = np.where(hour < 9, 9 - hour, np.where(hour >= 22, 33 - hour, 0)) * 3600
        reply = opened + morning + rng.exponential(1800, count) * np.where(weekday >= 5, 4, 1) + 20
        solved = reply + rng.exponential(6 * 3600, count) + 60
        ends = rng.random(count) < 0.9
        solved = np.where(ends, np.minimum(solved, opened + 5 * DAY), np.inf)
        reply = np.minimum(reply, solved)
        outcome = rng.choice(len(OUTCOMES), count, p=(0.5, 0.35, 0.05, 0.1)).astype(np.int8)
        happy = np.clip(np.round(9 - np.log1p((reply - opened) / 1800) * 1.4 + rng.normal(0, 1, count)), 0, 10)
        answers = ends & (rng.random(count) < 0.5)
        number = pa.array([f"T{n:08}" for n in range(self._next_ticket, self._next_ticket + count)], pa.string())
        self._next_ticket += count
        channel = rng.integers(0, len(TICKET_CHANNELS), count).astype(np.int8)

        def rows(chosen, until) -> pa.Table:
            replied, done = reply[chosen] < until[chosen], solved[chosen] < until[chosen]
            return pa.table(
                {
                    "id": number.take(pa.array(chosen)),
                    "user": pa.array(user[chosen]).cast(pa.string()),
                    "channel": coded(channel[chosen], TICKET_CHANNELS).cast(pa.string()),
                    "opened": iso(self._settings, opened[chosen]),
                    "first_reply": iso(self._settings, reply[chosen], ~replied),
                    "resolved": iso(self._settings, solved[chosen], ~done),
                    "outcome": coded(outcome[chosen], OUTCOMES, ~done).cast(pa.string()),
                    "satisfaction": pa.array(happy[chosen].astype(np.int64), mask=~(done & answers[chosen])).cast(pa.string()),
                }
            )

        night = (opened // DAY).astype(np.int64)
        outbox.add_by_night(night, "tickets", rows(np.arange(count), (night + 1) * float(DAY)))
        reply_night = (reply // DAY).astype(np.int64)
        solved_night = np.where(ends, np.where(np.isfinite(solved), solved, 0) // DAY, -1).astype(np.int64)
        late_reply = np.flatnonzero((reply_night > night) & (reply_night != solved_night))
        outbox.add_by_night(reply_night[late_reply], "tickets", rows(late_reply, (reply_night + 1) * float(DAY)))
        late_end = np.flatnonzero(solved_night > night)
        outbox.add_by_night(solved_night[late_end], "tickets", rows(late_end, (solved_night + 1) * float(DAY)))
        rated = np.flatnonzero(answers)
        self._feedback("csat", np.where(ends, solved, 0)[rated], user[rated], happy[rated].astype(int), None, None, None, None, outbox)

    def _manual_tags(self, day: int, registered_before: int, outbox: Outbox) -> None:
        """What agents heard today: tags given, some for a fortnight only, and some taken back."""
        rng = self._settings.stream("manual tags", day)
        count = min(int(rng.binomial(registered_before, HEARD_SHARE)), MOST_HEARD)
        lines: dict[tuple[int, str, str], tuple[str, str | None, str | None, str]] = {}
        heard = zip(rng.integers(0, max(registered_before, 1), count), rng.integers(0, len(HEARD), count), rng.random(count), strict=True)
        for user, what, sure in heard:
            taken_back = bool(self._told) and rng.random() < 0.2
            known = rng.random() < 0.95
            if taken_back:
                user, what = self._told[int(rng.integers(0, len(self._told)))]
            elif known:
                self._told.append((int(user), int(what)))
            tag, why = HEARD[what] if known or taken_back else UNKNOWN_TAG
            until = self._settings.date_of(day + 14).isoformat() if not taken_back and rng.random() < 0.33 else None
            agent = AGENTS[int(rng.integers(0, len(AGENTS)))]
            lines[int(user) + FIRST, tag, agent] = ("remove" if taken_back else "add", until, f"{0.5 + sure / 2:.2f}", why)
        said = day * DAY + rng.uniform(9, 19, len(lines)) * 3600
        users, tags, agents = zip(*lines, strict=True) if lines else ((), (), ())
        actions, expires, sure, notes = zip(*lines.values(), strict=True) if lines else ((), (), (), ())
        text = pa.string()
        outbox.add(
            day,
            "manual_tags",
            pa.table(
                {
                    "user": pa.array([str(user) for user in users], text),
                    "tag": pa.array(tags, text),
                    "agent": pa.array(agents, text),
                    "said": iso(self._settings, said),
                    "action": pa.array(actions, text),
                    "expires": pa.array(expires, text),
                    "sure": pa.array(sure, text),
                    "why": pa.array(notes, text),
                }
            ),
        )

    def _feedback(self, kind, second, user, score, order, product, body, meaning, outbox) -> None:
        count = len(user)
        empty = pa.nulls(count, pa.string())
        rows = pa.table(
            {
                "id": pa.array([f"F{n:08}" for n in range(self._next_feedback, self._next_feedback + count)], pa.string()),
                "user": pa.array(user).cast(pa.string()),
                "kind": pa.array([kind] * count, pa.string()),
                "given": iso(self._settings, second),
                "score": empty if score is None else pa.array(score).cast(pa.string()),
                "order": empty if order is None else pa.array(order).cast(pa.string()),
                "product": empty if product is None else pa.array(product).cast(pa.string()),
                "body": empty if body is None else pa.array(body, pa.string()),
                "interpretation": empty if meaning is None else pa.array(meaning, pa.string()),
            }
        )
        self._next_feedback += count
        outbox.add_by_night((second // DAY).astype(np.int64), "feedback", rows)
