"""What every kind of rule is: named and, as its kind asks, listed, decided by a condition, lasting from night to night.

Add what kinds of two subjects share; what belongs to one lives in its own file. Must not know a subject.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any

from pydantic import BeforeValidator

from userops_pipeline.rulebook.problem import Frozen


def _as_sql(value: Any) -> Any:
    """`when: true` is YAML's boolean and SQL's `true`."""
    return str(value).lower() if isinstance(value, bool) else value


Sql = Annotated[str, BeforeValidator(_as_sql)]


def condition_text(when: str, stays_when: str | None) -> str:
    """A rule as people read it: when it is switched on and, where it has a memory, as long as what it stays on."""
    return when if stays_when is None else f"{when}; stays while {stays_when}"


class Rule(Frozen):
    """What every rule has: a name, the label people read, a sentence about it where one is needed, and the file it stands in."""

    name: str = ""
    label: str = ""
    about: str = ""
    file: str = ""


class Told(Rule):
    """A rule that stands in the list of rules."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The rule in one line, as people read it."""


class Conditional(Told):
    """A rule that holds where its condition does."""

    when: Sql = ""

    @property
    def text(self) -> str:
        return self.when


class Lasting(Conditional):
    """`when` switches it on, and it stays on from night to night while `stays_when` holds, where that is given."""

    stays_when: Sql | None = None

    @property
    def text(self) -> str:
        return condition_text(self.when, self.stays_when)
