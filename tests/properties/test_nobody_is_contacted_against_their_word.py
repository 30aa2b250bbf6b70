"""Nobody is contacted against their word, whatever was said in whatever form, in whatever order, and whatever fails on the way.

Histories are drawn by lot; who has withdrawn is worked out here from the history alone, in plain Python, and never asked of the project.
Add a way to say stop, or a way for a night to fail, here. Must not read a table to decide who may be contacted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.deliver.conftest import FakeTool
from tests.properties.contact_shop import FIRST, LISTS, ContactShop, compiled_models, opened
from userops_pipeline.deliver.permission import NewestWord

USERS = ("u0", "u1", "u2", "u3")
FEW = settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)

# -- how the same thing is written ---------------------------------------------------------------------------------

EMAIL_SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    str.upper,
    lambda text: f" {text}\u200b",
    lambda text: f"<{text}>",
    lambda text: f"mailto:{text}",
    lambda text: text.replace("@", "\u00ad@"),
    lambda text: "".join(chr(ord(letter) + 0xFEE0) if letter.isalnum() else letter for letter in text),
    lambda text: text.replace("xn--bcher-kva", "b\u00fccher"),
    lambda text: text.replace("xn--bcher-kva", "bu\u0308cher"),
)
PHONE_SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: text.removeprefix("+86"),
    lambda text: f"0086 {text[3:6]}-{text[6:10]}-{text[10:]}",
    lambda text: f"tel:{text}",
    lambda text: f"\u202a{text}\u202c",
    lambda text: "".join(chr(ord(letter) + 0xFEE0) for letter in text),
)
EMAILS = tuple(f"a{number}@xn--bcher-kva.example" for number in range(4))
PHONES = tuple(f"+861380000000{number}" for number in range(3))
POINTS = {"email": EMAILS, "sms": PHONES}
SPELLINGS = {"email": EMAIL_SPELLINGS, "sms": PHONE_SPELLINGS}
NO_POINTS = ("", " ", "none of your business", "@", "n/a")
CHANNELS = {"email": ("email", "Email", "EMAIL "), "sms": ("sms", "SMS"), None: ("", "all", "pigeon", "e-mail and sms")}
PURPOSES = {"marketing": ("marketing", "Marketing "), "service": ("service",), None: ("", "all", "anything")}
STATES = {
    "subscribed": ("subscribed", "Subscribed"),
    "unsubscribed": ("unsubscribed", "UNSUBSCRIBED"),
    None: ("", "opt-out", "no!", "退订"),
}
NO_TIMES = ("", "yesterday", "2026-13-40 10:00:00", "2199-01-01 00:00:00", "1970-01-01 00:00:00", "03/04/26")


@dataclass(frozen=True)
class Word:
    """What somebody said, as meant (null: cannot be told) and as written; `night` is the one that delivers it."""

    table: str  # consents, touches, suppressions
    night: int
    user: str | None
    channel: str | None
    point: str | None
    purpose: str | None
    state: str | None  # of a consent; a stop of the other tables is `unsubscribed`
    at: datetime | None
    row: tuple[str, ...] = field(compare=False)
    is_bounce: bool = False  # says something of its address, nothing of its user

    @property
    def is_whole(self) -> bool:
        return None not in (self.user, self.channel, self.point, self.purpose, self.state, self.at)


@dataclass(frozen=True)
class Night:
    """One night of a history: who the users are, what is said, and what goes wrong."""

    users: dict[str, tuple[str | None, str | None, str | None]]  # e-mail, phone, merged into; only users whose row is delivered
    words: tuple[Word, ...]
    held: bool  # the consents file is unreadable this night and delivered anew with the next
    faults: tuple[Any, ...]  # what the tool answers to the first requests
    kill_at: str | None


@st.composite
def written(draw: st.DrawFn, words: dict[Any, tuple[str, ...]], *, surely: bool = False) -> tuple[Any, str]:
    meant = draw(st.sampled_from([key for key in words if key is not None or not surely]))
    return meant, draw(st.sampled_from(words[meant]))


@st.composite
def points(draw: st.DrawFn, channel: str | None, *, may_lack: bool = True) -> tuple[str | None, str]:
    if may_lack and draw(st.integers(0, 4)) == 0:
        return None, draw(st.sampled_from(NO_POINTS))
    kind = channel or draw(st.sampled_from(("email", "sms")))
    point = draw(st.sampled_from(POINTS[kind]))
    return point, draw(st.sampled_from(SPELLINGS[kind]))(point)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Night, ...]:
    minutes = itertools.count(1)

    def moment(night: int) -> datetime:
        """No two words are of one instant; some come nights after they were said."""
        said = draw(st.integers(max(-5, night - 3), night))
        return datetime(FIRST.year, FIRST.month, FIRST.day, draw(st.integers(0, 20))) + timedelta(days=said, minutes=next(minutes))

    def time(night: int, *, surely: bool) -> tuple[datetime | None, str]:
        if not surely and draw(st.integers(0, 4)) == 0:
            return None, draw(st.sampled_from(NO_TIMES))
        at = moment(night)
        return at, str(at)

    def consent(night: int, *, plain: tuple[str, str, str] | None = None) -> Word:
        user, channel, point = plain or (draw(st.sampled_from(USERS)), None, None)
        whole = plain is not None or draw(st.booleans())
        if plain is None:
            channel, channel_text = draw(written(CHANNELS, surely=whole))
            point, point_text = draw(points(channel, may_lack=not whole))
            state, state_text = draw(written(STATES, surely=whole))
            purpose, purpose_text = draw(written(PURPOSES, surely=whole))
            nobody = not whole and point is not None and draw(st.integers(0, 3)) == 0
            user = None if nobody else user
        else:
            channel_text, state, purpose = channel, "subscribed", "marketing"
            point_text, state_text, purpose_text = draw(st.sampled_from(SPELLINGS[channel]))(point), "subscribed", "marketing"
        at, at_text = time(night, surely=whole)
        basis = "form" if whole or draw(st.booleans()) else ""
        row = (user or "", channel_text, point_text, purpose_text, state_text, basis, at_text)
        return Word("consents", night, user, channel, point, purpose, state, at if basis else None, row)

    def touch(night: int, number: int) -> Word:
        user, (channel, channel_text) = draw(st.sampled_from(USERS)), draw(written(CHANNELS))
        point, point_text = draw(points(channel)) if draw(st.booleans()) else (None, "")
        at, at_text = time(night, surely=False)
        answers, answer = ["", "", ""], draw(st.integers(0, 2))
        answers[answer] = at_text or "yes"
        sent = str(datetime(FIRST.year, FIRST.month, FIRST.day, 1) + timedelta(days=night - draw(st.integers(0, 3))))
        row = (f"t{night}-{number}", user, channel_text, point_text, sent, *answers)
        return Word("touches", night, user, channel, point, None, "unsubscribed", at, row, is_bounce=answer == 2)

    def suppression(night: int, number: int) -> Word:
        channel, channel_text = draw(written(CHANNELS))
        point, point_text = draw(points(channel))
        user = draw(st.sampled_from(USERS)) if point is None or draw(st.booleans()) else None
        purpose, purpose_text = draw(written(PURPOSES))
        at, at_text = time(night, surely=False)
        row = (f"s{night}-{number}", user or "", point_text, channel_text, purpose_text, at_text, "suppressed")
        return Word("suppressions", night, user, channel, point, purpose, "unsubscribed", at, row)

    people = {user: (draw(st.sampled_from(EMAILS)), draw(st.sampled_from((*PHONES, None))), None) for user in USERS}
    nights = []
    for night in range(draw(st.integers(2, 4))):
        changed = {}
        for user in USERS if night == 0 else draw(st.sets(st.sampled_from(USERS), max_size=2)):
            email, phone, merged = people[user]
            if night:
                email, phone = draw(st.sampled_from((*EMAILS, None))), draw(st.sampled_from((*PHONES, None)))
                earlier = USERS[: USERS.index(user)]
                merged = draw(st.sampled_from((None, None, *earlier)))
            changed[user] = people[user] = (email, phone, merged)
        words = []
        if night == 0:
            for user, (email, phone, _) in people.items():
                words += [consent(0, plain=(user, "email", email))] if email else []
                words += [consent(0, plain=(user, "sms", phone))] if phone and draw(st.booleans()) else []
        words += [consent(night) for _ in range(draw(st.integers(0, 3)))]
        words += [touch(night, number) for number in range(draw(st.integers(0, 1)))]
        words += [suppression(night, number) for number in range(draw(st.integers(0, 1)))]
        held = night > 0 and draw(st.integers(0, 3)) == 0
        fault = st.sampled_from(["ok", {"status": 500}, "timeout_after", "reset_after", "half", "reset", {"status": 429}])
        faults = draw(st.lists(fault, max_size=4)) if draw(st.booleans()) else []
        kill_at = draw(st.sampled_from([None, None, None, *KILLS]))
        nights.append(Night(changed, tuple(words), held, tuple(faults), kill_at))
    return tuple(nights)


KILLS = ("deliver:after_withdrawals_plan", "deliver:after_plan", "deliver:before_send", "deliver:after_send", "deliver:after_ack")

# -- who may not be contacted: the oracle --------------------------------------------------------------------------


class Told:
    """Everything that lay in the lake at one moment, and what follows from it for one contact."""

    def __init__(self, words: list[Word], users: dict[str, tuple[str | None, str | None, str | None]]) -> None:
        self.words, self.users = words, users

    def person(self, user: str) -> str:
        """The account that a user's merges end in; they only ever point to an earlier one."""
        merged = self.users.get(user, (None, None, None))[2]
        return user if merged is None else self.person(merged)

    def granted(self, users: Collection[str], channel: str, point: str, after: datetime) -> bool:
        """Whether one of these accounts said yes, in full, to this address later than that."""
        return any(
            word.table == "consents" and word.is_whole and word.state == "subscribed" and word.purpose == "marketing"
            and word.user in users and (word.channel, word.point) == (channel, point) and word.at is not None and word.at > after
            for word in self.words
        )  # fmt: skip

    def last_word(self, user: str, channel: str, point: str) -> Word | None:
        said = [
            word
            for word in self.words
            if word.table == "consents" and word.is_whole and word.purpose == "marketing"
            and (word.user, word.channel, word.point) == (user, channel, point)
        ]  # fmt: skip
        return max(said, key=lambda word: word.at or datetime.min, default=None)

    def why_not(self, user: str, channel: str, point: str) -> Iterator[Word]:
        """The words that forbid contacting this user at this address by this channel."""
        for word in self.words:
            if word.purpose == "service" or word.channel not in (None, channel):
                continue
            if word.table == "consents" and word.is_whole:
                if word.state == "unsubscribed" and word.point == point and self.last_word(word.user or "", channel, point) == word:
                    yield word  # also of another user who has the address
                continue
            if word.table == "consents" and word.state == "subscribed":
                continue  # a yes that cannot be read is none, and no stop either
            stands = word.table == "consents" or word.at is None
            same_person = word.user is not None and self.person(word.user) == self.person(user)
            of_point = word.point == point
            if word.point is not None and not of_point:
                continue
            if word.point is None and not same_person:
                continue
            if not stands and word.at is not None and self.granted({user}, channel, point, word.at):
                # What is said of an address only the person who said it takes back, from any of their accounts.
                speaker = {other for other in USERS if word.user is not None and self.person(other) == self.person(word.user)}
                if same_person or word.user is None or word.is_bounce or self.granted(speaker, channel, point, word.at):
                    continue
            yield word

    def touched(self, user: str, point: str) -> bool:
        """Whether any word but a plain yes was said by or about the user, an account merged with it, or the address."""
        people = {other for other in USERS if self.person(other) == self.person(user)}
        return any(
            (word.user in people or word.point == point or (word.user is None and word.point is None))
            and not (word.table == "consents" and word.is_whole and word.state == "subscribed")
            for word in self.words
        )


