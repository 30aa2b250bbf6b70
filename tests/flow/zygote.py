"""A process that has paid for the imports once: each request forks a child that is one `userops` command, as a shell would start it.

Here lives the loop that forks, waits and answers in JSON lines; `flow_harness.Commands` speaks to it.
Add here what a command of the tests may be told before it starts. Must not open a database or start a Python thread before the fork:
neither survives one, and the first answer says what is there.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any


def _import_what_is_slow() -> None:
    import dagster_dbt  # noqa: F401
    import dbt.adapters.duckdb
    import dbt.cli.main  # noqa: F401
    import great_expectations.checkpoint
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
    code = 1
    try:
        if request["arguments"][0] == "materialize":
            sys.exit(_materialize(*request["arguments"][1:]))
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


def _materialize(night: str, *keys: str) -> int:
    """Materialize assets alone, as a person does in the UI; the first failure's sentence is printed."""
    import dagster as dg

    from userops_pipeline import cli
    from userops_pipeline.definitions import build_definitions

    definitions = build_definitions(cli.shop_of(None))
    with dg.DagsterInstance.get() as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
            partition_key=night,
            run_config={"loggers": {"console": {}}},
            raise_on_error=False,
        )
    for event in result.all_events:
        error = getattr(event.event_specific_data, "error", None) if event.is_failure else None
        while error is not None:
            print(error.message)
            error = error.cause
    return int(not result.success)


def serve() -> None:
    _import_what_is_slow()
    answers = sys.stdout
    sys.stdout = sys.stderr
    open_files = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
    first = {
        "threads": threading.active_count(),
        "databases": [path for path in open_files if path.endswith((".duckdb", ".db", ".sqlite"))],
    }
    print(json.dumps(first), file=answers, flush=True)
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
