"""`make run`: the web process and the worker on this machine, until Ctrl-C.

Settings come from the environment and `.env`, as for `flask` commands. The database is upgraded first.
"""

import os
import socket
import sys

from dotenv import load_dotenv

import config
from tools.scripts.service import Service, Stopped, handle_stop_signals

# Only local: other machines connect through a TLS proxy.
HOST = "127.0.0.1"


def main() -> None:
    load_dotenv(".env")
    port = _port()
    _require_free(port)
    os.environ["BASE_URL"] = os.environ.get("BASE_URL") or f"http://localhost:{port}"
    handle_stop_signals()
    service = Service(HOST, port, os.environ)
    try:
        service.prepare()
        service.start()
        print(
            f"Proofstone is running. Console: http://localhost:{port}/console, "
            f"API docs: http://localhost:{port}/docs (press Ctrl-C to stop)",
            flush=True,
        )
        service.watch()
    except Stopped:
        print("\nStopping ...", flush=True)
    finally:
        service.stop()


def _port() -> int:
    os.environ["PORT"] = os.environ.get("PORT") or "8000"
    try:
        return config.parse("PORT", os.environ["PORT"], config.port)
    except config.InvalidSetting as error:
        sys.exit(str(error))


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            sys.exit(f"Cannot use port {port} ({reason}). Choose another one: make run PORT={port + 1}")


if __name__ == "__main__":
    main()
