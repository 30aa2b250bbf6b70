"""The CDNOW sample of the package Lifetimes: purchases of 2,357 customers who first bought in the first quarter of 1997.

Here lives how it is found and grouped without the pipeline; a test is skipped, with the reason, where the package is not installed.
"""

from __future__ import annotations

import functools
import importlib.util
from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from userops_pipeline.stats.btyd import Histories
from userops_pipeline.stats.spend import RepeatSpend

CALIBRATION_TO = date(1997, 9, 30)


def sample_file() -> Path:
    """`CDNOW_sample.txt`, found without importing the package, which needs more than its files."""
    spec = importlib.util.find_spec("lifetimes")
    if spec is None or spec.origin is None:
        pytest.skip("the package Lifetimes, which carries the CDNOW sample, is not installed (extra `dev`)")
    return Path(spec.origin).parent / "datasets" / "CDNOW_sample.txt"


@functools.cache
def purchase_days() -> dict[str, dict[date, Decimal]]:
    """Spend by customer and day; purchases of a day are one."""
    found: dict[str, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for line in sample_file().read_text(encoding="ascii").splitlines():
        _, customer, day, _, amount = line.split()
        found[customer][datetime.strptime(day, "%Y%m%d").date()] += Decimal(amount)
    return found


def calibration() -> Histories:
    """Purchase histories until 1997-09-30, in days, grouped."""
    groups: dict[tuple[int, int, int], int] = defaultdict(int)
    for days in purchase_days().values():
        seen = [day for day in days if day <= CALIBRATION_TO]
        groups[len(seen) - 1, (max(seen) - min(seen)).days, (CALIBRATION_TO - min(seen)).days] += 1
    keys = np.array(sorted(groups), dtype=float)
    return Histories(keys[:, 0], keys[:, 1], keys[:, 2], np.array([float(groups[key]) for key in sorted(groups)]))


def repeat_spend() -> RepeatSpend:
    """Mean spend of the repeat buyers among them, without the first day."""
    repeats, means = [], []
    for days in purchase_days().values():
        seen = sorted(day for day in days if day <= CALIBRATION_TO)[1:]
        total = sum((days[day] for day in seen), Decimal(0))
        if total > 0:
            repeats.append(len(seen))
            means.append(float(total) / len(seen))
    return RepeatSpend.of(repeats, means)
