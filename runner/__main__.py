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

from runner.bubblewrap import Bubblewrap
from runner.client import Client
from runner.containers import Containers
from runner.sandboxes import Engine, EngineError
from runner.worker import Worker, log

PREFIX = "proofstone-runner"
PROGRAMS = {"podman": "podman", "docker": "docker", "bubblewrap": "bwrap"}


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m runner", description="Run hidden tests on submissions.")
    default = os.environ.get
    parser.add_argument("--url", default=default("RUNNER_URL"), help="the service's address [RUNNER_URL]")
    parser.add_argument(
        "--token-file", type=Path, default=default("RUNNER_TOKEN_FILE"), help="[RUNNER_TOKEN_FILE]"
    )
    parser.add_argument("--engine", choices=["auto", *PROGRAMS], default=default("RUNNER_ENGINE", "auto"))
    parser.add_argument(
        "--runtime", default=default("RUNNER_RUNTIME"), help="OCI runtime, such as runc or runsc"
    )
    parser.add_argument("--image", default=default("RUNNER_IMAGE"), help="image of tasks that name none")
    parser.add_argument("--jobs", type=int, default=int(default("RUNNER_JOBS", "1")), help="jobs at a time")
    parser.add_argument("--name", default=default("RUNNER_NAME", socket.gethostname()))
    parser.add_argument(
        "--folder", type=Path, default=default("RUNNER_FOLDER", f"{tempfile.gettempdir()}/{PREFIX}")
    )
    parser.add_argument("--once", action="store_true", help="run at most one job")
    arguments = parser.parse_args()
    arguments.token = os.environ.pop("RUNNER_TOKEN", "")
    if arguments.token_file:
        arguments.token = Path(arguments.token_file).read_text().strip()
    if not re.match(r"https?://[^/]", arguments.url or ""):
        parser.error("Set RUNNER_URL or --url to the service's address, such as https://proofstone.example.")
    if not arguments.token.startswith("psr_"):
        parser.error(
            "Set RUNNER_TOKEN or --token-file to a runner token: `flask runner create NAME` creates one."
        )
    if arguments.engine == "auto":
        arguments.engine = next((name for name, program in PROGRAMS.items() if shutil.which(program)), None)
    if not arguments.engine or not shutil.which(PROGRAMS[arguments.engine]):
        parser.error("Install podman, docker or bubblewrap: a submission runs only in a sandbox.")
    return arguments


def create_engine(name: str, prefix: str, arguments: argparse.Namespace) -> Engine:
    if name == "bubblewrap":
        return Bubblewrap(prefix)
    return Containers(name, prefix, arguments.runtime, arguments.image)


def create_folder(arguments: argparse.Namespace) -> tuple[Path, Engine]:
    """Remove what killed runners left, and return a locked folder and an engine for this one."""
    base = Path(arguments.folder)
    base.mkdir(mode=0o700, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.geteuid() or base.stat().st_mode & 0o077:
        raise EngineError(f"{base} must be a folder of the runner's user with mode 700.")
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for folder in base.glob("*/"):
            with (folder / "lock").open("a") as left:
                try:
                    fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                name = (folder / "engine").read_text()
                create_engine(name, "", arguments).clean(f"{PREFIX}-{folder.name}")
                shutil.rmtree(folder)
        folder = base / secrets.token_hex(4)
        folder.mkdir()
        (folder / "engine").write_text(arguments.engine)
        own_lock = (folder / "lock").open("w")
        fcntl.flock(own_lock, fcntl.LOCK_EX)
        os.set_inheritable(own_lock.fileno(), False)
        own_lock_files.append(own_lock)
    return folder, create_engine(arguments.engine, f"{PREFIX}-{folder.name}", arguments)


# Open, and so locked, until the process ends.
own_lock_files: list = []


def main() -> int:
    arguments = read_arguments()
    if arguments.engine == "bubblewrap" and os.geteuid() != 0:
        # Become root in a user namespace, which has the other users that sandboxes need.
        os.environ["RUNNER_TOKEN"] = arguments.token
        command = ["unshare", "--user", "--map-root-user", "--map-auto", sys.executable, "-m", "runner"]
        os.execvp(command[0], [*command, *sys.argv[1:]])
    os.umask(0o077)
    try:
        folder, engine = create_folder(arguments)
        engine.check(folder)
    except EngineError as error:
        log(str(error))
        return 1
    client = Client(arguments.url, arguments.token, arguments.name, engine.name)
    stopping = threading.Event()
    workers = [
        Worker(client, engine, folder, stopping) for _ in range(1 if arguments.once else arguments.jobs)
    ]

    def stop(*_: object) -> None:
        if stopping.is_set():
            log("Stopping now: the current jobs are given up.")
            for worker in workers:
                worker.abort()
        else:
            log("Stopping after the current jobs. A second signal stops now.")
            stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log(f"Runner {arguments.name} waits for jobs of {arguments.url} ({engine.name}).")
    threads = [threading.Thread(target=worker.run, args=(arguments.once,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.clean(f"{PREFIX}-{folder.name}")
    shutil.rmtree(folder)
    return 1 if any(worker.is_unauthorized for worker in workers) else 0


if __name__ == "__main__":
    sys.exit(main())
