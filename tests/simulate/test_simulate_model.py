"""The demo shop behaves as its README says: the stated processes are found again in the files, and the truth tells what they hold."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from conftest import Shop
from scipy import stats

from userops_pipeline.ground.home import PROJECT_DIR, UserOpsError
from userops_pipeline.simulate import Settings, purchases, simulate
from userops_pipeline.simulate.season import HOURS, WEEK, Season


def query(out: Path, text: str) -> list[tuple]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        text = text.replace("<drops>", f"{out}/drops/*").replace("<truth>", f"{out}/truth")
        return connection.execute(text).fetchall()


def hashes(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.rglob("*")) if path.is_file()}


# -- determinism ---------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    first = tmp_path / "first"
    simulate(Settings(80, 6, seed=5, out=first, dirt=0.1))
    expected = hashes(first)
    assert len(expected) == 6 * 19 + 7
    program = (
        "import sys, pyarrow; from pathlib import Path; from userops_pipeline.simulate import Settings, simulate; "
        "pyarrow.set_cpu_count(int(sys.argv[2])); simulate(Settings(80, 6, seed=5, out=Path(sys.argv[1]), dirt=0.1))"
    )
    for number, (zone, language, cores) in enumerate([("America/New_York", "C", 1), ("Asia/Kathmandu", "tr_TR.UTF-8", 4)]):
        out = tmp_path / str(number)
        environment = {**os.environ, "TZ": zone, "LC_ALL": language, "PYTHONHASHSEED": str(number + 1), "PYTHONPATH": str(PROJECT_DIR)}
        subprocess.run([sys.executable, "-c", program, str(out), str(cores)], env=environment, check=True)
        assert hashes(out) == expected
    other = tmp_path / "other"
    simulate(Settings(80, 6, seed=6, out=other, dirt=0.1))
    assert {name for name, digest in hashes(other).items() if digest == expected[name]} <= {
        name
        for name in expected
        if any(table in name for table in ("refunds", "campaigns", "tickets", "feedback", "touches", "manual_tags", "truth/behaviours"))
    }


def test_simulating_again_replaces_a_simulation_and_nothing_else(tmp_path: Path) -> None:
    simulate(Settings(50, 5, seed=1, out=tmp_path / "shop"))
    simulate(Settings(50, 3, seed=1, out=tmp_path / "shop"))
    assert len(list((tmp_path / "shop" / "drops").iterdir())) == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserOpsError, match=r"mine holds 'thesis.txt'"):
        simulate(Settings(50, 3, seed=1, out=tmp_path / "mine"))
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"users": 9}, "--users must lie between"),
        ({"days": 1}, "--days must lie between"),
        ({"dirt": 0.5}, "--dirt is a share"),
        ({"events_per_user": 10, "orders_per_user": 5}, "--events-per-user must be at least"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, wrong: dict, sentence: str) -> None:
    with pytest.raises(UserOpsError, match=sentence):
        Settings(**{"users": 100, "days": 10, "seed": 1, "out": tmp_path, **wrong})


# -- arrival -------------------------------------------------------------------------------------------------------


def test_a_drop_holds_what_arrived_that_night(clean: Shop) -> None:
    """Without dirt an event arrives on its own local day, and every night has its share."""
    rows = clean.sql(
        "select split_part(filename, '/', -2), min(event_at + interval 8 hours)::date::varchar, max(event_at + interval 8 hours)::date::varchar "
        "from {drops:events} group by 1 order by 1"
    )
    assert len(rows) == clean.settings.days
    assert [row for row in rows if row[0] != row[1] or row[0] != row[2]] == []


# -- the model -----------------------------------------------------------------------------------------------------


def test_sizes_are_as_asked_for(larger: Path) -> None:
    ((events,),) = query(larger, "select count(*) from '<drops>/events.parquet'")
    ((orders,),) = query(larger, "select count(*) from '<truth>/orders.parquet'")
    assert events == pytest.approx(6000 * 60, rel=0.12)
    assert orders == pytest.approx(6000 * 4, rel=0.12)


def test_users_buy_at_their_true_rate_until_they_drop_out(larger: Path) -> None:
    """Own purchases of users no treatment reached over rate times time at risk, in groups by rate; and none after dropout."""
    groups = query(
        larger,
        """
        with people as (
            select person_id, purchase_rate, dropped_at, registered_at,
                greatest(epoch(coalesce(dropped_at, timestamp '2026-03-31 16:00:00') - registered_at) / 86400, 0) as days
            from '<truth>/people.parquet'
            where registered_at is not null and is_held_out and not is_welcomed
        ),
        own as (select person_id, count(*) as n from '<truth>/orders.parquet' where cause = 'own' group by 1)
        select ntile, sum(coalesce(n, 0)), sum(purchase_rate * days)
        from (select *, ntile(2) over (order by purchase_rate) as ntile from people) left join own using (person_id) group by 1 order by 1
        """,
    )
    for _, bought, expected in groups:
        # Dropping out happens at a purchase, so the count is a stopped Poisson process with mean rate * time (optional stopping).
        assert bought == pytest.approx(expected, rel=0.15 if expected > 300 else 0.5)
    ((after,),) = query(
        larger,
        "select count(*) from '<truth>/orders.parquet' as o join '<truth>/people.parquet' as p using (person_id) "
        "join (select order_id, min(ordered_at) as ordered_at from '<drops>/orders.parquet' group by 1) as r using (order_id) "
        "where o.cause = 'own' and r.ordered_at > p.dropped_at + interval 5 hours",
    )
    assert after == 0


def test_rates_are_heterogeneous_and_dropout_is_stated(larger: Path) -> None:
    ((mean, cv, chance, dead),) = query(
        larger,
        "select avg(purchase_rate), stddev(purchase_rate) / avg(purchase_rate), avg(dropout_chance), avg((not is_alive)::int) "
        "from '<truth>/people.parquet' where user_id is not null and not is_invited_fraud",
    )
    assert mean > 0
    assert cv == pytest.approx(0.8**-0.5, rel=0.1)  # of Gamma(0.8), widened a little by the channels
    assert chance == pytest.approx(1.2 / 9.2, rel=0.05)
    assert 0.15 < dead < 0.7


def test_the_welcome_offer_works_and_the_button_does_not(larger: Path) -> None:
    """Within 30 days of sign-up, by arm, among users who had the time; the true effect is 0.16 on the rate."""
    rows = dict(
        query(
            larger,
            """
            with people as (
                select user_id, person_id, is_welcomed, registered_at from '<truth>/people.parquet'
                where registered_at < timestamp '2026-03-01' and not is_invited_fraud
            ),
            first_month as (
                select o.person_id, count(*) as n from '<truth>/orders.parquet' as o
                join (select order_id, min(ordered_at) as at from '<drops>/orders.parquet' group by 1) as r using (order_id)
                join people as p on p.person_id = o.person_id
                where o.cause = 'own' and r.at < p.registered_at + interval 30 days group by 1
            )
            select is_welcomed, avg(coalesce(n, 0)) from people left join first_month using (person_id) group by 1
            """,
        )
    )
    assert 1.02 < rows[True] / rows[False] < 1.35
    arms = dict(query(larger, "select arm, count(*) from '<drops>/assignments.parquet' where experiment_id = 'checkout_button' group by 1"))
    assert arms["treatment"] == pytest.approx(arms["control"], rel=0.1)


def test_the_holdout_gets_no_message(larger: Path) -> None:
    ((sent, held_out),) = query(
        larger,
        "select count(*), count(*) filter (where p.is_held_out) from '<drops>/touches.parquet' as t join '<truth>/people.parquet' as p using (user_id)",
    )
    assert sent > 10_000
    assert held_out == 0


def test_people_tire_of_messages(tmp_path: Path) -> None:
    """Where messages come thick, the ones soon after others are opened less and opted out of more."""
    simulate(Settings(3000, 60, seed=2, out=tmp_path, events_per_user=300, orders_per_user=3))
    rows = query(
        tmp_path,
        """
        with touches as (
            select touch_id, user_id, max(sent_at) as sent_at, max(opened_at) as opened_at, max(unsubscribed_at) as unsubscribed_at,
                max(channel) as channel
            from '<drops>/touches.parquet' group by 1, 2
        ),
        pressed as (
            select *, count(*) over (partition by user_id order by sent_at range between interval 7 days preceding and current row) - 1 as recent
            from touches
        )
        select recent >= 4, avg((opened_at is not null)::int) filter (where channel in ('push', 'email', 'wechat', 'in_app')),
            avg((unsubscribed_at is not null)::int), count(*)
        from pressed where recent <= 1 or recent >= 4 group by 1 order by 1
        """,
    )
    (_, opens_fresh, leaves_fresh, fresh), (_, opens_tired, leaves_tired, tired) = rows
    assert min(fresh, tired) > 2000
    assert opens_tired < 0.85 * opens_fresh
    assert leaves_tired > 2 * leaves_fresh


def test_nobody_is_written_to_who_opted_out(larger: Path) -> None:
    ((wrong,),) = query(
        larger,
        """
        with said as (
            select c.user_id, c.channel, c.state, c.changed_at, t.sent_at,
                row_number() over (partition by t.touch_id order by c.changed_at desc) as latest
            from (select touch_id, any_value(user_id) as user_id, any_value(channel) as channel, min(sent_at) as sent_at
                  from '<drops>/touches.parquet' group by 1) as t
            join '<drops>/consents.parquet' as c on c.user_id = t.user_id and c.channel = t.channel and c.purpose = 'marketing'
                and c.changed_at < date_trunc('day', t.sent_at + interval 8 hours) - interval 8 hours
        )
        select count(*) from said where latest = 1 and state <> 'subscribed'
        """,
    )
    assert wrong == 0


def test_replies_are_slow_on_weekends_and_at_night(tmp_path: Path) -> None:
    simulate(Settings(3000, 60, seed=2, out=tmp_path, events_per_user=100, orders_per_user=8))
    rows = dict(
        query(
            tmp_path,
            """
            with tickets as (
                select id, min(opened::timestamptz) as opened, min(first_reply::timestamptz) as replied
                from read_json('<drops>/tickets.jsonl', format='newline_delimited') group by 1
            ),
            local as (select opened + interval 8 hours as local_at, epoch(replied - opened) / 60 as minutes from tickets)
            select case when hour(local_at) >= 22 or hour(local_at) < 8 then 'night' when isodow(local_at) >= 6 then 'weekend' else 'day' end, median(minutes)
            from local group by 1
            """,
        )
    )
    assert rows["weekend"] > 2 * rows["day"]
    assert rows["night"] > 4 * rows["day"]


READING = "('browse', 'search', 'read', 'leave_cart', 'fail')"  # visits without a purchase, a message, a registration


def pace_by_stage(out: Path, nights: int) -> dict[str, float]:
    """Visits without a purchase over those expected at each person's own rate, by the stage a person is in on the day, over that of `other`;
    those of who has followed a topic, which come more often, are `follower`."""
    rows = query(
        out,
        f"""
        with days as (select day::timestamp + interval 4 hours as noon, day::date as on_date from range(date '2026-01-01', date '2026-01-01' + {nights}, interval 1 day) as d(day)),
        people as (
            select person_id, visit_rate, arrived_at, coalesce(dropped_at, timestamp '2100-01-01') as dropped_at,
                coalesce(left_at, timestamp '2100-01-01') as left_at, comes_more_from_at
            from '<truth>/people.parquet'
        ),
        orders as (
            select o.person_id, min(r.ordered_at) as at from '<truth>/orders.parquet' as o
            join '<drops>/orders.parquet' as r using (order_id) group by o.order_id, o.person_id
        ),
        person_days as (
            select p.person_id, d.on_date, p.visit_rate,
                case
                    when d.noon >= p.comes_more_from_at then case
                        when d.noon <= p.dropped_at and d.noon >= p.arrived_at + interval 14 days
                            and (o.at is null or d.noon >= o.at + interval 30 days) then 'follower' end
                    when d.noon > p.dropped_at then 'lapsed' when d.noon < p.arrived_at + interval 14 days then 'new'
                    when d.noon < o.at + interval 30 days then 'regular' else 'other'
                end as stage
            from people as p join days as d on d.noon between p.arrived_at and p.left_at
            asof left join orders as o on o.person_id = p.person_id and o.at <= d.noon
        ),
        visits as (
            select person_id, (started_at + interval 8 hours)::date as on_date, count(*) as visit_count
            from '<truth>/sessions.parquet' where kind in {READING} group by all
        )
        select stage, sum(coalesce(visit_count, 0)) / sum(visit_rate) from person_days left join visits using (person_id, on_date)
        where stage is not null group by 1
        """,
    )
    paces = dict(rows)
    return {stage: pace / paces["other"] for stage, pace in paces.items() if stage != "other"}


# Of the README: x1.5 when new, x1.25 after an order, x0.35 after dropping out; and x1.8 after following a topic.
STATED_PACE = {"new": 1.5, "regular": 1.25, "lapsed": 0.35, "follower": 1.8}


def test_people_come_faster_when_new_and_slower_when_they_have_dropped_out(larger: Path) -> None:
    found = pace_by_stage(larger, 90)
    print(found)
    assert found == {stage: pytest.approx(pace, rel=0.08 if stage != "lapsed" else 0.15) for stage, pace in STATED_PACE.items()}
    effects = dict(
        query(larger, "select event_name, visit_effect from '<truth>/behaviours.parquet' where visit_effect > 0 or purchase_effect > 0")
    )
    assert effects == {"follow": pytest.approx(STATED_PACE["follower"] - 1)}


def test_a_shop_whose_visits_know_no_stage_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purchases, "STAGE_FACTORS", dict.fromkeys(purchases.STAGE_FACTORS, 1.0))
    monkeypatch.setattr(purchases, "FOLLOW_LIFT", 0.0)
    simulate(Settings(1500, 60, seed=3, out=tmp_path, events_per_user=90, orders_per_user=4))
    found = pace_by_stage(tmp_path, 60)
    assert [
        stage for stage, pace in STATED_PACE.items() if found[stage] == pytest.approx(pace, rel=0.08 if stage != "lapsed" else 0.15)
    ] == []


def fits(counts: list[int], expected: np.ndarray) -> float:
    """p-value of Pearson's chi-square of these counts against shares."""
    return float(stats.chisquare(counts, np.sum(counts) * expected / expected.sum()).pvalue)


