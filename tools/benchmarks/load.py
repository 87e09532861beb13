"""Generate load with wrk over 16 connections, each with one request at a time."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.live.service import HOST
from tools.benchmarks.operations import Request

CONNECTIONS = 16
TIMEOUT_SECONDS = 30
SCRIPT = Path(__file__).with_name("wrk.lua")


class Outcome(NamedTuple):
    """Successful responses per second, their median time, and the number of failed requests."""

    per_second: float
    median_ms: float
    errors: int


def require_wrk() -> None:
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed. Install it, for example with `apt-get install wrk`.")


def run(port: int, requests: Sequence[Request], seconds: int) -> Outcome:
    """Send the requests in order, starting over at the end."""
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", f"--timeout={TIMEOUT_SECONDS}s"]
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(b"\0".join(map(_encode, requests)))
        command = ["wrk", *options, f"--script={SCRIPT}", f"http://{HOST}:{port}", "--", file.name]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result = json.loads(output.splitlines()[-1])
    succeeded = result["responses"] - result["errors"]
    return Outcome(succeeded / result["seconds"], result["median_ms"], result["errors"])


def _encode(request: Request) -> bytes:
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {HOST}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.body:
        lines.append(f"Content-Length: {len(request.body.encode())}")
    return "\r\n".join([*lines, "", request.body]).encode()
