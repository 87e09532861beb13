"""Start a runner: `python -m runner --url https://proofstone.example --token-file token`."""

import argparse
import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from runner import EngineError
from runner.bubblewrap import Bubblewrap
from runner.client import Client
from runner.containers import Containers
from runner.sandboxes import Engine
from runner.worker import Worker, log

PREFIX = "proofstone-runner"
POLL_SECONDS = 0.1
PROGRAMS = {"podman": "podman", "docker": "docker", "bubblewrap": "bwrap"}
# Each is also an environment variable, such as RUNNER_TOKEN_FILE.
OPTIONS = {
    "url": ("", "the service's address"),
    "token-file": ("", "a file with the runner token, instead of RUNNER_TOKEN"),
    "engine": ("auto", "podman, docker or bubblewrap; auto takes the first that is installed"),
    "runtime": ("", "the containers' OCI runtime, such as runc or runsc"),
    "image": ("", "the image of tasks that name none"),
    "jobs": ("1", "jobs at a time"),
    "folder": (f"{tempfile.gettempdir()}/{PREFIX}", "a folder for the inputs of running jobs"),
}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m runner", description="Run hidden tests in sandboxes.")
    for name, (default, text) in OPTIONS.items():
        variable = f"RUNNER_{name.upper().replace('-', '_')}"
        parser.add_argument(f"--{name}", default=os.environ.get(variable, default), help=text)
    parser.add_argument("--once", action="store_true", help="claim once, and run at most one job")
    options = parser.parse_args()
    options.token = os.environ.get("RUNNER_TOKEN", "")
    if options.token_file:
        options.token = Path(options.token_file).read_text().strip()
    if not options.url.startswith(("http://", "https://")):
        parser.error("set RUNNER_URL or --url to the service's address, such as https://proofstone.example")
    if not re.fullmatch(r"psr_\w+", options.token):
        parser.error("set RUNNER_TOKEN or --token-file to a runner's token, from `flask runner create NAME`")
    if options.engine == "auto":
        options.engine = next((name for name, program in PROGRAMS.items() if shutil.which(program)), "")
    if options.engine not in PROGRAMS or not shutil.which(PROGRAMS[options.engine]):
        parser.error("install podman, docker or bubblewrap: submissions run only in a sandbox")
    return options


def create_engine(name: str, prefix: str, options: argparse.Namespace) -> Engine:
    if name == "bubblewrap":
        return Bubblewrap(prefix)
    return Containers(name, prefix, options.runtime, options.image)


def create_folder(options: argparse.Namespace) -> tuple[Path, IO[str], Engine]:
    """Remove what killed runners left. Return a folder for this one, its lock, and an engine."""
    base = Path(options.folder)
    base.mkdir(mode=0o700, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.geteuid() or base.stat().st_mode & 0o077:
        raise EngineError(f"{base} must belong to this user, with mode 700. Set RUNNER_FOLDER.")
    with (base / "lock").open("w") as base_lock:
        fcntl.flock(base_lock, fcntl.LOCK_EX)
        for left in base.glob("*/"):
            with (left / "lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                try:
                    create_engine(left.name.partition("-")[0], "", options).clean(f"{PREFIX}-{left.name}")
                except EngineError as error:  # such as an engine that is no longer installed
                    log(f"Could not clean up after an earlier runner. Delete {left} by hand. {error}")
                    continue
                shutil.rmtree(left)
        folder = base / f"{options.engine}-{secrets.token_hex(4)}"
        folder.mkdir()
        lock = (folder / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock, create_engine(options.engine, f"{PREFIX}-{folder.name}", options)


def main() -> int:
    options = read_options()
    if options.engine == "bubblewrap" and os.geteuid() != 0:
        # Become root of a user namespace, which has the two users of the sandboxes.
        command = ["unshare", "--user", "--map-root-user", "--map-auto", sys.executable, "-m", "runner"]
        os.execvp(command[0], [*command, *sys.argv[1:]])
    os.environ.pop("RUNNER_TOKEN", None)
    os.umask(0o077)
    try:
        folder, lock, engine = create_folder(options)
        engine.check(folder)
    except EngineError as error:
        log(str(error))
        return 1
    stopping = threading.Event()
    client = Client(options.url, options.token, socket.gethostname(), engine.name)
    count = 1 if options.once else int(options.jobs)
    workers = [Worker(client, engine, folder, stopping) for _ in range(count)]

    def stop(*_: object) -> None:
        if stopping.is_set():
            log("Stopping now.")
            for worker in workers:
                worker.abort()
        else:
            log("Stopping after the current jobs. A second signal stops now.")
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log(f"Waiting for jobs of {options.url} ({engine.name}).")
    threads = [threading.Thread(target=worker.run, args=(options.once,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    for thread, worker in zip(threads, workers, strict=True):
        # A claim that waits for a job is not awaited.
        while thread.is_alive() and (worker.has_job or not stopping.is_set()):
            thread.join(POLL_SECONDS)
    engine.clean(f"{PREFIX}-{folder.name}")
    shutil.rmtree(folder)
    lock.close()
    return 0 if all(worker.is_authorized for worker in workers) else 1


if __name__ == "__main__":
    sys.exit(main())