# -- the property --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def contact_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return compiled_models(tmp_path_factory.mktemp("contact"))


def run_history(folder: Path, models: dict[str, str], serve: Callable[..., str], nights: tuple[Night, ...]) -> None:
    tool = FakeTool()
    url = serve(tool)
    with opened(folder, models) as shop:
        told = Told([], {})
        waiting: list[tuple[int, Night]] = []  # nights whose consents file has not been readable yet
        for number, night in enumerate(nights):
            told.users |= night.users
            rows = [
                (user, "2026-02-01 10:00:00", "n", email or "", phone or "", merged or "")
                for user, (email, phone, merged) in night.users.items()
            ]
            shop.drop(number, "users", rows)
            for table in ("touches", "suppressions"):
                shop.drop(number, table, [word.row for word in night.words if word.table == table])
            for earlier, mended in waiting:
                shop.drop(earlier, "consents", [word.row for word in mended.words if word.table == "consents"])
            shop.drop(number, "consents", [word.row for word in night.words if word.table == "consents"], spoilt=night.held)
            again = [earlier for earlier, _ in waiting]
            told.words += [word for word in night.words if word.table != "consents" or not night.held]
            told.words += [word for _, mended in waiting for word in mended.words if word.table == "consents"]
            waiting = [(number, night)] if night.held else []
            whole = shop.conform([*again, number])
            assert whole == (not night.held)
            if whole:
                shop.publish(number)
                nobody_is_lost(shop, told)
            if shop.published:
                send(shop, tool, url, told, night.faults, night.kill_at)
        if waiting:
            for earlier, mended in waiting:
                shop.drop(earlier, "consents", [word.row for word in mended.words if word.table == "consents"])
            told.words += [word for _, mended in waiting for word in mended.words if word.table == "consents"]
            assert shop.conform([earlier for earlier, _ in waiting])
            shop.publish(len(nights) - 1)
            nobody_is_lost(shop, told)
        reports = send(shop, tool, url, told, (), None, allow_removals=True)  # rules may empty a list: somebody has looked, and it is right
        everybody_is_where_they_belong(shop, tool, reports)
        before = len(tool.requests)
        send(shop, tool, url, told, (), None, allow_removals=True)
        assert len(tool.requests) == before, "a second delivery of the same words sends nothing"


