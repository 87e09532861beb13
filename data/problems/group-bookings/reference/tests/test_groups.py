"""Groups, the order of the waiting list, and databases of the first version."""

import sqlite3
import tempfile
import unittest
from pathlib import Path

from tests.client import ServiceTest
from workshops.store import Store

FIRST_VERSION = """
CREATE TABLE workshops (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, capacity INTEGER NOT NULL);
CREATE TABLE bookings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, workshop_id INTEGER NOT NULL REFERENCES workshops (id),
    name TEXT NOT NULL, email TEXT NOT NULL, status TEXT NOT NULL
);
CREATE UNIQUE INDEX one_booking_per_email ON bookings (workshop_id, email) WHERE status != 'cancelled';
CREATE TABLE notifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT, booking_id INTEGER NOT NULL REFERENCES bookings (id), kind TEXT NOT NULL
);
INSERT INTO workshops (title, capacity) VALUES ('Bread', 1);
INSERT INTO bookings (workshop_id, name, email, status) VALUES
    (1, 'Ada', 'ada@example.com', 'confirmed'), (1, 'Ben', 'ben@example.com', 'confirmed'),
    (1, 'Cleo', 'cleo@example.com', 'waiting');
"""


class GroupTest(ServiceTest):
    def seats(self, workshop_id):
        _, workshop = self.call("GET", f"/workshops/{workshop_id}")
        return workshop["confirmed"], workshop["waiting"], workshop["free"]

    def kinds(self, workshop_id):
        _, response = self.call("GET", f"/workshops/{workshop_id}/notifications")
        return [each["kind"] for each in response["notifications"]]

    def test_a_cancelled_waiting_booking_frees_no_seat(self):
        workshop_id = self.add_workshop(capacity=1)
        _, ben, _ = (self.book(workshop_id, name) for name in ("Ada", "Ben", "Cleo"))
        self.call("DELETE", f"/bookings/{ben['id']}")
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ada"])
        self.assertEqual(self.names(workshop_id, "waiting"), ["Cleo"])

    def test_a_retried_cancellation_changes_nothing(self):
        workshop_id = self.add_workshop(capacity=1)
        ada, *_ = (self.book(workshop_id, name) for name in ("Ada", "Ben", "Cleo"))
        responses = [self.call("DELETE", f"/bookings/{ada['id']}") for _ in range(2)]
        self.assertEqual(responses[0], responses[1])
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ben"])
        self.assertEqual(self.kinds(workshop_id).count("cancelled"), 1)

    def test_a_group_waits_as_a_whole_and_does_not_block_smaller_bookings(self):
        workshop_id = self.add_workshop(capacity=3)
        self.book(workshop_id, "Ada", seats=2)
        self.assertEqual(self.book(workshop_id, "Ben", seats=2)["position"], 1)
        self.assertEqual(self.seats(workshop_id), (2, 2, 1))
        self.assertEqual(self.book(workshop_id, "Cleo")["status"], "confirmed")

    def test_free_seats_serve_every_booking_that_fits_in_order(self):
        workshop_id = self.add_workshop(capacity=4)
        ada = self.book(workshop_id, "Ada", seats=3)
        for name, seats in (("Ben", 2), ("Cleo", 3), ("Dina", 2), ("Emil", 2)):
            self.book(workshop_id, name, seats=seats)
        self.call("DELETE", f"/bookings/{ada['id']}")
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ben", "Dina"])
        self.assertEqual(self.names(workshop_id, "waiting"), ["Cleo", "Emil"])
        self.assertEqual(self.kinds(workshop_id).count("promoted"), 2)

    def test_a_confirmed_booking_changes_its_size(self):
        workshop_id = self.add_workshop(capacity=4)
        ada, ben = self.book(workshop_id, "Ada", seats=3), self.book(workshop_id, "Ben", seats=2)
        status, response = self.call("PATCH", f"/bookings/{ada['id']}", {"seats": 5})
        self.assertEqual((status, response["error"]["code"]), (422, "group_too_large"))
        self.assertEqual(self.call("PATCH", f"/bookings/{ada['id']}", {"seats": 4})[1]["seats"], 4)
        self.call("PATCH", f"/bookings/{ada['id']}", {"seats": 2})
        self.assertEqual(self.call("GET", f"/bookings/{ben['id']}")[1]["status"], "confirmed")
        status, response = self.call("PATCH", f"/bookings/{ben['id']}", {"seats": 3})
        self.assertEqual((status, response["error"]["code"]), (409, "not_enough_seats"))
        self.assertEqual(self.seats(workshop_id), (4, 0, 0))

    def test_a_waiting_booking_changes_its_size_and_keeps_its_place(self):
        workshop_id = self.add_workshop(capacity=3)
        self.book(workshop_id, "Ada", seats=2)
        ben, _ = self.book(workshop_id, "Ben", seats=2), self.book(workshop_id, "Cleo", seats=2)
        self.assertEqual(self.call("PATCH", f"/bookings/{ben['id']}", {"seats": 3})[1]["position"], 1)
        self.assertEqual(self.call("PATCH", f"/bookings/{ben['id']}", {"seats": 1})[1]["status"], "confirmed")

    def test_a_cancelled_booking_keeps_its_size(self):
        ada = self.book(self.add_workshop(), "Ada")
        self.call("DELETE", f"/bookings/{ada['id']}")
        status, response = self.call("PATCH", f"/bookings/{ada['id']}", {"seats": 2})
        self.assertEqual((status, response["error"]["code"]), (409, "booking_cancelled"))

    def test_invalid_sizes_are_rejected(self):
        path = f"/workshops/{self.add_workshop(capacity=20)}/bookings"
        for seats in (0, 11, 1.5, "2", True, None):
            with self.subTest(seats=seats):
                body = {"name": "Ada", "email": "ada@example.com", "seats": seats}
                self.assertEqual(self.call("POST", path, body)[0], 400)
        self.assertEqual(self.call("GET", path), (200, {"bookings": []}))


class FirstVersionTest(unittest.TestCase):
    def open(self):
        store = Store(self.path)
        self.addCleanup(store.close)
        return store

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name, "workshops.db"))
        connection = sqlite3.connect(self.path)
        connection.executescript(FIRST_VERSION)
        connection.close()

    def test_existing_bookings_have_one_seat(self):
        for _ in range(2):
            bookings = [(booking.seats, booking.status) for booking in self.open().list_bookings(1)]
            self.assertEqual(bookings, [(1, "confirmed"), (1, "confirmed"), (1, "waiting")])

    def test_an_overbooked_workshop_promotes_only_below_its_capacity(self):
        store = self.open()
        self.assertEqual(store.find_workshop(1).free, 0)
        store.cancel_booking(1)
        self.assertEqual(store.find_booking(3).status, "waiting")
        store.cancel_booking(2)
        self.assertEqual(store.find_booking(3).status, "confirmed")
