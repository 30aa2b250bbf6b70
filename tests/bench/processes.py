"""How the bench runs and measures a process: wall, CPU and peak memory as the operating system counted them.

Here lives what nightly and scale share. Add here what both measure; must not know what is measured.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass
class Usage:
    """Seconds of wall and CPU, and peak memory in GiB, of one process and the children it waited for."""

    wall: float
    cpu: float
    peak_gib: float


class Failed(Exception):
    """The process ended badly; the text is the end of what it said."""


def run(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Usage:
    """Run `python <arguments>` to its end.

    Raises:
        Failed: it was killed (out of memory, for one) or returned an error.
    """
    print(f"running: {' '.join(arguments)}", file=sys.stderr, flush=True)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"{' '.join(arguments)} ended with {process.returncode}:\n{said[-3000:]}")
    return Usage(round(wall, 2), round(usage.ru_utime + usage.ru_stime, 2), round(usage.ru_maxrss / 2**20, 2))


def median(runs: Sequence[Usage]) -> Usage:
    """The median of each figure, so that one disturbed run does not count."""
    return Usage(
        *(round(statistics.median(values), 2) for values in zip(*((one.wall, one.cpu, one.peak_gib) for one in runs), strict=True))
    )
