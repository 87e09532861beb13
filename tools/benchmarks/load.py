"""Generate load over 16 connections, each with one request at a time.

Uses wrk if it is installed (`apt-get install wrk`, `brew install wrk`), else autocannon, which npx fetches from the
npm registry. Autocannon takes more processor time from the services.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tools.benchmarks.operations import Request

HOST = "127.0.0.1"
CONNECTIONS = 16
TIMEOUT_SECONDS = 30
SCRIPT = Path(__file__).with_name("wrk.lua")
NODE_SCRIPT = Path(__file__).with_name("autocannon.cjs")
AUTOCANNON = "autocannon@8.0.0"


class Outcome(NamedTuple):
    """The result of a run: successful responses per second, their median time, and failed requests."""

    per_second: float
    median_ms: float
    errors: int


def generator() -> str:
    """The name of the installed load generator. Exits with an error if there is none."""
    for program, name in (("wrk", "wrk"), ("npx", AUTOCANNON)):
        if shutil.which(program):
            return name
    sys.exit("No load generator found: install wrk, or Node with npx, which fetches autocannon.")


def run(port: int, requests: Sequence[Request], seconds: int) -> Outcome:
    """Send the requests one after another, starting over at the end, to a port of 127.0.0.1."""
    with tempfile.TemporaryDirectory() as folder:
        send = _wrk if generator() == "wrk" else _autocannon
        printed = send(f"http://{HOST}:{port}", requests, seconds, Path(folder, "requests"))
    result = json.loads(printed.splitlines()[-1])
    succeeded = result["responses"] - result["errors"]
    return Outcome(succeeded / result["seconds"], result["median_ms"], result["errors"])


def _wrk(url: str, requests: Sequence[Request], seconds: int, file: Path) -> str:
    file.write_bytes(b"\0".join(map(_text, requests)))
    load = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", f"--timeout={TIMEOUT_SECONDS}s"]
    return _output(["wrk", *load, f"--script={SCRIPT}", url, "--", str(file)])


def _text(request: Request) -> bytes:
    """The bytes of a request."""
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {HOST}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.body:
        lines.append(f"Content-Length: {len(request.body.encode())}")
    return "\r\n".join([*lines, "", request.body]).encode()


def _autocannon(url: str, requests: Sequence[Request], seconds: int, file: Path) -> str:
    file.write_text(json.dumps([request._asdict() for request in requests]))
    load = [str(CONNECTIONS), str(seconds), str(TIMEOUT_SECONDS)]
    return _output(
        ["npx", "--yes", "--package", AUTOCANNON, "--", "node", str(NODE_SCRIPT), url, str(file), *load]
    )


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
