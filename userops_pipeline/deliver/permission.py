"""Permission: who may be contacted by the newest word in the lake, and whether everything that was said has arrived there.

Here lives how the model `int_contact_permission` is asked outside a build, and which delivered files say something about contact. Add here
when delivery must know something else of the newest rows; must not hold the rule itself (the model does) nor decide what is sent (deliver).
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path

import duckdb
import jinja2
import jinja2.sandbox

from userops_pipeline.ground.home import DBT_PROJECT_DIR, Home, UserOpsError
from userops_pipeline.ground.lake import raw_scan
from userops_pipeline.ground.sql import quoted
from userops_pipeline.intake import lake_proof
from userops_pipeline.intake.landing import nights_late, nights_without, refused, stretches
from userops_pipeline.intake.mappings import files_read
from userops_pipeline.intake.nights import Night, conformed_nights
from userops_pipeline.intake.source import Source

MODEL = Path("models", "intermediate", "int_contact_permission.sql")
# The tables whose rows say who may be contacted, and at which address.
TELLING = ("users", "consents", "suppressions", "touches")
# A clock that has seen every night: the newest rows count, whatever has been built of them.
LATEST = "(select date '9999-12-31' as as_of)"
SCRATCH = ".permission-"

Person = tuple[str | None, str | None]  # user id and address; null: whoever has the address, or wherever the user may be reached


class NewestWord:
    """The open answer to "who may be contacted now?"; it stands for the lake as it was when it was last asked."""

    def __init__(self, home: Home, connection: duckdb.DuckDBPyConnection) -> None:
        self._home = home
        self._con = connection
        self._asked_of: object = None

    @classmethod
    @contextlib.contextmanager
    def open(cls, home: Home) -> Iterator[NewestWord]:
        """Ask the lake; nothing of it is written anywhere but, where memory does not hold it, beside the lake until this is left.

        Raises:
            UserOpsError: the home has no lake, or it cannot be read; then nobody may be contacted.
        """
        if not any((home.raw / "consents").glob("*/*.parquet")):
            raise UserOpsError(
                f"The home {home.root.name!r} has no lake, so nobody can be asked whether they may be contacted, and nothing is sent; "
                "bring back its folder lake/, or run a night."
            )
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=home.root) as scratch, duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute(f"set temp_directory = {quoted(scratch)}")
            connection.execute(f"set allowed_directories = [{quoted(str(home.raw))}, {quoted(scratch)}]")
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            word = cls(home, connection)
            word.renew()
            yield word

    def changed(self) -> bool:
        """Whether the lake is another one than was asked."""
        return self._stamp() != self._asked_of

    def renew(self) -> None:
        """Ask again if the lake has changed since.

        Raises:
            UserOpsError: it cannot be read.
        """
        stamp = self._stamp()
        if stamp == self._asked_of:
            return
        try:
            self._con.execute(f"create or replace temp table permission as {_question(self._home)}")
            self._con.execute(f"create or replace temp table moved as {_moved(self._home)}")
            # Who is meant by these nobody can tell. They stop everybody, which is for a person to resolve and no reason to remove everybody.
            self._con.execute(
                "create or replace temp table meant_for_anybody as select channel, purpose from ("
                "select user_id, contact_point, channel, purpose, row_number() over (partition by source_name, suppression_id"
                f" order by arrived_on desc, source_row desc, source_file desc) as version_rank from {raw_scan(self._home, 'suppressions')}"
                ") where version_rank = 1 and user_id is null and contact_point is null"
            )
        except (duckdb.Error, jinja2.TemplateError) as error:
            raise UserOpsError(  # never the message: it may quote a row
                f"The lake could not be asked who may be contacted ({type(error).__name__}), so nothing is sent; "
                "run the night again, and if that does not help: userops doctor."
            ) from None
        self._asked_of = stamp

    def _stamp(self) -> object:
        """Changes whenever a night is conformed: its mark is written last, its files before."""
        places = [self._home.nights.glob("*/*.json"), *((self._home.raw / table).glob("*/*.parquet") for table in TELLING)]
        try:
            return [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for found in places for path in sorted(found)]
        except FileNotFoundError:
            return object()  # it is changing now, and equals nothing

    def may_contact(self, channel: str, purpose: str, people: Sequence[Person]) -> list[bool]:
        """For each person whether the newest word permits the contact: a standing subscription that nothing has stopped."""
        users, points = [user for user, _ in people], [point for _, point in people]
        found = self._con.execute(
            """
            with
                standing as materialized (
                    select user_id, point from permission where channel = $channel and purpose = $purpose and stopped_by is null
                ),
                asked as (
                    select
                        unnest($users::varchar[]) as user_id,
                        lower(trim(unnest($points::varchar[]))) as point,
                        unnest(range($people::bigint)) as place
                )
            select place
            from asked
            where
                (point is null and user_id in (select user_id from standing))
                or (
                    user_id is null
                    and point in (
                        select point from standing where (user_id, point) not in (select (user_id, point) from moved where channel = $channel)
                    )
                )
                or ((user_id, point) in (select (user_id, point) from standing))
            """,
            {"channel": channel, "purpose": purpose, "users": users, "points": points, "people": len(people)},
        ).fetchall()
        permitted = {place for (place,) in found}
        return [place in permitted for place in range(len(people))]

    def meant_for_anybody(self, channel: str, purpose: str) -> int:
        """Words that stop contact by this channel for this purpose and name neither user nor address."""
        row = self._con.execute(
            "select count(*) from meant_for_anybody where coalesce(channel, $1) = $1 and coalesce(purpose, $2) = $2", [channel, purpose]
        ).fetchone()
        return row[0] if row else 0

    def everybody(self, match_key: str, channel: str) -> list[str]:
        """Every value by which a tool may know somebody: of all users there ever were and of every address they ever had."""
        column = {"user_id": "user_id", "email": "email", "phone": "phone"}.get(match_key)
        parts = []
        if column is not None:
            parts.append(f"select {column} as value from {raw_scan(self._home, 'users')}")
        elif channel in ("email", "sms", "phone"):
            parts.append(f"select {'email' if channel == 'email' else 'phone'} as value from {raw_scan(self._home, 'users')}")
        if match_key != "user_id":
            parts.append(f"select contact_point as value from {raw_scan(self._home, 'consents')} where channel = $channel")
        else:
            parts.append(f"select user_id as value from {raw_scan(self._home, 'consents')} where channel = $channel")
        query = f"select distinct value from ({' union all '.join(parts)}) where value is not null order by value"
        return [value for (value,) in self._con.execute(query, {"channel": channel}).fetchall()]


def _question(home: Home) -> str:
    """The model's own text, over the newest rows of the lake."""

    def source(_: str, table: str) -> str:
        scan = raw_scan(home, table)
        if table != "suppressions":
            return scan
        return f"(select * from {scan} where user_id is not null or contact_point is not null)"

    text = (DBT_PROJECT_DIR / MODEL).read_text(encoding="utf-8")
    environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    return environment.from_string(text).render(source=source, ref=lambda model: {"int_clock": LATEST}[model])


