"""A shop of four users and three lists whose every step from a file to a request is the real one, but for dbt, which would take a minute a night.

Here live the files, the lake, the project's own SQL over it, the published lists and their delivery, also in a process that is killed.
Add a step when the flow gains one. Must not know who may be contacted: the property does.
"""

from __future__ import annotations

import contextlib
import csv
import io
import multiprocessing
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml

from tests.changed_project import project_of, shop_with
from tests.dbt_runs import run_dbt
from userops_pipeline.deliver import permission
from userops_pipeline.deliver.audiences import ListSpec
from userops_pipeline.deliver.delivery import DeliveryReport, deliver
from userops_pipeline.deliver.destinations.webhook import Webhook
from userops_pipeline.ground import contract
from userops_pipeline.ground.home import Home
from userops_pipeline.ground.lake import raw_scan
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.landing import land, refused
from userops_pipeline.intake.source import Source, load_source

FIRST = date(2026, 3, 1)
FILES = {
    "users": ("user_id", "registered_at", "name", "email", "phone", "merged_into"),
    "consents": ("user_id", "channel", "contact_point", "purpose", "state", "basis", "changed_at"),
    "suppressions": ("suppression_id", "user_id", "contact_point", "channel", "purpose", "said_at", "reason"),
    "touches": ("touch_id", "user_id", "channel", "contact_point", "sent_at", "unsubscribed_at", "complained_at", "bounced_at"),
}
SOURCE = {
    "about": "Four users who change their minds",
    "business_zone": "UTC",
    "zone": "UTC",
    "first_night": FIRST,
    "phone_prefix": "+86",
    "files": {name: {"path": f"{{night}}/{name}.csv", "columns": list(columns)} for name, columns in FILES.items()},
    "tables": {name: {"each": name} for name in FILES},
    "gate": {"quarantine_share": 1},
}
LISTS = {
    "letters": ListSpec(
        name="letters", tool="webhook", segment="everybody", mode="mirror", match_key="user_id", channel="email", purpose="marketing",
        fields={"address": "contact_point"}, max_removed_share=1, max_age_days=9,
    ),
    "mails": ListSpec(
        name="mails", tool="webhook", segment="everybody", mode="mirror", match_key="email", channel="email", purpose="marketing",
        fields={"first_name": "name"}, max_removed_share=1, max_age_days=9,
    ),
    "texts": ListSpec(
        name="texts", tool="webhook", segment="everybody", mode="additive", match_key="phone", channel="sms", purpose="marketing",
        fields={"first_name": "name"}, max_age_days=9,
    ),
}  # fmt: skip
MODELS = ("int_contact_permission", "int_contact_point", "audience_members", "audiences")


def compiled_models(folder: Path) -> dict[str, str]:
    """The SQL of the models that decide who is on a list, compiled by dbt in a shop that has LISTS instead of the grocer's."""
    rules = shop_with(folder, {}) / "rules"
    lists = {
        spec.name: {"owner": {"name": "Nobody", "email": "nobody@x.example"}, **spec.model_dump(exclude={"name"})}
        for spec in LISTS.values()
    }
    (rules / "lists.yml").write_text(yaml.safe_dump(lists), encoding="utf-8")
    project = project_of(rules, folder)
    run_dbt(folder / "userops.duckdb", "compile", "--select", *MODELS, target=folder, project=project)
    compiled = folder / "compiled" / "userops" / "models"
    return {name: next(compiled.rglob(f"{name}.sql")).read_text(encoding="utf-8") for name in MODELS}


def columns_read(sql: str, table: str) -> list[str]:
    """The columns that a compiled model selects from a table of the marts."""
    found = re.search(rf'select ([^()]*?)\s+from "userops"\."marts"\."{table}"', sql)
    assert found, f"{table} is not read"
    return [column.strip() for column in found[1].split(",")]