def send(
    shop: ContactShop, tool: FakeTool, url: str, told: Told, faults: tuple[Any, ...], kill_at: str | None, *, allow_removals: bool = False
) -> list[Any]:
    """Deliver, however it ends; whoever may not be contacted was not sent, and is gone where it ended by itself."""
    tool.script, begun = list(faults), len(tool.requests)
    reports = []
    if kill_at is None or not shop.deliver_killed(url, kill_at):
        reports = shop.deliver(url, allow_removals=allow_removals)
    tool.script = []
    for _, body, _ in tool.requests[begun:]:
        if body["action"] in ("add", "update"):
            for row in body["rows"]:
                reasons = forbidden(told, body["list"], row["match_value"], row["fields"])
                assert reasons == [], f"{body['list']}: {row['match_value']} was sent, although {reasons}"
    for report in reports:
        if report.outcome in ("sent", "nothing", "held") and not report.failed:
            for value, fields in tool.lists.get(report.list_name, {}).items():
                reasons = forbidden(told, report.list_name, value, fields)
                assert reasons == [], f"{report.list_name} ({report.sentence}): {value} is still at the tool, although {reasons}"
    return reports


def forbidden(told: Told, list_name: str, value: str, fields: dict[str, Any]) -> list[Word]:
    """The words that forbid what a tool was told to do; of an address that several have, those that hold for all of them."""
    channel = LISTS[list_name].channel
    if list_name == "letters":
        return list(told.why_not(value, channel, fields["address"]))
    place = 0 if channel == "email" else 1
    owners = [user for user, known in told.users.items() if known[place] == value]
    found = [list(told.why_not(user, channel, value)) for user in owners or ["nobody"]]
    return found[0] if all(found) else []