def _moved(home: Home) -> str:
    """Standing grants of an address that is not the user's any more: they have another now, or none and somebody else has it.

    Who asks by the address alone would reach whoever has it today, who may have said stop.
    """
    return f"""
        with
            newest as (
                select user_id, lower(trim(email)) as email, lower(trim(phone)) as phone
                from (
                    select *, row_number() over (
                        partition by user_id order by arrived_on desc, source_row desc, source_name desc, source_file desc
                    ) as version_rank
                    from {raw_scan(home, "users")}
                )
                where version_rank = 1
            ),
            held as (
                select user_id, 'email' as channel, email as point from newest
                union all select user_id, 'sms', phone from newest
                union all select user_id, 'phone', phone from newest
            )
        select distinct permission.user_id, permission.channel, permission.point
        from permission
        join held using (user_id, channel)
        where permission.stopped_by is null and held.point is distinct from permission.point
            and (held.point is not null or (permission.channel, permission.point) in (select (channel, point) from held where point is not null))
    """


def forget_scratch(home: Home) -> None:
    """Remove what a killed delivery left of its question."""
    for left in home.root.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)


# -- whether everything that was said is in the lake ---------------------------------------------------------------


def untold(home: Home, sources: Sequence[Source], as_of: date) -> list[str]:
    """A sentence per delivered file that may hold words about contact which the lake does not: refused, late, or not conformed.

    Raises:
        UserOpsError: the lake holds a source that is none of these, whose files nobody could look for; or it has lost or changed rows,
            so that who may be contacted cannot be told, not even for a withdrawal.
    """
    nights = conformed_nights(home)
    strange = sorted({night.source for night in nights} - {source.name for source in sources})
    if strange:
        given = [source.name for source in sources if any(night.source == source.name for night in nights)]
        raise UserOpsError(
            f"The lake holds nights of {', '.join(strange)}, which is not among the sources given, so whether a file of theirs is missing "
            f"cannot be told, and nothing is sent; name every source: --source {','.join([*given, *strange])}."
        )
    _prove(home, nights)
    # A night that was conformed and not published counts: what it brings, or should have brought, has been said.
    until = max([as_of, *(night.night for night in nights)])
    in_lake = {name for night in nights for name in night.landed}
    return [sentence for source in sources for sentence in _untold_of(home, source, until, in_lake)]


