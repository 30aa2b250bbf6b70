"""Five data sets that nobody here made, each from its files to its lists by the product's own command, held to plain DuckDB over the same files.

Add a set here with a source folder beside this file that docs/guides/source.md alone suffices to write, and queries that know nothing of our models.
Must not look into the lake or the warehouse, nor repeat a rule of the models: a query says what the data's owner would count.

A run costs, in CPU seconds: support 60, online_retail 100, yammer 120, relax 140, olist 190; so all of them are of the soak.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from conftest import SHARED_DATA

from tests.changed_project import shop_with

pytestmark = pytest.mark.soak

MOST_MEMORY = 6 << 30
MOST_TEMPORARY = 5 * 10**9
HERE = Path(__file__).parent
# `userops`, ended by nothing of Spark where that is installed too (see tests/conftest.py).
COMMAND = """
import sys
__file__ = sys.argv[0]
from userops_pipeline.cli import main
main(sys.argv[1:], prog_name="userops")
"""


@dataclass(frozen=True)
class Shop:
    """A home that a run filled, what it published, and a database of its own in which the files as delivered are tables of text."""

    home: Path
    tables: duckdb.DuckDBPyConnection
    files: duckdb.DuckDBPyConnection

    def same(self, published: str, counted: str) -> list[tuple]:
        """Both queries give the same rows, some of them; the rows."""
        found, wanted = self.tables.execute(published).fetchall(), self.files.execute(counted).fetchall()
        assert wanted, "a comparison with nothing tells nothing"
        assert found == wanted
        return found

    def accounts(self) -> dict[str, tuple[int, ...]]:
        """Rows in, kept, quarantined and duplicates per table over all nights."""
        rows = self.tables.execute(
            "select table_name, sum(rows_in), sum(rows_kept), sum(rows_quarantined), sum(rows_duplicate) from load_accounting group by 1"
        ).fetchall()
        return {name: tuple(int(count) for count in counts) for name, *counts in rows}


class Watched:
    """The most that the temporary files of a home take together, looked at twice a second: scratch, spilled rows, the warehouse's own."""

    def __init__(self, home: Path) -> None:
        self.home, self.most, self._over = home, 0, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            folders = [*self.home.glob("lake/.*"), *self.home.glob("warehouse/*.tmp"), *self.home.glob("warehouse/.*")]
            self.most = max(self.most, sum(_size(folder) for folder in folders))


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue  # gone meanwhile
    return total


def run(source: str, variable: str, data: str, home: Path, **environment: str) -> duckdb.DuckDBPyConnection:
    """Every night of a source as one backfill, no expectation waived; what it published. Tells what it took, and holds memory and temporary files."""
    if not (SHARED_DATA / data).is_dir():
        pytest.skip(f"the data set {data} is not at {SHARED_DATA}; set USEROPS_SHARED_DATA")
    command = [sys.executable, "-c", COMMAND, "--home", str(home), "backfill", "--source", source]
    environment = {**os.environ, **environment, variable: str(SHARED_DATA / data)}
    told = home.with_suffix(".txt")
    with told.open("wb") as output, Watched(home) as temporary:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    memory = used.ru_maxrss * 1024
    print(
        f"\n{data}: {used.ru_utime + used.ru_stime:.0f} CPU s, at most {memory / 2**30:.2f} GiB of memory and {temporary.most / 10**9:.2f} GB of temporary files"
    )
    assert process.returncode == 0, told.read_text(encoding="utf-8")[-2000:]
    assert memory <= MOST_MEMORY
    assert temporary.most <= MOST_TEMPORARY
    return duckdb.connect(str(home / "published" / "userops.duckdb"), read_only=True)


def files_of(data: str, **names: str) -> duckdb.DuckDBPyConnection:
    """The files of a data set as tables of text: by name a file, and behind it further arguments of read_csv."""
    files = duckdb.connect()
    for table, told in names.items():
        file, _, arguments = told.partition(", ")
        files.execute(
            f"create table {table} as select * from read_csv(?, all_varchar = true, quote = '\"', escape = '\"'{arguments and ', ' + arguments})",
            [str(SHARED_DATA / data / file)],
        )
    return files


