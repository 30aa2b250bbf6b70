"""The UI: Dagster's webserver behind the guard, its daemon, and the code server both ask.

Here lives what `dagster dev` would start, with every request passing the guard first; add here when the UI needs another process.
Must not decide who may ask what: ui_guard does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import uvicorn
import yaml
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_shared.ipc import get_ipc_shutdown_pipe, open_ipc_subprocess, send_ipc_shutdown_message
from dagster_shared.serdes import serialize_value
from dagster_webserver.app import create_app_from_workspace_process_context

from userops_pipeline.defs.ui_guard import Entrance, Guarded
from userops_pipeline.ground.home import UserOpsError

SECONDS_TO_END = 60


def serve(workspace: Path, *, host: str, port: int) -> None:
    """Serve the UI of this workspace, and run its schedules and sensors, until somebody stops it or the daemon ends by itself.

    Raises:
        UserOpsError: others could come in without a token or a login, or the daemon ended.
    """
    entrance = Entrance.from_environment(host)
    with contextlib.ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.get())
        shared = stack.enter_context(_code_server(instance, workspace))
        context = stack.enter_context(WorkspaceProcessContext(instance, workspace_load_target=WorkspaceFileTarget([str(shared)])))
        app = Guarded(create_app_from_workspace_process_context(context, live_data_poll_rate=2000), entrance)
        # What a request says of where it came from (X-Forwarded-For) is not believed.
        server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning", proxy_headers=False, server_header=False))
        daemon = stack.enter_context(_daemon(instance, shared))
        threading.Thread(target=_stop_after, args=(daemon, server), daemon=True).start()
        print(f"http://{host}:{port} (Ctrl-C ends it)", file=sys.stderr, flush=True)
        # uvicorn passes on the signal that ended it: told to end in any way, the other processes are ended too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            server.run()
        if daemon.poll() is not None:
            raise UserOpsError("The Dagster daemon ended by itself, so no schedule would run; its last words stand above.")


@contextlib.contextmanager
def _code_server(instance: dg.DagsterInstance, workspace: Path) -> Iterator[Path]:
    """One code server for webserver and daemon; gives the workspace that points to it."""
    with (
        ProxyServerManager(instance, WorkspaceFileTarget([str(workspace)]), code_server_log_level="warning") as servers,
        tempfile.TemporaryDirectory() as folder,
    ):
        shared = Path(folder) / "workspace.yaml"
        shared.write_text(yaml.safe_dump({"load_from": servers.get_code_server_specs()}), encoding="utf-8")
        yield shared


@contextlib.contextmanager
def _daemon(instance: dg.DagsterInstance, workspace: Path) -> Iterator[subprocess.Popen]:
    ends, asked_to_end = get_ipc_shutdown_pipe()
    command = [sys.executable, "-m", "dagster._daemon", "run", "--log-level", "warning", "--shutdown-pipe", str(ends)]
    about = ["--instance-ref", serialize_value(instance.get_ref()), "--workspace", str(workspace)]
    daemon = open_ipc_subprocess([*command, *about], pass_fds=[ends], env=dict(os.environ))
    try:
        yield daemon
    finally:
        send_ipc_shutdown_message(asked_to_end)
        try:
            daemon.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            daemon.kill()


def _stop_after(daemon: subprocess.Popen, server: uvicorn.Server) -> None:
    daemon.wait()
    server.should_exit = True
