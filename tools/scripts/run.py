"""`make run`: everything that Proofstone needs on one machine, until Ctrl-C.

Settings come from the environment and from `.env`, as for every `flask` command. The database is made or
upgraded first; then the web process and the worker run as children.
"""

import os
import socket
import sys

from dotenv import load_dotenv

from tools.scripts.service import Service, Stopped, listen_for_stop

# Whoever wants others to reach it puts a proxy with TLS in front.
HOST = "127.0.0.1"


def main() -> None:
    load_dotenv(".env")
    port = _port()
    _refuse_a_taken_port(port)
    os.environ["BASE_URL"] = os.environ.get("BASE_URL") or f"http://localhost:{port}"
    listen_for_stop()
    service = Service(HOST, port, os.environ)
    try:
        service.prepare()
        service.start()
        print(f"Proofstone is running. API docs: http://localhost:{port}/docs (Ctrl-C stops it)", flush=True)
        service.watch()
    except Stopped:
        print("\nStopping ...", flush=True)
    finally:
        service.stop()


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        sys.exit(f"The setting PORT is wrong: wanted is a number from 1 to 65535, not {text}.")
    os.environ["PORT"] = text
    return int(text)


def _refuse_a_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            sys.exit(f"Port {port} cannot be used ({reason}); choose another: make run PORT={port + 1}")


if __name__ == "__main__":
    main()