def test_people_register_as_growth_and_launch_say(larger: Path) -> None:
    season, day = Season(Settings(10, 90, seed=1, out=larger)), np.arange(90)
    counts = dict(
        query(
            larger,
            "select (registered_at + interval 8 hours)::date - date '2026-01-01', count(*) from '<truth>/people.parquet' where user_id is not null and registered_at is not null group by 1",
        )
    )
    weeks = [sum(counts.get(int(one), 0) for one in part) for part in np.array_split(day, 15)]

    def expected(growth: float, launch: float, weight: np.ndarray) -> np.ndarray:
        density = weight * (1 + growth * day / 90 + launch * np.exp(-day / (0.04 * 90)))
        return np.array([part.sum() for part in np.array_split(density, 15)])

    assert fits(weeks, expected(0.5, 8, season.weight)) > 0.001
    # the same figures refuse a shop that does not grow, and one without a launch
    assert fits(weeks, expected(0, 8, season.weight)) < 1e-6
    assert fits(weeks, expected(0.5, 0, season.weight)) < 1e-6


def test_visits_follow_the_week_and_the_hours_of_the_day(larger: Path) -> None:
    """By local day over the mean of the seven days around it, and by local hour; the stated shapes, and not those of another day or zone."""
    rows = query(
        larger,
        f"""
        with days as (select (started_at + interval 8 hours)::date as on_date, count(*) as n from '<truth>/sessions.parquet' where kind in {READING} group by 1),
        around as (select on_date, n, avg(n) over (order by on_date rows between 3 preceding and 3 following) as mean, row_number() over (order by on_date) as number from days)
        select isodow(on_date), avg(n / mean) from around where number between 18 and 87 group by 1 order by 1
        """,
    )
    week, stated = np.array([ratio for _, ratio in rows]), np.array(WEEK) / np.mean(WEEK)
    hours = np.zeros(24)
    for hour, count in query(
        larger, f"select hour(started_at + interval 8 hours), count(*) from '<truth>/sessions.parquet' where kind in {READING} group by 1"
    ):
        hours[hour] = count
    shape = np.array(HOURS) / sum(HOURS)
    assert np.abs(week - stated).max() < 0.06
    assert np.abs(np.roll(week, 1) - stated).max() > 0.08
    assert np.abs(hours / hours.sum() - shape).max() < 0.005
    assert np.abs(np.roll(hours, 1) / hours.sum() - shape).max() > 0.01