def nobody_is_lost(shop: ContactShop, told: Told) -> None:
    """Every user has a decision for every list and a reason where it is no; who said a plain yes and nothing else is on it."""
    decided = {(audience, user): (decision, reason) for audience, user, decision, reason in shop.decisions}
    assert len(decided) == len(shop.decisions) == len(told.users) * len(LISTS)
    for (audience, user), (decision, reason) in decided.items():
        assert (reason is None) == (decision == "exported"), (audience, user, decision, reason)
        channel = LISTS[audience].channel
        point = told.users[user][0 if channel == "email" else 1]
        if point is None:
            assert decision == "no_contact_point"
            continue
        last = told.last_word(user, channel, point)
        is_alone = all(told.person(other) == other for other in USERS)
        if last is not None and last.state == "subscribed" and is_alone and not told.touched(user, point):
            assert decision in ("exported", "shared_match_value"), (audience, user, decision, reason, last)
        if decision == "exported":
            assert list(told.why_not(user, channel, point)) == [], (audience, user)


def everybody_is_where_they_belong(shop: ContactShop, tool: FakeTool, reports: list[Any]) -> None:
    """After an undisturbed delivery a tool has whoever is decided to be on the list, and of a mirror nobody else."""
    for report in reports:
        assert report.outcome in ("sent", "nothing"), report.sentence
        exported = sum(decision == "exported" for audience, _, decision, _ in shop.decisions if audience == report.list_name)
        at_tool = len(tool.lists.get(report.list_name, {}))
        assert exported - sum(report.aside.values()) <= at_tool, report.sentence
        if LISTS[report.list_name].mode == "mirror":
            assert at_tool <= exported, report.sentence