NOBODY_AGREED = "select count(*) > 0, sum(exported) from audience_sizes"


# -- Olist -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def olist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("olist") / "home"
    tables = run(str(HERE / "olist"), "USEROPS_TEST_DATA", "olist_sample20k", home)
    files = files_of(
        "olist_sample20k", orders="olist_orders_dataset.csv", customers="olist_customers_dataset.csv", items="olist_order_items_dataset.csv",
        payments="olist_order_payments_dataset.csv", reviews="olist_order_reviews_dataset.csv", products="olist_products_dataset.csv",
    )  # fmt: skip
    files.execute(
        """
        create table bought as
        select order_id, customer_unique_id as person, customer_state, order_purchase_timestamp::timestamp as moment, order_status,
            (select sum(payment_value::decimal(18, 2)) from payments where payments.order_id = orders.order_id) as paid
        from orders join customers using (customer_id)
        """
    )
    files.execute("create view sold as select * from bought where order_status not in ('canceled', 'unavailable')")
    with tables, files:
        yield Shop(home, tables, files)


def test_every_record_of_olist_is_kept(olist: Shop) -> None:
    [(visits,)] = olist.files.execute("select count(distinct (person, moment::date)) from bought").fetchall()
    assert olist.accounts() == {
        "users": (visits, visits, 0, 0),
        "orders": (20_000, 20_000, 0, 0),
        "order_items": (22_618, 22_618, 0, 0),
        "products": (11_318, 11_318, 0, 0),
        "payments": (20_873, 20_873, 0, 0),
        "feedback": (19_986, 19_986, 0, 0),
    }


def test_orders_and_revenue_of_olist_are_those_of_the_files(olist: Shop) -> None:
    assert olist.same(
        "select status, count(*) from user_orders group by 1 order by 1",
        "select case order_status when 'delivered' then 'completed' when 'created' then 'placed' when 'shipped' then 'shipped' "
        "when 'canceled' then 'cancelled' when 'unavailable' then 'cancelled' else 'paid' end, count(*) from orders group by 1 order by 1",
    ) == [("cancelled", 241), ("completed", 19_430), ("paid", 112), ("placed", 2), ("shipped", 215)]
    months = olist.same(
        "select date_trunc('month', night_on)::date, sum(order_count), sum(revenue_amount) from metric_counts_daily "
        "where dimension = 'total' group by 1 having sum(order_count) > 0 order by 1",
        "select date_trunc('month', moment)::date, count(*), sum(paid) from sold group by 1 order by 1",
    )
    assert sum(row[1] for row in months) == 19_759
    by_order = "select user_id, order_id, ordered_on::varchar, amount from user_orders where is_purchase order by order_id"
    olist.same(by_order, "select person, order_id, moment::date::varchar, paid from sold order by order_id")
    with pytest.raises(AssertionError):  # were the clock another one
        olist.same(by_order, "select person, order_id, (moment - interval 3 hour)::date::varchar, paid from sold order by order_id")


def test_people_of_olist_are_counted_by_their_own_id_and_by_what_they_did(olist: Shop) -> None:
    rows = olist.same(
        "select user_id, region, registered_on::varchar, order_count, spend_amount, item_count, cancelled_order_count, feedback_count, "
        "weekend_share::decimal(9, 4), evening_share::decimal(9, 4), largest_order_amount from user_profile order by user_id",
        """
        with
            lines as (select order_id, count(*) as n from items group by 1),
            answers as (select person, count(*) as n from reviews join bought using (order_id) group by 1),
            counted as (
                select person, count(*) as n, sum(paid) as paid, sum(coalesce(lines.n, 0)) as items, max(paid) as largest,
                    avg((isodow(moment) >= 6)::integer)::decimal(9, 4) as weekend, avg((hour(moment) >= 18)::integer)::decimal(9, 4) as evening
                from sold left join lines using (order_id) group by 1
            )
        select person, max_by(customer_state, moment), min(moment)::date::varchar, coalesce(any_value(counted.n), 0), coalesce(any_value(counted.paid), 0),
            coalesce(any_value(items), 0), count(*) filter (where order_status in ('canceled', 'unavailable')), coalesce(any_value(answers.n), 0),
            any_value(weekend), any_value(evening), any_value(largest)
        from bought left join counted using (person) left join answers using (person) group by person order by person
        """,
    )
    assert len(rows) == 19_831


