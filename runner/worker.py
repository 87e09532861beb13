"""Claim jobs, run them, report their results."""

import shutil
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import requests

from runner.client import MAX_WAIT_SECONDS, Client, Lost, Unauthorized, retry
from runner.jobs import Job
from runner.sandboxes import Aborted, Engine


def log(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


class Worker:
    """Runs one job at a time. `stopping` ends the loop after the current job."""

    def __init__(self, client: Client, engine: Engine, folder: Path, stopping: threading.Event):
        self.client, self.engine, self.folder, self.stopping = client, engine, folder, stopping
        self.lost = threading.Event()
        self.is_unauthorized = False

    def abort(self) -> None:
        """Give the current job up. Its lease expires, and another runner claims it."""
        self.stopping.set()
        self.lost.set()

    def run(self, is_once: bool = False) -> None:
        try:
            while not self.stopping.is_set():
                job = retry(lambda: self.client.claim(MAX_WAIT_SECONDS), self.stopping, log)
                if job:
                    self.run_job(job)
                if is_once:
                    return
        except Unauthorized:
            log(
                "The service rejects the token: it is invalid or was revoked. Create one with `flask runner create`."
            )
            self.is_unauthorized = True
            self.stopping.set()
        except requests.RequestException:
            log("Stopped without an answer of the service.")

    def run_job(self, job: dict[str, Any]) -> None:
        log(f"Job {job['id']}: {job['purpose']}, attempt {job['attempt']}.")
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        done = threading.Event()
        heart = threading.Thread(target=self._beat, args=(job, done))
        heart.start()
        try:
            for name, source in job["inputs"].items():
                if source:
                    download = partial(self.client.download, source["url"], folder / f"{name}.input")
                    retry(download, self.lost, log)
            result = Job(job, folder, self.engine, self.lost).run()
            retry(lambda: self.client.finish(job, result), self.lost, log)
            log(f"Job {job['id']}: {result['state']}, {len(result['tests'])} tests. {result['reason'] or ''}")
        except (Lost, Aborted, requests.RequestException):
            log(f"Job {job['id']}: given up. Another claim runs it.")
        except (ValueError, KeyError, TypeError, OSError) as error:
            # A job that this version cannot run, or a full disk: its lease expires.
            log(f"Job {job['id']}: {type(error).__name__}: {error}")
        finally:
            done.set()
            heart.join()
            self.lost.clear()
            shutil.rmtree(folder)

    def _beat(self, job: dict[str, Any], done: threading.Event) -> None:
        while not done.wait(job["leaseSeconds"] / 3):
            try:
                self.client.heartbeat(job)
            except (Lost, Unauthorized):
                self.lost.set()
                return
            except requests.RequestException:
                continue
