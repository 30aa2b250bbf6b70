"""The tags by hand: each rule once over each user, what agents said put before or behind it, and the spells of tags of that one night.

Add a statement when tags gain a column. The rules are read where they are declared, for they are the definition; must not take more from there.
"""

import hashlib
from pathlib import Path

import duckdb

from tests.changed_project import GROCER
from userops_pipeline.rulebook.current import described


def declared() -> dict[str, tuple[str, bool]]:
    """Condition of each tag, and whether it comes before what an agent says."""
    rules = described(GROCER).said["tags"]
    return {name: (keys["when"], keys.get("precedence") == "rule") for name, keys in rules.items()}


def tags(con: duckdb.DuckDBPyConnection, outputs: Path) -> None:
    rules = declared()
    con.execute(
        """create table said as
        select user_id, tag, is_carried, author, confidence from words
        where from_on <= getvariable('night') and (to_on is null or to_on > getvariable('night'))"""
    )
    # Few users are spoken of, so the rules are read for all of them and said only for those.
    con.execute(
        f"create table ruled as select user_id, next_key_behaviour, {', '.join(f'({when}) as {tag}' for tag, (when, _) in rules.items())} from states"
    )
    words = ", ".join(f"bool_or(is_carried) filter (where tag = '{tag}') as {tag}" for tag in rules)
    carried = ", ".join(
        f"coalesce({', '.join((f'ruled.{tag}', f'spoken.{tag}') if first else (f'spoken.{tag}', f'ruled.{tag}'))}, false) as {tag}"
        for tag, (_, first) in rules.items()
    )
    con.execute(
        f"""create table tags as
        with spoken as (select user_id, {words} from said group by user_id)
        select ruled.user_id, next_key_behaviour, {carried} from ruled join spoken using (user_id)
        union all
        select user_id, next_key_behaviour, {", ".join(f"coalesce({tag}, false)" for tag in rules)} from ruled anti join spoken using (user_id)"""
    )
    con.execute(f"copy tags to '{outputs}/tags.parquet'")


def history(con: duckdb.DuckDBPyConnection, outputs: Path) -> None:
    rules = declared()
    versions = ", ".join(f"('{tag}', '{hashlib.md5(when.encode()).hexdigest()[:8]}')" for tag, (when, _) in rules.items())
    # An agent is why the tag is carried, but where the rule comes first and knows.
    knows = " ".join(f"when '{tag}' then {tag} is not null" for tag, (_, first) in rules.items() if first)
    con.execute(
        f"""copy (
        with versions (tag, rule_version) as (
            values {versions}
        ), by_agents as (
            select user_id, tag, author, confidence from said join ruled using (user_id)
            where is_carried and not case tag {knows} else false end and tag in (from versions select tag)
        ), carried as (
            select user_id, tag from (unpivot tags on {", ".join(rules)} into name tag value is_carried) where is_carried
        )
        select user_id, tag, 'rule' as source, getvariable('night') as from_on, null as to_on, 1 as days, rule_version, null as author,
            1 as confidence
        from carried anti join by_agents using (user_id, tag) join versions using (tag)
        union all
        select user_id, tag, 'manual', getvariable('night'), null, 1, null, author, confidence from by_agents
        ) to '{outputs}/tag_history.parquet'"""
    )
