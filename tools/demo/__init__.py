"""`make demo`: a throw-away service, and twelve simulated candidates who come to it from consent to completion."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops import cohort_table
from tools.demo.candidates import Candidate, make_candidates
from tools.demo.client import Client, Refused
from tools.scripts.service import Service, Stopped, listen_for_stop

HOST = "127.0.0.1"
TOKEN = re.compile(r"psk_live_\w+")
MAIL_SECONDS = 30
GLANCE_SECONDS = 0.1


def run(keep: bool) -> None:
    """Run the demo and print what came of it; with `keep` the service stays until Ctrl-C.

    The data goes with the service. The mails stay, in a folder of their own that is named at the end.
    """
    mails = tempfile.mkdtemp(prefix="proofstone-demo-mail-")
    with tempfile.TemporaryDirectory(prefix="proofstone-demo-") as folder:
        port = _free_port()
        service = Service(HOST, port, os.environ | _settings(folder, mails, port))
        listen_for_stop()
        try:
            _show(service, mails)
            if keep:
                print("The service runs until Ctrl-C.", flush=True)
                service.watch()
        except Stopped:
            print("\nStopping ...", flush=True)
        except Refused as refused:
            sys.exit(f"The demo failed: {refused}")
        finally:
            service.stop()


def _settings(folder: str, mails: str, port: int) -> dict[str, str]:
    """None of the settings of the real service reaches this one, and no mail goes out."""
    return {
        "DATABASE_URL": f"sqlite:///{folder}/proofstone.db",
        "BASE_URL": f"http://localhost:{port}",
        "MAIL_FOLDER": mails,
        "BUNDLE_FOLDER": str(Path(folder) / "bundles"),
        "SMTP_URL": "",
        "RATELIMIT_ENABLED": "false",
        "LOG_LEVEL": "ERROR",
        "GUNICORN_CMD_ARGS": "--log-level error",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _show(service: Service, mails: str) -> None:
    print("Starting a throw-away service ...", flush=True)
    token = _token(service.prepare(subprocess.PIPE))
    service.start()
    with Client(HOST, service.port, Authorization=f"Bearer {token}") as reviewer:
        candidates = make_candidates(datetime.now(UTC))
        assessment = _open_assessment(reviewer)
        keys = _invite(reviewer, assessment, candidates)
        print(f"{len(candidates)} candidates work on it ...", flush=True)
        with ThreadPoolExecutor(len(candidates)) as pool:
            list(pool.map(lambda key, candidate: _come(service.port, key, candidate), keys, candidates))
        _wait_for_mails(mails, len(candidates))
        print("\n" + "\n".join(_table(reviewer, assessment)))
    print(f"\nThe invitations lie in {mails}")
    print(f"API docs: http://localhost:{service.port}/docs, to be tried with the token {token}", flush=True)


def _token(printed: str | None) -> str:
    found = TOKEN.search(printed or "")
    if found is None:
        sys.exit("The new service has shown no token.")
    return found[0]


def _open_assessment(reviewer: Client) -> dict[str, Any]:
    """About the first issue of the problem library, from which it takes brief and repository."""
    (issue,) = reviewer.get("/v1/issues?limit=1")["issues"]
    values = {
        "title": issue["title"],
        "role": "Backend Engineer",
        "issueId": issue["id"],
        "timeLimitMinutes": 240,
    }
    return reviewer.post("/v1/assessments", values)["assessment"]


def _invite(reviewer: Client, assessment: dict[str, Any], candidates: list[Candidate]) -> list[str]:
    people = {
        "count": len(candidates),
        "candidateEmails": [candidate.email for candidate in candidates],
        "candidateNames": [candidate.name for candidate in candidates],
    }
    return [key["key"] for key in reviewer.post(f"/v1/assessments/{assessment['id']}/keys", people)["keys"]]


def _come(port: int, key: str, candidate: Candidate) -> None:
    """One candidate's whole way."""
    with Client(HOST, port, X_API_Key=key) as client:
        shown = client.get("/v1/candidate/consent")
        client.post("/v1/candidate/consent", {"key": key, "disclosureHash": shown["disclosureHash"]})
        session_id = client.post("/v1/candidate/redeem", {"key": key})["sessionId"]
        for event in candidate.events:
            client.post("/v1/hooks/ingest", {"sessionId": session_id, **event})
        client.post("/v1/candidate/complete", {"key": key, "sessionId": session_id})


def _wait_for_mails(mails: str, count: int) -> None:
    deadline = time.monotonic() + MAIL_SECONDS
    while len(list(Path(mails).glob("*.eml"))) < count:
        if time.monotonic() > deadline:
            sys.exit(f"The worker has not written all {count} mails within {MAIL_SECONDS} seconds.")
        time.sleep(GLANCE_SECONDS)


def _table(reviewer: Client, assessment: dict[str, Any]) -> list[str]:
    path = f"/v1/assessments/{assessment['id']}"
    rows = []
    for key in reviewer.get(f"{path}/keys")["keys"]:
        metrics = reviewer.get(f"/v1/sessions/{key['sessionId']}")["metrics"]
        cohort = reviewer.get(f"{path}/cohort-stats?sessionId={key['sessionId']}")["cohortStats"]
        rows.append(cohort_table.Row(key["candidateName"], metrics, cohort["percentiles"]))
    return [assessment["title"], *cohort_table.lines(rows, cohort)]
