"""How the process of a command begins and ends.

Add here what must hold before any command is read. Must not know a command.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import traceback

from userops_pipeline.cli.command import main


def entry() -> None:
    """Run a command and leave at once: DuckDB's Python binding, once Great Expectations has used it, prints pages of leaks on the way out."""
    code = 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C ends a command: what it holds is let go, its scratch removed
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # what click does not know: show it, then leave the same way
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()  # what libraries asked to be done at the end is still done
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
