"""A client of a service that runs in the test's process."""

import http.client
import json
import threading
import unittest
from typing import Any

from workshops.server import Server
from workshops.store import Store


class ServiceTest(unittest.TestCase):
    """Starts a service with an empty database for each test."""

    def setUp(self) -> None:
        store = Store()
        self.addCleanup(store.close)
        self.server = Server(store, "127.0.0.1", 0)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request. Returns the response's status and its parsed body."""
        connection = http.client.HTTPConnection(*self.server.server_address)
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        try:
            connection.request(method, path, content)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def add_workshop(self, capacity: int = 2) -> int:
        status, workshop = self.call("POST", "/workshops", {"title": "Bread", "capacity": capacity})
        self.assertEqual(status, 201, workshop)
        return workshop["id"]

    def book(self, workshop_id: int, name: str, **fields: Any) -> Any:
        body = {"name": name, "email": f"{name.lower()}@example.com"} | fields
        status, booking = self.call("POST", f"/workshops/{workshop_id}/bookings", body)
        self.assertEqual(status, 201, booking)
        return booking

    def names(self, workshop_id: int, status: str) -> list[str]:
        _, response = self.call("GET", f"/workshops/{workshop_id}/bookings?status={status}")
        return [booking["name"] for booking in response["bookings"]]