@pytest.fixture
def run(tmp_path: Path, contact_models: dict[str, str], serve: Callable[..., str]) -> Callable[[tuple[Night, ...]], None]:
    numbers = itertools.count()
    return lambda nights: run_history(tmp_path / f"{next(numbers)}", contact_models, serve, nights)


@FEW
@given(nights=histories())
def test_nobody_is_contacted_against_their_word(run: Callable[..., None], nights: tuple[Night, ...]) -> None:
    run(nights)


@pytest.mark.soak
@MANY
@given(nights=histories())
def test_nobody_is_contacted_against_their_word_many_times(run: Callable[..., None], nights: tuple[Night, ...]) -> None:
    run(nights)


# -- the property sees what it is there for ------------------------------------------------------------------------


def consent_of(night: int, state: str, *, user: str = "u0", point: str | None = None, hour: int = 1) -> Word:
    address = point or EMAILS[0]
    at = datetime(FIRST.year, FIRST.month, FIRST.day, hour) + timedelta(days=night)
    row = (user, "email", address, "marketing", state, "form", str(at))
    return Word("consents", night, user, "email", address, "marketing", state, at, row)


def one_user_changes_their_mind() -> tuple[Night, ...]:
    """A yes, sent; the next night a complaint, while the file of consents cannot be read and no list is published."""
    at = datetime(FIRST.year, FIRST.month, FIRST.day, 9) + timedelta(days=1)
    row = ("t1", "u0", "email", "", f"{FIRST} 01:00:00", "", str(at), "")
    complaint = Word("touches", 1, "u0", "email", None, None, "unsubscribed", at, row)
    return (
        Night({"u0": (EMAILS[0], None, None)}, (consent_of(0, "subscribed"),), held=False, faults=(), kill_at=None),
        Night({}, (complaint,), held=True, faults=(), kill_at=None),
    )


def test_a_complaint_of_a_held_night_takes_its_person_off(run: Callable[..., None]) -> None:
    run(one_user_changes_their_mind())


def test_a_delivery_that_asks_nobody_again_is_found(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NewestWord, "may_contact", lambda _, channel, purpose, people: [True] * len(people))
    with pytest.raises(AssertionError, match="u0 is still at the tool, although"):
        run(one_user_changes_their_mind())


@pytest.mark.parametrize(
    ("words", "is_forbidden"),
    [
        ([consent_of(0, "subscribed")], False),
        ([consent_of(0, "subscribed"), consent_of(1, "unsubscribed")], True),
        ([consent_of(2, "subscribed"), consent_of(1, "unsubscribed")], False),
        ([consent_of(0, "subscribed"), consent_of(1, "unsubscribed", user="u1")], True),  # of another user who has the address
        ([consent_of(0, "subscribed"), consent_of(1, "unsubscribed", point=EMAILS[1])], False),
        ([consent_of(2, "subscribed"), replace(consent_of(1, "unsubscribed"), at=None)], True),  # a no whose time cannot be read stands
        ([consent_of(2, "subscribed"), replace(consent_of(1, "unsubscribed"), point=None, channel=None)], True),
        (
            [consent_of(2, "subscribed"), replace(consent_of(1, "unsubscribed", user="u1"), table="touches")],
            True,
        ),  # not theirs to take back
        ([consent_of(2, "subscribed"), replace(consent_of(1, "unsubscribed", user="u1"), table="touches", is_bounce=True)], False),
        ([consent_of(2, "subscribed"), replace(consent_of(1, "subscribed"), at=None)], False),  # a yes that cannot be read is no stop
    ],
)
def test_the_oracle_tells_a_withdrawal(words: list[Word], is_forbidden: bool) -> None:
    told = Told(words, {"u0": (EMAILS[0], None, None), "u1": (EMAILS[1], None, None)})
    assert bool(list(told.why_not("u0", "email", EMAILS[0]))) == is_forbidden