def test_november_is_the_peak_of_the_year() -> None:
    season = Season(Settings(10, 730, seed=1, out=Path("nowhere")))
    assert season.weight.mean() == pytest.approx(1)
    assert 1.5 < season.weight.max() < 2
    assert date(2026, 11, 5) <= date(2026, 1, 1) + timedelta(days=int(season.weight[:365].argmax())) <= date(2026, 11, 17)


# -- the truth -----------------------------------------------------------------------------------------------------


def test_true_sessions_hold_the_events_the_files_have(clean: Shop) -> None:
    rows = clean.sql(
        """
        with found as (
            select s.session_id, s.event_count, s.started_at, s.ended_at, s.device_id, count(e.event_id) as events,
                min(e.event_at) as first, max(e.event_at) as last, count(*) filter (where e.device_id <> s.device_id) as strange,
                max(epoch(e.event_at - e.before)) as longest_gap
            from {truth:sessions} as s
            join (
                select event_id, event_at, device_id, lag(event_at) over (order by event_id) as before from {drops:events}
            ) as e on e.event_id between s.first_event_id and s.first_event_id + s.event_count - 1
            group by all
        )
        select count(*), count(*) filter (where events <> event_count or first <> started_at or last <> ended_at), sum(strange)
        from found where ended_at < timestamp '2026-01-15 15:59:00'
        """
    )
    ((sessions, wrong, strange),) = rows
    assert sessions > 1500
    assert (wrong, strange) == (0, 0)


