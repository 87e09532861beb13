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
from tools.demo.servers import HOST, Neighbour, neighbour
from tools.scripts.run_with_parent import with_parent
from tools.scripts.service import Service, Stopped, handle_stop_signals

ROOT = Path(__file__).parents[2]


class FillFailed(Exception):
    """The data could not be created; the error is on stderr."""


def run(port: int) -> None:
    """Run a service with sample data until Ctrl-C. Its data, emails included, is deleted with it."""
    _require_free(port)
    handle_stop_signals()
    try:
        with tempfile.TemporaryDirectory(prefix="proofstone-demo-") as folder, neighbour() as other:
            _run(port, Path(folder), other)
    except Stopped:
        print("Stopped.", flush=True)
    except FillFailed:
        sys.exit("The demo's data could not be created. See the error above.")


def _run(port: int, folder: Path, other: Neighbour) -> None:
    url = f"http://localhost:{port}"
    environment = os.environ | other.settings | _settings(folder) | {"BASE_URL": url}
    service = Service(HOST, port, environment)
    try:
        print("Creating three weeks of an organization; this takes about 30 seconds ...", flush=True)
        filled = _fill(environment, other.address)
        service.start()
        print(_guide(url, filled), flush=True)
        service.watch()
    except Stopped:
        print("\nStopping ...", flush=True)
        raise
    finally:
        service.stop()


def _fill(environment: Mapping[str, str], receivers: str) -> dict[str, Any]:
    """Add the organization; returns the `tokens` by person, and the ids of `sessions` by the candidate's name."""
    command = [sys.executable, "-m", "tools.demo.filling", receivers]
    # A separate process has a clock and a database connection of its own, and does not receive Ctrl-C.
    done = subprocess.run(
        with_parent(command), cwd=ROOT, env=environment, stdout=subprocess.PIPE, process_group=0
    )
    if done.returncode:
        raise FillFailed
    return json.loads(done.stdout)


def _require_free(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.exit(f"Cannot use port {port} ({reason}). Choose another one: make demo PORT={port + 1}")


def _settings(folder: Path) -> dict[str, str]:
    """Settings that replace those of a real service: nothing leaves this machine."""
    return {
        "DATABASE_URL": f"sqlite:///{folder}/proofstone.db",
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
    """The pages to open, with their tokens."""
    lines = ["", f"Console:   {url}/console", f"API docs:  {url}/docs", "", "Sign in with the token of:"]
    for who, (name, _) in PEOPLE.items():
        lines.append(f"  {name:16}  {who.split()[0]:9} {filled['tokens'][who]}")
    lines += ["", "Look first at:"]
    for name, why in PLACES_TO_START.items():
        lines.append(f"  {name:21} {why}")
        lines.append(f"  {'':21} {url}/console#/sessions/{filled['sessions'][name]}")
    return "\n".join([*lines, "", "Press Ctrl-C to stop the service and delete its data."])
