"""`make demo`: a service with sample data, until Ctrl-C."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rules.ledger import keys
from tools.demo import runner
from tools.demo.cast import HIGHLIGHTS, PEOPLE
from tools.demo.servers import DemoServers
from tools.scripts.run_with_parent import with_parent
from tools.scripts.service import Service, Stopped, handle_stop_signals, require_free_port

ROOT = Path(__file__).parents[2]


def run(port: int) -> None:
    """Run a service with sample data until Ctrl-C, then delete all data."""
    require_free_port(port, "make demo")
    handle_stop_signals()
    url = f"http://localhost:{port}"
    try:
        with tempfile.TemporaryDirectory(prefix="proofstone-demo-") as folder, DemoServers() as servers:
            environment = os.environ | servers.settings | _settings(Path(folder)) | {"BASE_URL": url}
            service = Service(port, environment)
            try:
                print("Creating three weeks of data; this takes about 30 seconds ...", flush=True)
                data = _fill(environment, servers.url)
                service.start()
                with runner.start(port, data["runner"], Path(folder)) as state:
                    print(_guide(url, data, state), flush=True)
                    service.watch()
            finally:
                print("\nStopping ...", flush=True)
                service.stop()
    except Stopped:
        print("Stopped.", flush=True)


def _fill(environment: Mapping[str, str], receivers_url: str) -> dict[str, Any]:
    """Create the organization. Returns `tokens` by person, `sessions` by candidate name, and the `runner`'s token."""
    command = [sys.executable, "-m", "tools.demo.fill", receivers_url]
    # A separate process has its own clock and database connection, and does not receive Ctrl-C.
    result = subprocess.run(
        with_parent(command), cwd=ROOT, env=environment, stdout=subprocess.PIPE, process_group=0
    )
    if result.returncode:
        sys.exit("The demo's data could not be created. See the error above.")
    return json.loads(result.stdout)


def _settings(folder: Path) -> dict[str, str]:
    """Return settings that override those of a real service, so that nothing leaves this machine."""
    return {
        "DATABASE_URL": f"sqlite:///{folder}/proofstone.db",
        "BUNDLE_FOLDER": str(folder / "bundles"),
        "LEDGER_KEYS": keys.generate(),
        "INTEGRATION_KEYS": keys.generate(),
        "S3_BUCKET": "",
        "ANTHROPIC_API_KEY": "",
        "OPENAI_API_KEY": "",
        "RATELIMIT_ENABLED": "false",
        "LOG_LEVEL": "ERROR",
        "GUNICORN_CMD_ARGS": "--log-level error",
    }


def _guide(url: str, data: dict[str, Any], runner_state: str) -> str:
    """Format the list of pages to open, with sign-in tokens."""
    lines = ["", f"Console:   {url}/console", f"API docs:  {url}/docs", "", "Sign in with the token of:"]
    for person, (name, _) in PEOPLE.items():
        lines.append(f"  {name:16}  {person.split()[0]:9} {data['tokens'][person]}")
    lines += ["", "Start with these sessions:"]
    for name, description in HIGHLIGHTS.items():
        lines.append(f"  {name:21} {description}")
        lines.append(f"  {'':21} {url}/console#/sessions/{data['sessions'][name]}")
    return "\n".join([*lines, "", runner_state, "", "Press Ctrl-C to stop the service and delete its data."])
