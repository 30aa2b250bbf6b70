"""Verdicts: what a check said of the data, and what somebody who looks after a home found in it.

Here live the shapes in which steps tell each other how it went. Add one when two rooms pass it.
Must not decide anything, nor hold a value of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict


class CheckResult(BaseModel):
    """What one check said about tonight's data; never holds a value of a row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    passed: bool
    severity: Literal["error", "warn"] = "error"
    rows_checked: int | None = None
    rows_failed: int | None = None

    @property
    def verdict(self) -> Literal["passed", "warned", "failed"]:
        if self.passed:
            return "passed"
        return "failed" if self.severity == "error" else "warned"


@dataclass(frozen=True)
class Finding:
    """Something the doctor saw; `error` when a night, readers or deliveries are affected. `about` is one word for a machine."""

    severity: Literal["error", "warn"]
    sentence: str
    about: str = "generation"
