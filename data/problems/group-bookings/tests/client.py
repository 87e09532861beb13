"""A client of the submission's services."""

import http.client
import itertools
import json
import socket
import time
import unittest
from typing import Any

HOST = "127.0.0.1"
EMPTY_PORT, EXISTING_PORT = 8701, 8702
START_SECONDS = 20
TIMEOUT_SECONDS = 10


def call(method: str, path: str, body: Any = None, port: int = EMPTY_PORT) -> tuple[int, Any]:
    """Send a request. Returns the response's status and its parsed body."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def wait_until_ready() -> None:
    """Wait until both services accept connections, or START_SECONDS have passed."""
    deadline = time.monotonic() + START_SECONDS
    for port in (EMPTY_PORT, EXISTING_PORT):
        while time.monotonic() < deadline:
            try:
                socket.create_connection((HOST, port), TIMEOUT_SECONDS).close()
                break
            except OSError:
                time.sleep(0.1)


class Case(unittest.TestCase):
    """Helpers. Each test uses a workshop of its own."""

    port = EMPTY_PORT
    emails = itertools.count(1)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that must succeed. Returns the response's body."""
        status, response = call(method, path, body, self.port)
        self.assertLess(status, 300, f"{method} {path} with {body}: {status} {response}")
        return response

    def rejected(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Send a request that must fail. Returns the status and the error's code."""
        status, response = call(method, path, body, self.port)
        self.assertGreaterEqual(status, 400, f"{method} {path} with {body}: {status} {response}")
        return status, response["error"]["code"]

    def add_workshop(self, capacity: int) -> int:
        return self.ok("POST", "/workshops", {"title": "Pottery", "capacity": capacity})["id"]

    def book(self, workshop_id: int, name: str, **fields: Any) -> Any:
        body = {"name": name, "email": f"{name.lower()}.{next(self.emails)}@example.com"} | fields
        return self.ok("POST", f"/workshops/{workshop_id}/bookings", body)

    def cancel(self, booking: Any) -> Any:
        return self.ok("DELETE", f"/bookings/{booking['id']}")

    def resize(self, booking: Any, seats: int) -> Any:
        return self.ok("PATCH", f"/bookings/{booking['id']}", {"seats": seats})

    def names(self, workshop_id: int, status: str) -> list[str]:
        response = self.ok("GET", f"/workshops/{workshop_id}/bookings?status={status}")
        return [booking["name"] for booking in response["bookings"]]

    def seats(self, workshop_id: int) -> tuple[int, int, int]:
        """Return the numbers of confirmed, waiting and free seats."""
        workshop = self.ok("GET", f"/workshops/{workshop_id}")
        return workshop["confirmed"], workshop["waiting"], workshop["free"]

    def notified(self, workshop_id: int, kind: str) -> list[int]:
        """Return the ids of the bookings with a notification of this kind, oldest first."""
        response = self.ok("GET", f"/workshops/{workshop_id}/notifications")
        return [each["bookingId"] for each in response["notifications"] if each["kind"] == kind]
