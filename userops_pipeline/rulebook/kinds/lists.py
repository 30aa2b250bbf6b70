"""Tags, segments and the lists made of them: what is known of a user, who belongs together, and who is sent where.

Add a key of these here. Must not know how a tool is reached.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from userops_pipeline.rulebook.kinds.rule import Lasting, Rule, Sql, Told
from userops_pipeline.rulebook.problem import Frozen

LIST_MODEL = "audiences"


class Family(Rule):
    """What some tags have in common, by which they are found; every tag is of one."""


class Tag(Lasting):
    """True or false of every user; `precedence` says whose word counts where an agent has spoken and the rule knows an answer too."""

    family: str = ""
    owner: str = ""
    precedence: str = "manual"
    purpose: str = ""
    basis: str = ""


def _as_step(value: Any) -> Any:
    return {"when": value} if isinstance(value, (str, bool)) else value


class Step(Frozen):
    """One step of a segment: a condition, or all members of another segment."""

    when: Sql | None = None
    segment: str | None = None

    @property
    def text(self) -> str:
        return f"segment {self.segment}" if self.segment is not None else (self.when or "")


Steps = tuple[Annotated[Step, BeforeValidator(_as_step)], ...]


class Segment(Told):
    """Users whom every include step takes and no exclude step does."""

    owner: str = ""
    purpose: str = ""
    basis: str = ""
    include: Steps = ()
    exclude: Steps = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.include + self.exclude

    @property
    def text(self) -> str:
        wanted = " and ".join(f"({step.text})" for step in self.include)
        return wanted + "".join(f" except ({step.text})" for step in self.exclude)


class ListOwner(Frozen):
    """Who answers for a list, by the name and the address of a team."""

    name: str = ""
    email: str = ""


class ContactList(Told):
    """One segment kept up to date in one campaign tool; dbt is given it as an exposure, so that the lineage ends there."""

    owner: ListOwner = ListOwner()
    tool: str = ""
    segment: str = ""
    mode: str = ""
    match_key: str = ""
    channel: str = ""
    purpose: str = ""
    fields: dict[str, str] = Field(default_factory=dict)
    max_removed_share: float = 0.5
    max_age_days: int = 3

    @property
    def text(self) -> str:
        return f"{self.segment} → {self.tool} ({self.mode}, {self.channel}, {self.purpose})"