def test_the_category_of_olist_that_most_was_paid_for(olist: Shop) -> None:
    olist.same(
        "select user_id, top_category from user_profile where top_category is not null order by 1",
        """
        with spent as (
            select person, product_category_name as category, sum(price::decimal(18, 2) + freight_value::decimal(18, 2)) as amount
            from items join sold using (order_id) join products using (product_id) where product_category_name is not null group by all
        )
        select person, category from spent
        qualify row_number() over (partition by person order by amount desc, category desc) = 1 order by 1
        """,
    )


def test_cohorts_and_rfm_of_olist_are_those_counted_by_hand(olist: Shop) -> None:
    cohorts = olist.same(
        "select cohort_on, first_period, cohort_size, returned_count from retention_cohorts "
        "where retention = 'repurchase' and dimension = 'total' and returned_count > 0 order by 1, 2",
        """
        with
            months as (select distinct person, date_trunc('month', moment)::date as month from sold),
            cohorts as (select person, min(month) as cohort from months group by 1),
            sizes as (select cohort, count(*) as people from cohorts group by 1)
        select cohort, date_diff('month', cohort, month), any_value(people), count(*)
        from months join cohorts using (person) join sizes using (cohort) group by 1, 2
        having date_diff('month', cohort, month) <= 24 order by 1, 2
        """,
    )
    assert sum(row[3] for row in cohorts if row[1] == 0) == 19_596
    # Of the last 730 days, the night itself being one of them.
    olist.same(
        "select user_id, recency_days, frequency, monetary_amount from user_rfm where recency_days is not null order by 1",
        "select person, date_diff('day', max(moment)::date, date '2018-10-22'), count(*), sum(paid) from sold "
        "where moment::date > date '2018-10-22' - 730 group by 1 order by 1",
    )


def test_nobody_of_olist_agreed_to_be_contacted(olist: Shop) -> None:
    assert olist.tables.execute(NOBODY_AGREED).fetchall() == [(True, 0)]
    assert olist.tables.execute("select sum(in_segment) > 0 from audience_sizes").fetchall() == [(True,)]


# -- Relax -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def relax(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("relax")
    shop = shop_with(folder, {})
    lists = shop / "rules" / "lists.yml"
    lists.write_text(lists.read_text(encoding="utf-8").replace("channel: postal", "channel: email"), encoding="utf-8")
    home = folder / "home"
    tables = run(str(HERE / "relax"), "USEROPS_TEST_DATA", "relax_takehome", home, USEROPS_SHOP=str(shop))
    files = files_of("relax_takehome", users="takehome_users.csv, encoding = 'latin-1'", logins="takehome_user_engagement.csv")
    files.execute("create view people as select *, strptime(creation_time, '%d-%m-%Y %H:%M') as created_at from users")
    with tables, files:
        yield Shop(home, tables, files)


def test_every_record_of_relax_is_kept(relax: Shop) -> None:
    assert {name: counts for name, counts in relax.accounts().items() if name != "suppressions"} == {
        "users": (12_000, 12_000, 0, 0),
        "events": (207_917, 207_917, 0, 0),
        "referrals": (6_417, 6_417, 0, 0),
        "consents": (12_000, 12_000, 0, 0),
    }