class ContactShop:
    """One shop: `drop` delivers files, `conform` takes a night into the lake, `publish` builds its lists, `deliver` sends them."""

    def __init__(self, folder: Path, models: dict[str, str]) -> None:
        self.folder, self.models = folder, models
        self.home = Home(folder / "home")
        self.drops = folder / "drops"
        self.drops.mkdir(parents=True)
        document = SOURCE | {"root": {"path": str(self.drops)}}
        (folder / "source").mkdir()
        (folder / "source" / "source.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
        for name, columns in FILES.items():
            mapping = f"select {', '.join(columns)}, _file, _row, _night from {name}\n"
            (folder / "source" / f"{name}.sql").write_text(mapping, encoding="utf-8")
        self.source: Source = load_source(str(folder / "source"))
        self.published: tuple[Path, str, date] | None = None
        self.decisions: list[tuple[str, str, str, str | None]] = []  # audience, user, decision, reason

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    def drop(self, night: int, name: str, rows: Sequence[Sequence[Any]], *, spoilt: bool = False) -> None:
        """A file of this night; spoilt, its header is another."""
        place = self.drops / (FIRST + timedelta(days=night)).isoformat() / f"{name}.csv"
        place.parent.mkdir(exist_ok=True)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([f"{column}_" if spoilt else column for column in FILES[name]])
        writer.writerows(rows)
        place.write_text(text.getvalue(), encoding="utf-8")

    def conform(self, nights: Sequence[int]) -> bool:
        """Land these nights and take them into the lake; whether no file is refused."""
        dates = [FIRST + timedelta(days=night) for night in nights]
        land(self.home, self.source, dates, accept_changed=True)
        conform(self.home, self.source, dates)
        return not list(refused(self.home))

    def ask(self, sql: str) -> list[tuple]:
        """Rows of a query that names contract tables as {consents} and the like."""
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql.format(**{name: raw_scan(self.home, name) for name in contract.tables()})).fetchall()

    def publish(self, night: int) -> None:
        """The lists as the project's SQL makes them of the lake: everybody is in the segment, nobody is left out of the numbers."""
        as_of = FIRST + timedelta(days=night)
        folder = self.home.published / "generations" / f"night_{night}"
        (folder / "exports").mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute("attach ':memory:' as userops")
            connection.execute("use userops")
            for schema in ("raw", "intermediate", "marts", "exports"):
                connection.execute(f"create schema {schema}")
            for name in FILES:
                connection.execute(f"create view raw.{name} as select * from {raw_scan(self.home, name)}")
            connection.execute(f"create table intermediate.int_clock as select date '{as_of}' as as_of")
            connection.execute("create table intermediate.int_exclusion (subject varchar, subject_id varchar, from_on date, to_on date)")
            everybody = "select distinct user_id from raw.users where arrived_on <= (select as_of from intermediate.int_clock)"
            connection.execute(f"create table marts.segment_members as select 'everybody' as segment, user_id from ({everybody})")
            for name in ("user_profile", "user_tags", "user_lifecycle"):
                connection.execute(f"create table marts.{name} as {everybody}")
                for column in columns_read(self.models["audiences"], name):
                    connection.execute(f"alter table marts.{name} add column if not exists {column} varchar")
            for name, schema in zip(MODELS, ("intermediate", "intermediate", "marts", "exports"), strict=True):
                connection.execute(f"create table {schema}.{name} as {self.models[name]}")
            self.decisions = connection.execute(
                "select audience, user_id, decision, reason from marts.audience_members order by all"
            ).fetchall()
            connection.execute(f"copy exports.audiences to '{folder / 'exports' / 'audiences.parquet'}'")
        self.published = folder, folder.name, as_of

    def deliver(self, url: str, *, allow_removals: bool = False) -> list[DeliveryReport]:
        return _deliver(self.home.root, str(self.folder / "source"), self.published, url, allow_removals=allow_removals)

    def deliver_killed(self, url: str, point: str) -> bool:
        """Deliver in a process of its own that is killed at this point; whether it came to it."""
        process = WORKERS.Process(target=_deliver_until, args=(self.home.root, str(self.folder / "source"), self.published, url, point))
        process.start()
        process.join(60)
        assert process.exitcode in (0, -9), f"the delivery ended with {process.exitcode}"
        return process.exitcode == -9


# Processes that are killed are forks of one that has imported everything and opened nothing.
WORKERS = multiprocessing.get_context("forkserver")
WORKERS.set_forkserver_preload([__name__])


def _deliver(root: Path, source: str, published: Any, url: str, *, allow_removals: bool = False) -> list[DeliveryReport]:
    home, shop = Home(root), load_source(source)
    tool = Webhook(url=url, live=True, allow_loopback=True, max_batch=2, attempts=2, backoff_s=0.001, timeout_s=0.5)
    return deliver(
        home,
        *published,
        list(LISTS.values()),
        {"webhook": tool},
        untold=permission.untold(home, [shop], published[2]),
        declared=set(LISTS),
        allow_removals=set(LISTS) if allow_removals else (),
    )


def _deliver_until(root: Path, source: str, published: Any, url: str, point: str) -> None:
    os.environ["USEROPS_KILL_AT"] = point
    _deliver(root, source, published, url)


@contextlib.contextmanager
def opened(folder: Path, models: dict[str, str]) -> Iterator[ContactShop]:
    shop = ContactShop(folder, models)
    try:
        yield shop
    finally:
        shop.remove()