def test_true_devices_explain_every_event_and_link(clean: Shop) -> None:
    assert clean.sql(
        "select count(*) from {drops:identities} as i anti join {truth:devices} as d on d.device_id = i.device_id and d.user_id = i.user_id"
    ) == [(0,)]
    assert clean.sql("select count(*) from {drops:events} as e anti join {truth:devices} as d using (device_id)") == [(0,)]
    ((shared,),) = clean.sql("select count(*) from (select device_id from {truth:devices} group by 1 having count(*) > 1)")
    assert shared > 0


def test_every_link_is_a_login_the_events_show(clean: Shop) -> None:
    ((links, wrong),) = clean.sql(
        """
        with seen as (select device_id, user_id, date_trunc('second', min(event_at)) as at from {drops:events} where user_id is not null group by all),
        links as (select device_id, user_id, min(first_seen_at) as at from {drops:identities} group by all)
        select count(*), count(*) filter (where seen.at is distinct from links.at) from links left join seen using (device_id, user_id)
        """
    )
    assert links > 300
    assert wrong <= 0.02 * links  # a login after midnight is linked at the next visit


def test_orders_add_up(clean: Shop) -> None:
    assert clean.sql(
        """
        with lines as (select order_id, sum(amount) as amount, sum(discount_amount) as discount from {drops:order_items} group by 1)
        select count(*) from (select distinct order_id, amount, discount_amount from {drops:orders}) as o
        join lines using (order_id) where o.amount <> lines.amount or o.discount_amount <> lines.discount
        """
    ) == [(0,)]
    ((paid, unpaid, errors),) = clean.sql(
        """
        with tries as (
            select order_id, count(*) filter (where outcome = 'success') as good, count(*) filter (where error_class is not null) as bad
            from {drops:payments} group by 1
        )
        select count(*) filter (where paid_at is not null and good <> 1), count(*) filter (where paid_at is null and (good > 0 or bad = 0)), sum(bad)
        from (select order_id, max(paid_at) as paid_at from {drops:orders} group by 1) left join tries using (order_id)
        """
    )
    assert (paid, unpaid) == (0, 0)
    assert errors > 20


def test_fraudulent_invitations_share_the_device_of_their_inviter(larger: Path) -> None:
    ((accounts, shared, orders),) = query(
        larger,
        """
        select count(*), count(*) filter (where d.owner_id + 10000000 = p.inviter_id), sum(p.order_count)
        from '<truth>/people.parquet' as p join '<truth>/devices.parquet' as d using (user_id) where p.is_invited_fraud and d.owner_id is not null
        """,
    )
    assert accounts > 20
    assert shared > 0.9 * accounts
    assert orders == 0
    ((rewards, invited),) = query(
        larger,
        "select count(*) filter (where step = 'reward'), count(*) filter (where step = 'task') from read_csv('<drops>/referrals.csv')",
    )
    assert 0 < rewards <= invited / 3