def test_users_of_relax_their_days_and_their_invitations(relax: Shop) -> None:
    relax.same(
        "select user_id, channel, registered_at, active_days, event_count, referral_count, days_since_active from user_profile order by user_id",
        """
        with
            active as (select user_id, count(*) as n, max(time_stamp::date) as last_on from logins group by 1),
            invited as (select invited_by_user_id as user_id, count(*) as n from people where invited_by_user_id is not null group by 1)
        select object_id, lower(creation_source), created_at, coalesce(active.n, 0), coalesce(active.n, 0), coalesce(invited.n, 0), date '2014-06-06' - last_on
        from people left join active on object_id = active.user_id left join invited on object_id = invited.user_id
        order by object_id
        """,
    )
    relax.same(
        "select night_on, registered_new_count, dau_count from metric_counts_daily where dimension = 'total' order by 1",
        """
        with
            nights as (select unnest(generate_series(date '2012-05-31', date '2014-06-06', interval 1 day))::date as night),
            active as (select time_stamp::date as day, count(*) as n from logins group by 1),
            new as (select created_at::date as day, count(*) as n from people group by 1)
        select night, coalesce(new.n, 0), coalesce(active.n, 0)
        from nights left join active on night = active.day left join new on night = new.day order by 1
        """,
    )


def test_invitations_of_relax_count_unless_somebody_invites_themself(relax: Shop) -> None:
    [(invited,)] = relax.tables.execute("select sum(invited_new_count) from metric_counts_daily where dimension = 'total'").fetchall()
    assert invited == 6_417 - 222
    # Of those invited in the last 90 days, one counts who is active on a later day within 14; oneself, or one of more than ten on a day, does not.
    relax.same(
        "select user_id, invitee_count, screened_invitee_count, activated_invitee_count from user_contribution where invitee_count > 0 order by 1",
        """
        with
            invited as (
                select object_id, invited_by_user_id as inviter, created_at::date as day,
                    object_id = invited_by_user_id or count(*) over (partition by invited_by_user_id, created_at::date) > 10 as is_screened
                from people where invited_by_user_id is not null and created_at::date > date '2014-06-06' - 90
            ),
            returned as (
                select distinct object_id from invited join logins on object_id = user_id
                where time_stamp::date > day and time_stamp::date <= day + 14
            )
        select inviter, count(*), count(*) filter (where is_screened), count(*) filter (where not is_screened and returned.object_id is not null)
        from invited left join returned using (object_id) group by 1 order by 1
        """,
    )


def test_retention_of_relax_after_sign_up(relax: Shop) -> None:
    relax.same(
        "select cohort_on, first_period, cohort_size, returned_count from retention_cohorts "
        "where retention = 'sign_up' and dimension = 'total' and returned_count > 0 order by 1, 2",
        """
        with
            days as (select user_id, time_stamp::date as day from logins),
            cohorts as (select object_id as user_id, created_at::date as cohort, count(*) over (partition by created_at::date) as people from people)
        select cohort, day - cohort, any_value(people), count(*) from days join cohorts using (user_id)
        where day - cohort between 0 and 30 group by 1, 2 order by 1, 2
        """,
    )


def test_lists_of_relax_hold_those_who_ticked_the_box(relax: Shop) -> None:
    ticked = {row[0] for row in relax.files.execute("select object_id from people where opted_in_to_mailing_list = '1'").fetchall()}
    members = relax.tables.execute("select user_id, decision from audience_members").fetchall()
    assert (len(members), len(ticked)) == (12_000, 2_994)  # nobody buys here, so all are of the one list of those who have not
    assert {(decision, user in ticked) for user, decision in members} == {("exported", True), ("no_consent", False)}
    # 20 addresses are of two users each; that one of the two did not tick the box takes nothing back.
    file = relax.home / "exports" / "first_purchase_coupons" / "2014-06-06" / "full.csv"
    sent = relax.files.execute("select user_id, mailing_key from read_csv(?, all_varchar = true) order by 1", [str(file)]).fetchall()
    assert (
        sent == relax.files.execute("select object_id, lower(email) from people where opted_in_to_mailing_list = '1' order by 1").fetchall()
    )


