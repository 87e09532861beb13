"""`make demo`: a temporary service and twelve simulated candidates, from consent to completion."""

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
from tools.demo.client import Client, RequestFailed
from tools.scripts.service import Service, Stopped, handle_stop_signals

HOST = "127.0.0.1"
TOKEN = re.compile(r"psk_live_\w+")
MAIL_TIMEOUT_SECONDS = 30


def run(keep: bool) -> None:
    """Run the demo and print its results.

    The data is deleted with the service; the mail folder stays.

    keep -- keep the service running until Ctrl-C
    """
    mail_folder = tempfile.mkdtemp(prefix="proofstone-demo-mail-")
    with tempfile.TemporaryDirectory(prefix="proofstone-demo-") as folder:
        port = _free_port()
        service = Service(HOST, port, os.environ | _settings(folder, mail_folder, port))
        handle_stop_signals()
        try:
            _simulate(service, mail_folder)
            if keep:
                print("The service keeps running. Press Ctrl-C to stop it.", flush=True)
                service.watch()
        except Stopped:
            print("\nStopping ...", flush=True)
        except RequestFailed as error:
            sys.exit(f"The demo failed: {error}")
        finally:
            service.stop()


def _settings(folder: str, mail_folder: str, port: int) -> dict[str, str]:
    """Settings that replace those of a real service, and send no email."""
    return {
        "DATABASE_URL": f"sqlite:///{folder}/proofstone.db",
        "BASE_URL": f"http://localhost:{port}",
        "MAIL_FOLDER": mail_folder,
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


def _simulate(service: Service, mail_folder: str) -> None:
    print("Starting a temporary service ...", flush=True)
    output = service.prepare(subprocess.PIPE) or ""
    token = TOKEN.findall(output)[0]
    service.start()
    with Client(HOST, service.port, Authorization=f"Bearer {token}") as reviewer:
        candidates = make_candidates(datetime.now(UTC))
        assessment = _create_assessment(reviewer)
        keys = _invite(reviewer, assessment, candidates)
        print(f"Simulating {len(candidates)} candidates ...", flush=True)
        with ThreadPoolExecutor(len(candidates)) as pool:
            list(pool.map(lambda key, candidate: _take(service.port, key, candidate), keys, candidates))
        _wait_for_mail(mail_folder, len(candidates))
        print("\n" + "\n".join(_table(reviewer, assessment)))
    print(f"\nInvitations: {mail_folder}")
    print(f"API docs: http://localhost:{service.port}/docs (token {token})", flush=True)


def _create_assessment(reviewer: Client) -> dict[str, Any]:
    """Create an assessment about the first issue of the library, with its brief and repository."""
    (issue,) = reviewer.get("/v1/issues?limit=1")["issues"]
    body = {
        "title": issue["title"],
        "role": "Backend Engineer",
        "issueId": issue["id"],
        "timeLimitMinutes": 240,
    }
    return reviewer.post("/v1/assessments", body)["assessment"]


def _invite(reviewer: Client, assessment: dict[str, Any], candidates: list[Candidate]) -> list[str]:
    body = {
        "count": len(candidates),
        "candidateEmails": [candidate.email for candidate in candidates],
        "candidateNames": [candidate.name for candidate in candidates],
    }
    return [key["key"] for key in reviewer.post(f"/v1/assessments/{assessment['id']}/keys", body)["keys"]]


def _take(port: int, key: str, candidate: Candidate) -> None:
    """Take the assessment as one candidate."""
    with Client(HOST, port, X_API_Key=key) as client:
        disclosure = client.get("/v1/candidate/consent")
        client.post("/v1/candidate/consent", {"key": key, "disclosureHash": disclosure["disclosureHash"]})
        session_id = client.post("/v1/candidate/redeem", {"key": key})["sessionId"]
        for event in candidate.events:
            client.post("/v1/hooks/ingest", {"sessionId": session_id, **event})
        client.post("/v1/candidate/complete", {"key": key, "sessionId": session_id})


def _wait_for_mail(mail_folder: str, count: int) -> None:
    deadline = time.monotonic() + MAIL_TIMEOUT_SECONDS
    while len(list(Path(mail_folder).glob("*.eml"))) < count:
        if time.monotonic() > deadline:
            sys.exit(f"The worker did not write all {count} emails within {MAIL_TIMEOUT_SECONDS} seconds.")
        time.sleep(0.1)


def _table(reviewer: Client, assessment: dict[str, Any]) -> list[str]:
    path = f"/v1/assessments/{assessment['id']}"
    rows = []
    for key in reviewer.get(f"{path}/keys")["keys"]:
        metrics = reviewer.get(f"/v1/sessions/{key['sessionId']}")["metrics"]
        cohort = reviewer.get(f"{path}/cohort-stats?sessionId={key['sessionId']}")["cohortStats"]
        rows.append(cohort_table.Row(key["candidateName"], metrics, cohort["percentiles"]))
    return [assessment["title"], *cohort_table.lines(rows, cohort)]
