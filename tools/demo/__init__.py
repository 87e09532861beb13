"""`make demo`: a service with sample data, until Ctrl-C."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rules.integrity import seal_keys
from tools.demo.cast import PEOPLE, PLACES_TO_START
from tools.demo.neighbours import HOST, Neighbours, neighbours
from tools.scripts.run_with_parent import with_parent
from tools.scripts.service import Service, Stopped, handle_stop_signals

ROOT = Path(__file__).parents[2]


class FillFailed(Exception):
    """The data could not be created; the error is on stderr."""


def fill(
    url: str, database_url: str, settings: Mapping[str, str], receivers: str | None = None
) -> dict[str, Any]:
    """Add the demo's organization to a service; takes about 25 seconds.

    The web process may run. The worker must not: it would close sessions that lie in the past. Can be done once in a
    database. Returns `tokens` by person (admin, reviewer, reviewer 2, observer) and for a `service`, the ids of
    `assessments` by task and of `candidates` and `sessions` by name, and the `groups` of each task's candidates.

    settings -- of the service, by environment name; needs SEAL_KEYS, and BUNDLE_FOLDER to read the submissions later
    receivers -- base URL of the demo's webhook receivers, if they run longer than this function
    """
    with tempfile.TemporaryDirectory(prefix="proofstone-demo-") as folder, neighbours(Path(folder)) as own:
        environment = os.environ | settings | own.settings
        environment |= {"BASE_URL": url, "DATABASE_URL": database_url, "PYTHONPATH": str(ROOT)}
        environment |= {"RATELIMIT_ENABLED": "false", "LOG_LEVEL": "ERROR"}
        command = [sys.executable, "-m", "tools.demo.filling", receivers or own.receivers]
        # A separate process has a clock and a database connection of its own, and does not receive Ctrl-C.
        done = subprocess.run(
            with_parent(command), cwd=ROOT, env=environment, stdout=subprocess.PIPE, process_group=0
        )
    if done.returncode:
        raise FillFailed
    return json.loads(done.stdout)


def run(port: int) -> None:
    """Run a service with sample data until Ctrl-C. Its data, emails included, is deleted with it."""
    _require_free(port)
    handle_stop_signals()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="proofstone-demo-") as folder,
            neighbours(Path(folder) / "mail") as others,
        ):
            _run(port, Path(folder), others)
    except Stopped:
        print("Stopped.", flush=True)
    except FillFailed:
        sys.exit("The demo's data could not be created. See the error above.")


def _run(port: int, folder: Path, others: Neighbours) -> None:
    url, database_url = f"http://localhost:{port}", f"sqlite:///{folder}/proofstone.db"
    settings = _settings(folder) | others.settings
    environment = os.environ | settings | {"BASE_URL": url, "DATABASE_URL": database_url}
    service = Service(HOST, port, environment)
    try:
        print("Creating three weeks of an organization; this takes about 30 seconds ...", flush=True)
        filled = fill(url, database_url, settings, others.receivers)
        service.start()
        print(_guide(url, filled), flush=True)
        service.watch()
    except Stopped:
        print("\nStopping ...", flush=True)
        raise
    finally:
        service.stop()


def _require_free(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.exit(f"Cannot use port {port} ({reason}). Choose another one: make demo PORT={port + 1}")


def _settings(folder: Path) -> dict[str, str]:
    """Settings that replace those of a real service: nothing leaves this machine."""
    return {
        "BUNDLE_FOLDER": str(folder / "bundles"),
        "SEAL_KEYS": seal_keys.generate(),
        "S3_BUCKET": "",
        "ANTHROPIC_API_KEY": "",
        "OPENAI_API_KEY": "",
        "RATELIMIT_ENABLED": "false",
        "LOG_LEVEL": "ERROR",
        "GUNICORN_CMD_ARGS": "--log-level error",
    }


def _guide(url: str, filled: dict[str, Any]) -> str:
    """What to open, whose token to paste, and where to look first."""
    lines = ["", f"Console:   {url}/console", f"API docs:  {url}/docs", "", "Sign in with the token of:"]
    for who, (name, _) in PEOPLE.items():
        lines.append(f"  {name:16}  {who.split()[0]:9} {filled['tokens'][who]}")
    lines += ["", "Look first at:"]
    for name, why in PLACES_TO_START.items():
        lines.append(f"  {name:21} {why}")
        lines.append(f"  {'':21} {url}/console#/sessions/{filled['sessions'][name]}")
    return "\n".join([*lines, "", "Press Ctrl-C to stop the service and delete its data."])