# -- Yammer ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yammer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("yammer") / "home"
    tables = run(str(HERE / "yammer"), "USEROPS_TEST_DATA", "yammer", home)
    files = files_of(
        "yammer", emails="yammer_emails.csv",
        users="yammer_users.csv, header = false, names = ['user_id', 'created_at', 'company_id', 'language', 'activated_at', 'state']",
    )  # fmt: skip
    files.execute("create view sent as select user_id, occurred_at::timestamp as moment, action from emails where action like 'sent%'")
    # Of what was sent to the user until then, the latest was opened or clicked.
    files.execute(
        """
        create table answers as
        select emails.user_id, emails.action, emails.occurred_at::timestamp as moment, sent.moment as sent_at
        from emails asof join sent on emails.user_id = sent.user_id and emails.occurred_at::timestamp >= sent.moment
        where emails.action not like 'sent%'
        """
    )
    with tables, files:
        yield Shop(home, tables, files)


def test_every_record_of_yammer_is_kept(yammer: Shop) -> None:
    assert {name: counts for name, counts in yammer.accounts().items() if name != "suppressions"} == {
        "users": (19_066, 19_066, 0, 0),
        "events": (9_381, 9_381, 0, 0),
        "campaigns": (2, 2, 0, 0),
        "touches": (60_920, 60_920, 0, 0),
    }


def test_messages_to_users_of_yammer_and_what_they_opened_and_clicked(yammer: Shop) -> None:
    rows = yammer.same(
        "select user_id, touch_count, open_count, click_count, campaign_count, days_since_touch, active_days, registered_on from user_profile order by user_id",
        """
        with
            messages as (select user_id, count(*) as n, count(distinct action) as kinds, date '2022-08-31' - max(moment)::date as since from sent group by 1),
            opened as (select user_id, count(distinct sent_at) as n from answers where action = 'email_open' group by 1),
            clicked as (select user_id, count(distinct sent_at) as n from answers where action = 'email_clickthrough' group by 1),
            firsts as (select user_id, min(moment)::date as day from answers group by user_id, sent_at, action),
            days as (
                select user_id, activated_at::date as day from users where activated_at is not null
                union
                select user_id, day from firsts
            ),
            active as (select user_id, count(*) as n from days group by 1)
        select user_id, coalesce(messages.n, 0), coalesce(opened.n, 0), coalesce(clicked.n, 0), coalesce(kinds, 0), since, coalesce(active.n, 0), created_at::date
        from users left join messages using (user_id) left join opened using (user_id) left join clicked using (user_id)
        left join active using (user_id)
        order by user_id
        """,
    )
    assert (len(rows), sum(row[1] for row in rows)) == (19_066, 60_920)
    assert yammer.tables.execute("select touch_count from user_profile where user_id = '0'").fetchall() != [(0,)], "0 is a user here"


def test_languages_and_sign_ups_of_yammer(yammer: Shop) -> None:
    yammer.same(
        "select language, count(*) from user_profile group by 1 order by 2",
        "select map {'english': 'en', 'spanish': 'es', 'french': 'fr', 'japanese': 'ja', 'german': 'de', 'arabic': 'ar', 'chinese': 'zh', "
        "'indian': 'hi', 'russian': 'ru', 'portugese': 'pt', 'italian': 'it', 'korean': 'ko'}[language], count(*) from users group by 1 order by 2",
    )
    yammer.same(
        "select date_trunc('month', night_on)::date, sum(registered_new_count) from metric_counts_daily where dimension = 'total' group by 1 order by 1",
        "select date_trunc('month', created_at::timestamp)::date, count(*) from users group by 1 order by 1",
    )


def test_nobody_of_yammer_agreed_to_be_contacted(yammer: Shop) -> None:
    assert yammer.tables.execute(NOBODY_AGREED).fetchall() == [(True, 0)]


# -- Support tickets ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def support(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("support") / "home"
    tables = run(str(HERE / "support"), "USEROPS_TEST_DATA", "support_tickets", home)
    files = files_of("support_tickets", tickets="customer_support_tickets.csv")
    files.execute(
        """
        create view read as
        select *, sha256(lower(trim("Customer Email"))) as person, strptime("Date of Purchase", '%m/%d/%Y')::date as bought_on,
            strptime("First Response Time", '%m/%d/%Y %H:%M') as replied_at, strptime("Time to Resolution", '%m/%d/%Y %H:%M') as resolved_at
        from tickets
        """
    )
    with tables, files:
        yield Shop(home, tables, files)


