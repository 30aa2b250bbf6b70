"""A process that has paid for the imports once: each request forks a child that is one `userops` command, as a shell would start it.

Here lives the loop that forks, waits and answers in JSON lines; `harness.Commands` speaks to it.
Add here what every command of the tests needs before it starts. Must not open a database or start a thread before the fork:
DuckDB's threads and SQLite's locks do not survive one, and the first answer says how many threads there are.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


def _import_what_is_slow() -> None:
    import dagster_dbt  # noqa: F401
    import dbt.adapters.duckdb  # noqa: F401
    import dbt.cli.main  # noqa: F401
    import great_expectations.checkpoint  # noqa: F401
    import great_expectations.expectations  # noqa: F401
    import matplotlib.figure  # noqa: F401

    import userops_pipeline.cli
    import userops_pipeline.definitions  # noqa: F401


def _become(request: dict[str, Any]) -> None:
    """The child: its own session, output and environment, then the command; never returns."""
    os.setsid()
    os.environ.update(request["env"])
    with open(os.devnull, "rb") as nothing, open(request["output"], "ab") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.chdir(request["cwd"])
    code = 1
    try:
        from userops_pipeline.cli import main

        main(request["arguments"], prog_name="userops")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    _import_what_is_slow()
    answers = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps({"threads": len(list(Path("/proc/self/task").iterdir()))}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status, used = os.wait4(request["wait"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status), "cpu": used.ru_utime + used.ru_stime}
        else:
            child = os.fork()
            if child == 0:
                _become(request)
            answer = {"process": child}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
