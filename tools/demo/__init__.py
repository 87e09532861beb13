"""`make demo`: a service with a filled organization to look at, until Ctrl-C."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rules import seal_keys
from tools.demo.cast import PEOPLE, PLACES_TO_START
from tools.demo.neighbours import Neighbours, neighbours
from tools.scripts.run_with_parent import with_parent
from tools.scripts.service import Service, Stopped, handle_stop_signals

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"


def fill(environment: Mapping[str, str], receivers: str | None = None) -> dict[str, Any]:
    """Fill the database of a service with the demo's organization.

    Returns the tokens by person, and the ids of candidates and sessions by name. The worker must not run meanwhile: it
    would close sessions that lie in the past.

    environment -- the settings of the service: DATABASE_URL, BASE_URL, BUNDLE_FOLDER, SEAL_KEYS
    receivers -- base URL of the demo's webhook receivers, if they keep running
    """
    with (
        tempfile.TemporaryDirectory(prefix="proofstone-demo-mail-") as folder,
        neighbours(Path(folder)) as own,
    ):
        settings = {**environment, **own.settings, "RATELIMIT_ENABLED": "false", "LOG_LEVEL": "ERROR"}
        command = [sys.executable, "-m", "tools.demo.fill", receivers or own.receivers]
        done = subprocess.run(
            with_parent(command, "SIGTERM"), cwd=ROOT, env=settings, stdout=subprocess.PIPE, process_group=0
        )
    if done.returncode:
        sys.exit("The demo's data could not be created. See the error above.")
    return json.loads(done.stdout)


def run(port: int) -> None:
    """Run a filled service until Ctrl-C. Its data, emails included, is deleted with it."""
    handle_stop_signals()
    with (
        tempfile.TemporaryDirectory(prefix="proofstone-demo-") as folder,
        neighbours(Path(folder) / "mail") as others,
    ):
        service = Service(HOST, port, os.environ | _settings(Path(folder), port, others))
        try:
            print("Creating three weeks of an organization (about half a minute) ...", flush=True)
            filled = fill(service.environment, others.receivers)
            service.start()
            print(_guide(f"http://localhost:{port}", filled), flush=True)
            service.watch()
        except Stopped:
            print("\nStopping ...", flush=True)
        finally:
            service.stop()


def _settings(folder: Path, port: int, others: Neighbours) -> dict[str, str]:
    """Settings that replace those of a real service: nothing leaves this machine."""
    return {
        "DATABASE_URL": f"sqlite:///{folder}/proofstone.db",
        "BASE_URL": f"http://localhost:{port}",
        "BUNDLE_FOLDER": str(folder / "bundles"),
        "SEAL_KEYS": seal_keys.generate(),
        "S3_BUCKET": "",
        "RATELIMIT_ENABLED": "false",
        "LOG_LEVEL": "ERROR",
        "GUNICORN_CMD_ARGS": "--log-level error",
        **others.settings,
    }


def _guide(address: str, filled: dict[str, Any]) -> str:
    """What to open, whose token to paste, and where to look first."""
    lines = [
        "",
        f"Console:   {address}/console",
        f"API docs:  {address}/docs",
        "",
        "Sign in with the token of:",
    ]
    for who, (name, _) in PEOPLE.items():
        lines.append(f"  {name:16}  {who.split()[0]:9} {filled['tokens'][who]}")
    lines += ["", "Look first at:"]
    for name, why in PLACES_TO_START.items():
        lines.append(f"  {name:21} {why}")
        lines.append(f"  {'':21} {address}/console#/sessions/{filled['sessions'][name]}")
    return "\n".join([*lines, "", "Press Ctrl-C to stop the service and delete its data."])
