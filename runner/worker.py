"""Claim jobs, run them, and report their results."""

import shutil
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import requests

from runner import Aborted, EngineError
from runner.client import DOWNLOAD_SECONDS, MIN_CLAIM_SECONDS, Client, InputUnavailable, Unauthorized, retry
from runner.jobs import Job
from runner.sandboxes import Engine

INPUTS = ("work", "tests", "reference")


def log(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


class Worker:
    """Runs one job at a time. `stopping` ends the loop after the current job."""

    def __init__(self, client: Client, engine: Engine, folder: Path, stopping: threading.Event):
        self.client, self.engine, self.folder, self.stopping = client, engine, folder, stopping
        self.aborting = threading.Event()
        self.is_authorized, self.has_job = True, False

    def abort(self) -> None:
        """Abort the current job. Another runner claims it when its lease expires."""
        self.aborting.set()

    def run(self, is_once: bool = False) -> None:
        try:
            while not self.stopping.is_set():
                earliest = time.monotonic() + MIN_CLAIM_SECONDS
                if job := retry(self.client.claim, self.stopping, log):
                    self.has_job = True
                    self.run_job(job)
                    self.has_job = False
                elif not is_once:
                    self.stopping.wait(earliest - time.monotonic())
                if is_once:
                    return
        except Unauthorized:
            log("The token is invalid or was revoked. Create one with `flask runner create`.")
            self.is_authorized = False
            self.stopping.set()
        except requests.RequestException:
            log("Stopped: the service does not respond.")

    def run_job(self, job: dict[str, Any]) -> None:
        log(f"Job {job['id']}: {job['purpose']}, attempt {job['attempt']}.")
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        done = threading.Event()
        heart = threading.Thread(target=self.send_heartbeats, args=(job, done))
        heart.start()
        try:
            for name in INPUTS:
                if entry := job["inputs"][name]:
                    download = partial(self.client.download, entry["url"], folder / f"{name}.input")
                    # An input that stays unavailable must not block other jobs.
                    retry(download, self.aborting, log, DOWNLOAD_SECONDS)
            self.report(job, Job(job, folder, self.engine, self.aborting).run())
        except (Aborted, requests.RequestException):
            log(f"Job {job['id']}: aborted. Another runner can claim it.")
        except InputUnavailable as error:
            self.report(job, failure(str(error)))
        except (EngineError, ValueError, KeyError, TypeError, OSError) as error:
            # Such as a job of a newer service, or a full disk
            self.report(job, failure(f"The runner cannot run this job: {type(error).__name__}: {error}"))
        finally:
            done.set()
            heart.join()
            self.aborting.clear()
            shutil.rmtree(folder)

    def report(self, job: dict[str, Any], result: dict[str, Any]) -> None:
        # Further lines are the submission's or the tests' output.
        reason = (result["reason"] or "").partition("\n")[0]
        log(f"Job {job['id']}: {result['state']}, {len(result['tests'])} tests. {reason}")
        with suppress(Aborted, requests.RequestException):
            retry(partial(self.client.finish, job, result), self.aborting, log)

    def send_heartbeats(self, job: dict[str, Any], done: threading.Event) -> None:
        while not done.wait(job["leaseSeconds"] / 3):
            try:
                self.client.heartbeat(job)
            except (Aborted, Unauthorized):
                self.abort()
                break
            except (requests.RequestException, ValueError):
                pass


def failure(reason: str) -> dict[str, Any]:
    return {"state": "failed", "reason": reason, "tests": [], "imageDigest": None}
