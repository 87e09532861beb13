"""The README's quick start works as written."""

import os
import re
import subprocess
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
SETTINGS = ("export TOKEN=", "export URL=")


def test_the_quick_start_runs_as_written(service, reviewer):
    section = README.read_text(encoding="utf-8").partition("## Quick start")[2].partition("\n## ")[0]
    lines = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)).splitlines()
    script = "\n".join(line for line in lines if not line.startswith(SETTINGS))
    token = reviewer.headers["Authorization"].removeprefix("Bearer ")
    environment = {"TOKEN": token, "URL": f"http://127.0.0.1:{service.port}/v1", "PATH": os.environ["PATH"]}
    command = ["bash", "-euo", "pipefail", "-c", f"{script}\necho; echo KEY $KEY SESSION $SESSION"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert '"code"' not in run.stdout
    key, session_id = re.search(r"KEY (\S+) SESSION (\S+)", run.stdout).groups()
    assert service.candidate(key).get("/v1/candidate/consent")["alreadyConfirmed"]
    session = reviewer.get(f"/v1/sessions/{session_id}")
    assert (session["status"], session["eventCount"]) == ("completed", 3)
