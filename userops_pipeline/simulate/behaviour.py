"""Behaviour: the visits of a day, and every event of them.

Add here what a visit leaves in the event log; what follows from it (an order, a post) belongs to the module of that record.
All work is on arrays with one entry per visit or per event. Must not decide who comes when: purchases does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from userops_pipeline.simulate.catalogue import QUERIES, TOPICS, Campaigns, Catalogue
from userops_pipeline.simulate.paths import KIND, KINDS, STEP, STEPS, Library
from userops_pipeline.simulate.population import NOBODY, READING_KINDS, READING_SHARES, Population, device_numbers
from userops_pipeline.simulate.settings import DAY, Settings
from userops_pipeline.simulate.writer import Outbox, coded

FIRST_USER = 10_000_000
APART = 7200.0  # visits of one person that would start closer than this are one visit
ERRORS = ("insufficient_funds", "bank_timeout", "risk_refused", "wrong_password", "network")
LOGGED_OUT = 0.15
ALWAYS_KNOWN = 0
NEVER_KNOWN = 127
POSTS_REMEMBERED = 4096

EVENT_NAMES = tuple(dict.fromkeys(name for name, _, _ in STEPS.values()))
PAGES = tuple(dict.fromkeys(page for _, page, _ in STEPS.values()))
PROPERTIES = (
    *(f'{{"query": "{query}"}}' for query in QUERIES),
    *(f'{{"error": "{error}"}}' for error in ERRORS),
    '{"seconds": 15}',
)
_NAME_OF = np.array([EVENT_NAMES.index(name) for name, _, _ in STEPS.values()], dtype=np.int8)
_PAGE_OF = np.array([PAGES.index(page) for _, page, _ in STEPS.values()], dtype=np.int8)
_GAP = np.array([gap for _, _, gap in STEPS.values()], dtype=np.float32)


def _steps(*names: str) -> npt.NDArray[np.bool_]:
    return np.array([name in names for name in STEPS])


_ABOUT_PRODUCT = _steps("detail", "dwell", "cart", "checkout", "refused", "pay")
_ABOUT_CONTENT = _steps("post", "reading", "like", "comment", "share")
_ABOUT_TOPIC = _ABOUT_CONTENT | _steps("follow", "unfollow")
_HAS_PROPERTIES = _steps("search", "refused", "dwell", "reading")


@dataclass
class VisitsOfDay:
    """The visits of a day by start, one entry each."""

    person: npt.NDArray[np.int32]
    start: npt.NDArray[np.float64]  # local seconds since the first midnight
    kind: npt.NDArray[np.int8]
    campaign: npt.NDArray[np.int32]  # NOBODY without
    path: npt.NDArray[np.int32]
    slot: npt.NDArray[np.uint8]
    device: npt.NDArray[np.int64]
    user: npt.NDArray[np.int64]  # account number as in the files, 0 for people without
    known_from: npt.NDArray[np.int8]  # position of the first event that carries the user
    luck: npt.NDArray[np.float32]  # decides what is looked at
    category: npt.NDArray[np.int8]


@dataclass
class EventsOfDay:
    """The events of these visits, visit by visit; arrays by event, `first` and `length` by visit."""

    first_id: int
    first: npt.NDArray[np.int64]
    length: npt.NDArray[np.int32]
    visit: npt.NDArray[np.int32]
    step: npt.NDArray[np.int8]
    second: npt.NDArray[np.float64]
    product: npt.NDArray[np.int32]
    post: npt.NDArray[np.int64]
    topic: npt.NDArray[np.int8]
    error: npt.NDArray[np.int8]


class Behaviour:
    """Visits to events, with the number of the next event and the posts that can be read."""

    def __init__(self, settings: Settings, population: Population, catalogue: Catalogue, campaigns: Campaigns, library: Library) -> None:
        self._settings, self._population, self._catalogue, self._library = settings, population, catalogue, library
        self._names, self._pages = pa.array(EVENT_NAMES, pa.string()), pa.array(PAGES, pa.string())
        self._topics, self._properties = pa.array(TOPICS, pa.string()), pa.array(PROPERTIES, pa.string())
        self._campaigns = campaigns
        self._merchants = pa.array([f"M{number:04}" for number in range(catalogue.merchants)], pa.string())
        self._next_id = 1
        self.posts = np.arange(1, 201, dtype=np.int64)  # the shop's own
        self.post_topics = (np.arange(200) % len(TOPICS)).astype(np.int8)

    def visits(
        self,
        day: int,
        buyers: tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]],
        comers: tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]],
        clicks: tuple[npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.bool_]],
        arrivals: tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]],
        registrations: tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]],
    ) -> VisitsOfDay:
        """All visits of a day, those too close to another of the same person left out; nothing that was bought or registered is lost.

        Each argument has the persons and their start in seconds; clicks also have the campaign and whether the click ends in a purchase.
        """
        rng, population = self._settings.stream("visit details", day), self._population
        reading = np.array([KIND[kind] for kind in READING_KINDS], dtype=np.int8)
        kinds = reading[np.searchsorted(np.cumsum(READING_SHARES)[:-1], rng.random(len(comers[0])), side="right")]
        # what needs an account is only done by those who have one
        needs_account = (comers[0] >= population.users) & (kinds >= KIND["leave_cart"])
        kinds[needs_account] = KIND["browse"]
        person = np.concatenate([registrations[0], arrivals[0], buyers[0], clicks[0], comers[0]]).astype(np.int32)
        start = np.concatenate([registrations[1], arrivals[1], buyers[1], clicks[1], comers[1]])
        kind = np.concatenate(
            [
                np.full(len(registrations[0]), KIND["register"], np.int8),
                np.full(len(arrivals[0]), KIND["arrive"], np.int8),
                np.full(len(buyers[0]), KIND["buy"], np.int8),
                np.where(clicks[3], KIND["click_buy"], KIND["click"]).astype(np.int8),
                kinds,
            ]
        )
        campaign = np.full(len(person), NOBODY, np.int32)
        after = len(registrations[0]) + len(arrivals[0]) + len(buyers[0])
        campaign[after : after + len(clicks[0])] = clicks[2]
        person, start, kind, campaign = _keep_apart(person, start, kind, campaign)

        registered = np.full(len(person), np.inf)
        is_user = person < population.users
        user = np.where(is_user, person, 0)
        registered[is_user] = self.registered_second[user[is_user]]
        known = (start > registered) & (rng.random(len(person)) >= LOGGED_OUT)
        known |= (kind == KIND["buy"]) | (kind == KIND["fail"]) | (kind == KIND["click_buy"]) | (kind == KIND["click"])
        kind[(kind == KIND["fail"]) & ~((start > registered) & is_user)] = KIND["leave_cart"]
        known &= is_user
        order = np.lexsort((person, start))
        person, start, kind, campaign = person[order], start[order], kind[order], campaign[order]
        known, is_user, user = known[order], is_user[order], user[order]
        registered = registered[order]
        path = self._library.pick(kind, rng)
        says_known = self._library.known[path].astype(np.int8)
        may_log_in = is_user & ((start > registered) | (kind == KIND["register"]))
        known_from = np.where(known, ALWAYS_KNOWN, np.where(may_log_in & (says_known >= 0), says_known, NEVER_KNOWN)).astype(np.int8)
        known_from[kind == KIND["register"]] = says_known[kind == KIND["register"]]
        other = rng.random(len(person), dtype=np.float32)
        slot = np.where(other < 0.7, 0, (other * 997).astype(np.uint32) % population.device_count[person]).astype(np.uint8)
        slot[(kind == KIND["register"]) | (kind == KIND["arrive"])] = 0
        owner, at_slot = population.owner[person], slot
        family = population.shares_with_partner[person] & (slot == 1)
        device = device_numbers(np.where(family, person ^ 1, owner), np.where(family, 0, at_slot))
        account = np.where(is_user, population.account[user].astype(np.int64) + FIRST_USER, 0)
        luck = rng.random(len(person), dtype=np.float32)
        habit = rng.random(len(person), dtype=np.float32)
        groups = len(self._catalogue.first)
        category = np.where(
            habit < 0.5, population.category[person] % groups, np.searchsorted(self._catalogue.popular[:-1], (habit - 0.5) * 2)
        ).astype(np.int8)
        return VisitsOfDay(person, start, kind, campaign, path, slot, device, account, known_from, luck, category)

    @property
    def registered_second(self) -> npt.NDArray[np.float64]:
        return self._registered_second

    def set_registered(self, seconds: npt.NDArray[np.float64]) -> None:
        self._registered_second = seconds

    def events(self, day: int, visits: VisitsOfDay) -> EventsOfDay:
        """Every event of the visits. One pass of array operations; the only draw per event is its waiting time."""
        rng, library = self._settings.stream("events", day), self._library
        length = library.length[visits.path]
        last = np.cumsum(length, dtype=np.int64)
        count, first = int(last[-1]) if len(last) else 0, last - length
        visit = np.repeat(np.arange(len(length), dtype=np.int32), length)
        place = np.arange(count, dtype=np.int32) + np.repeat((library.offset[visits.path] - first).astype(np.int32), length)
        step = library.step[place]
        gap = rng.standard_exponential(count, dtype=np.float32)
        gap *= _GAP[step]
        np.minimum(gap, 1200, out=gap)
        gap += np.float32(0.4)
        gap[first] = 0
        clock = np.cumsum(gap, dtype=np.float64)
        clock += np.repeat(visits.start - clock[first], length)
        ordinal = library.ordinal[place]
        luck = np.repeat(visits.luck, length)
        luck += ordinal * np.float32(0.61803399)
        luck -= np.floor(luck)
        catalogue = self._catalogue
        category = visits.category[visit]
        product = catalogue.first[category] + (luck * luck * catalogue.size[category]).astype(np.int32)
        newest = (luck * luck * np.float32(len(self.posts))).astype(np.int32)
        about = _ABOUT_TOPIC[step]
        place_of_post = len(self.posts) - 1 - newest[about]
        post = np.zeros(count, np.int64)
        topic = np.zeros(count, np.int8)
        post[about] = self.posts[place_of_post]
        topic[about] = self.post_topics[place_of_post]
        error = ((luck * 5081) % len(ERRORS)).astype(np.int8)
        first_id, self._next_id = self._next_id, self._next_id + count
        return EventsOfDay(first_id, first, length, visit, step, clock, product, post, topic, error)

    def log(self, day: int, visits: VisitsOfDay, events: EventsOfDay, outbox: Outbox) -> None:
        """The event log as the shop's collector writes it; events after midnight arrive in the next night."""
        count = len(events.step)
        step, visit = events.step, events.visit
        position = np.arange(count, dtype=np.int64) - np.repeat(events.first, events.length)
        unknown = position < np.repeat(visits.known_from, events.length)
        no_product = ~_ABOUT_PRODUCT[step]
        properties = np.full(count, len(PROPERTIES) - 1, np.int16)
        searches, refusals = step == STEP["search"], step == STEP["refused"]
        properties[searches] = (visits.luck[visit[searches]] * 7919).astype(np.int64) % len(QUERIES)
        properties[refusals] = len(QUERIES) + events.error[refusals]
        milliseconds = self._settings.epoch_ms + (events.second * 1000).astype(np.int64)
        campaign = np.repeat(visits.campaign, events.length)
        rows = pa.table(
            {
                "event_id": pa.array(np.arange(events.first_id, events.first_id + count)),
                "user_id": pa.array(np.repeat(visits.user, events.length), mask=unknown),
                "device_id": pa.array(np.repeat(visits.device, events.length)),
                "event_at": pa.array(milliseconds, pa.timestamp("ms")),
                "event_name": coded(_NAME_OF[step], self._names),
                "page": coded(_PAGE_OF[step], self._pages),
                "product_id": pa.array(events.product + 1000, mask=no_product),
                "merchant_id": coded(self._catalogue.merchant[events.product], self._merchants, no_product),
                "content_id": pa.array(events.post, mask=~_ABOUT_CONTENT[step]),
                "topic": coded(events.topic, self._topics, ~_ABOUT_TOPIC[step]),
                "campaign_id": coded(np.maximum(campaign, 0), self._campaigns.ids, campaign < 0),
                "is_bot": pa.nulls(count, pa.bool_()),
                "properties": coded(properties, self._properties, ~_HAS_PROPERTIES[step]),
            }
        )
        midnight = (day + 1) * DAY
        # Visits are in order of their start, so that what crosses midnight lies near the end.
        crossing = events.second >= midnight
        cut = int(np.argmax(crossing)) if crossing.any() else count
        outbox.add(day, "events", rows.slice(0, cut))
        tail = crossing[cut:]
        outbox.add(day, "events", rows.slice(cut).filter(pa.array(~tail)))
        outbox.add(day + 1, "events", rows.slice(cut).filter(pa.array(tail)))

    def remember_posts(self, posts: npt.NDArray[np.int64], topics: npt.NDArray[np.int8]) -> None:
        """New posts can be read from the next day on."""
        self.posts = np.concatenate([self.posts, posts])[-POSTS_REMEMBERED:]
        self.post_topics = np.concatenate([self.post_topics, topics])[-POSTS_REMEMBERED:]