def test_every_ticket_is_kept_and_is_its_customers(support: Shop) -> None:
    assert support.accounts() == {
        "users": (8_320, 8_320, 0, 0), "orders": (8_469, 8_469, 0, 0), "tickets": (8_469, 8_469, 0, 0),
    }  # fmt: skip
    # What the purchases cost is not told: they are counted, and are no money.
    rows = support.same(
        "select user_id, ticket_count, order_count, registered_on, last_order_on, gender, spend_amount from user_profile order by 1",
        'select person, count(*), count(*), min(bought_on), max(bought_on), lower(max_by("Customer Gender", "Ticket ID"::integer)), 0.00 '
        "from read group by 1 order by 1",
    )
    assert len(rows) == 8_320


def test_ratings_count_on_the_day_of_the_resolution_and_customers_on_the_day_they_are_heard_of(support: Shop) -> None:
    """A rating of 4 or 5 of 5 is 8 or 10 of the contract's 10, and satisfied from 7 on."""
    rated = support.same(
        "select night_on, ticket_rated_count, ticket_satisfied_count from metric_counts_daily where dimension = 'total' order by 1",
        'select resolved_at::date, count(*), count(*) filter (where "Customer Satisfaction Rating"::integer >= 4) from read '
        'where "Customer Satisfaction Rating" is not null group by 1 order by 1',
    )
    assert (sum(row[1] for row in rated), sum(row[2] for row in rated)) == (2_769, 1_087)
    support.same(
        "select night_on, dau_count from metric_counts_daily where dimension = 'total' order by 1",
        "select coalesce(least(replied_at, resolved_at), timestamp '2023-06-02 00:55:00')::date, count(distinct person) from read group by 1 order by 1",
    )


def test_nobody_who_asked_for_help_agreed_to_be_contacted(support: Shop) -> None:
    assert support.tables.execute(NOBODY_AGREED).fetchall() == [(True, 0)]


# -- Online Retail -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def online_retail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("online_retail") / "home"
    tables = run("online_retail", "USEROPS_ONLINE_RETAIL", "online_retail", home)
    files = duckdb.connect()
    files.execute(
        "create table lines as select distinct * from read_csv(?, all_varchar = true)",
        [str(SHARED_DATA / "online_retail" / "by_day" / "*.csv")],
    )
    # What is worth nothing is a gift or a write-off; C takes back, A is the bookkeeper's. A bad debt of a negative amount is set aside.
    files.execute(
        """
        create table sold as
        select InvoiceNo as invoice, min(replace(CustomerID, '.0', '')) as customer, min(InvoiceDate::timestamp) as moment,
            sum((Quantity::decimal(18, 4) * UnitPrice::decimal(18, 4))::decimal(18, 2)) as amount
        from lines where InvoiceNo not like 'C%' and InvoiceNo not like 'A%' group by 1
        having amount > 0
        """
    )
    with tables, files:
        yield Shop(home, tables, files)


def test_customers_and_months_of_online_retail_are_those_of_its_lines(online_retail: Shop) -> None:
    online_retail.same(
        "select date_trunc('month', night_on)::date, sum(order_count), sum(revenue_amount) from metric_counts_daily where dimension = 'total' group by 1 order by 1",
        "select date_trunc('month', moment)::date, count(*), sum(amount) from sold group by 1 order by 1",
    )
    online_retail.same(
        "select user_id, recency_days, frequency, monetary_amount from user_rfm where recency_days is not null order by 1",
        "select customer, date '2011-12-09' - max(moment)::date, count(*), sum(amount) from sold where customer is not null group by 1 order by 1",
    )
    assert online_retail.tables.execute(NOBODY_AGREED).fetchall() == [(True, 0)]
