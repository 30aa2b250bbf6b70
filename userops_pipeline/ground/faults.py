"""Faults: the named points at which a test may end the process as a power cut would.

Here lives the one hook that the tests of kill -9 use; add a point by calling it where a crash would hurt most.
Must not hold anything that changes what the pipeline does when the variable is unset.
"""

from __future__ import annotations

import os
import signal


def crash_point(name: str) -> None:
    """Kill this process at once, without any clean-up, if `USEROPS_KILL_AT` names this point."""
    if os.environ.get("USEROPS_KILL_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