def truth_rows(settings: Settings, population: Population, visits: VisitsOfDay, events: EventsOfDay, first_visit: int) -> pa.Table:
    """One row per true visit, with the range of its event ids."""
    count = len(visits.person)
    ends = events.second[events.first + events.length - 1] if count else np.empty(0)
    return pa.table(
        {
            "session_id": pa.array(np.arange(first_visit, first_visit + count)),
            "person_id": pa.array(population.human[visits.person]),
            "user_id": pa.array(visits.user, mask=visits.user == 0),
            "device_id": pa.array(visits.device),
            "kind": coded(visits.kind, KINDS),
            "started_at": pa.array(settings.epoch_ms + (visits.start * 1000).astype(np.int64), pa.timestamp("ms")),
            "ended_at": pa.array(settings.epoch_ms + (ends * 1000).astype(np.int64), pa.timestamp("ms")),
            "first_event_id": pa.array(events.first_id + events.first),
            "event_count": pa.array(events.length),
        }
    )


def _keep_apart(person, start, kind, campaign):
    """Of visits of one person closer than APART the ones that matter stay (they are pushed apart); plain visits between them are left out."""
    order = np.lexsort((start, person))
    person, start, kind, campaign = person[order], start[order], kind[order], campaign[order]
    matters = kind >= KIND["buy"]
    close_before = np.zeros(len(person), dtype=bool)
    close_before[1:] = (person[1:] == person[:-1]) & (start[1:] - start[:-1] < APART)
    close_after = np.zeros(len(person), dtype=bool)
    close_after[:-1] = close_before[1:]
    drop = ~matters & (close_before | (close_after & np.append(matters[1:], False)))
    keep = ~drop
    person, start, kind, campaign = person[keep], start[keep], kind[keep], campaign[keep]
    for _ in range(3):
        close = np.zeros(len(person), dtype=bool)
        close[1:] = (person[1:] == person[:-1]) & (start[1:] - start[:-1] < APART)
        if not close.any():
            break
        moved = np.flatnonzero(close)
        start[moved] = start[moved - 1] + APART
    return person, start, kind, campaign