def _prove(home: Home, nights: Sequence[Night]) -> None:
    """Refuse a lake whose rows about contact are not those that were conformed: who had said yes would be taken off, who had said no sent."""
    telling = tuple(f"raw/{table}/" for table in TELLING)
    marks = [(night.night, {name: file for name, file in night.files.items() if name.startswith(telling)}) for night in nights]
    small = ("consents", "suppressions")
    found = lake_proof.problems(home, marks, read_whole=lambda place: place.parent.parent.name in small)
    wrong = [sentence for sentence in found if sentence.removeprefix("lake/").startswith(telling)]
    if wrong:
        raise UserOpsError(
            f"The lake is not what was conformed: {wrong[0]}; so who may be contacted cannot be told, and nothing is sent. "
            "Run that night again, or restore the file from a backup."
        )


def _untold_of(home: Home, source: Source, until: date, in_lake: Collection[str]) -> Iterator[str]:
    telling = set[str]().union(*(files_read(source, table) for table in TELLING if table in source.tables))
    why = "and may say who must not be contacted"
    if (home.nights / f"{source.name}.pending.json").exists():
        yield f"the lake is half written, because conforming {source.name} did not end; run the night again"
    for file in refused(home, source):
        if file["file"] in telling:
            yield (
                f"{file['name']} ({source.name}, {file['night']}) is refused {why}: userops quarantine list tells what is wrong; "
                "replace it, or accept it with --accept-changed, and run the night again"
            )
    for name in sorted(telling):
        late = nights_late(home, source, name, until)
        if late > source.gate.fresh_days:
            yield f"the file {name} of {source.name} is {late} night(s) late as of {until} {why}; deliver it and run the night again"
        elif lacking := nights_without(home, source, name, until):
            yield (
                f"no file {name} of {source.name} came for {stretches(lacking)} {why}; deliver it and run those nights again, or name them under "
                "quiet in source.yml if none was to come"
            )
        manifests = sorted((home.landing / source.name / name).glob("*/*.manifest.json"))
        landed = [path.relative_to(home.landing).as_posix().removesuffix(".manifest.json") for path in manifests]
        if waiting := [place for place in landed if place not in in_lake]:
            yield f"lake/landing/{waiting[0]} has landed and is not in the lake {why}; run that night"
