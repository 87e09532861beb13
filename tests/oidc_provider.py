"""An OpenID provider: oidc-provider-mock in a process of its own."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from tests.live.service import wait_until
from tools.scripts.run_with_parent import with_parent


@contextmanager
def provider(*users: dict[str, Any]) -> Iterator[str]:
    """Run the provider; gives its issuer.

    users -- their claims
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    claims = [part for user in users for part in ("--user-claims", json.dumps(user))]
    command = [sys.executable, "-m", "oidc_provider_mock", "-p", str(port), *claims]
    process = subprocess.Popen(with_parent(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _is_up(issuer), "The provider does not start.")
        yield issuer
    finally:
        process.kill()
        process.wait()


def _is_up(issuer: str) -> bool:
    try:
        return requests.get(f"{issuer}/.well-known/openid-configuration", timeout=1).ok
    except requests.RequestException:
        return False
