"""Workshops, bookings and notifications in a SQLite database."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workshops.errors import (
    AlreadyBooked,
    BookingCancelled,
    CapacityInUse,
    GroupTooLarge,
    NotEnoughSeats,
    NotFound,
)

CONFIRMED, WAITING, CANCELLED = "confirmed", "waiting", "cancelled"
PROMOTED = "promoted"
STATUSES = (CONFIRMED, WAITING, CANCELLED)
SCHEMA = """
CREATE TABLE IF NOT EXISTS workshops (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    capacity INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS bookings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workshop_id INTEGER NOT NULL REFERENCES workshops (id),
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    status TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_booking_per_email
    ON bookings (workshop_id, email) WHERE status != 'cancelled';
CREATE TABLE IF NOT EXISTS notifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    booking_id INTEGER NOT NULL REFERENCES bookings (id),
    kind TEXT NOT NULL
);
"""
# Databases of the first version have no seats. New ones get the column in the same way.
ADD_SEATS = "ALTER TABLE bookings ADD COLUMN seats INTEGER NOT NULL DEFAULT 1"


@dataclass(frozen=True)
class Workshop:
    """A workshop. `confirmed` and `waiting` are numbers of seats."""

    id: int
    title: str
    capacity: int
    confirmed: int
    waiting: int

    @property
    def free(self) -> int:
        # The first version could confirm more seats than a workshop has.
        return max(self.capacity - self.confirmed, 0)


@dataclass(frozen=True)
class Booking:
    """A booking. `position` is its place in the waiting list, from 1, or None."""

    id: int
    workshop_id: int
    name: str
    email: str
    seats: int
    status: str
    position: int | None


@dataclass(frozen=True)
class Notification:
    """A message to the owner of a booking. `kind` is the booking's new status, or PROMOTED."""

    booking_id: int
    email: str
    kind: str


WORKSHOPS = """
SELECT workshops.id, title, capacity,
    (SELECT IFNULL(SUM(seats), 0) FROM bookings WHERE workshop_id = workshops.id AND status = 'confirmed'),
    (SELECT IFNULL(SUM(seats), 0) FROM bookings WHERE workshop_id = workshops.id AND status = 'waiting')
FROM workshops
"""
BOOKINGS = """
SELECT id, workshop_id, name, email, seats, status, CASE WHEN status = 'waiting' THEN (
    SELECT COUNT(*) FROM bookings earlier
    WHERE earlier.workshop_id = bookings.workshop_id AND earlier.status = 'waiting' AND earlier.id <= bookings.id
) END
FROM bookings
"""


class Store:
    """The database. Every method is one transaction, and only one runs at a time."""

    def __init__(self, path: str = ":memory:"):
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(SCHEMA)
        with self._transaction():
            columns = {row[1] for row in self._db.execute("PRAGMA table_info(bookings)")}
            if "seats" not in columns:
                self._db.execute(ADD_SEATS)

    def close(self) -> None:
        self._db.close()

    def add_workshop(self, title: str, capacity: int) -> Workshop:
        with self._transaction():
            cursor = self._db.execute(
                "INSERT INTO workshops (title, capacity) VALUES (?, ?)", (title, capacity)
            )
            return self._find_workshop(cursor.lastrowid)

    def list_workshops(self) -> list[Workshop]:
        with self._transaction():
            return [Workshop(*row) for row in self._db.execute(f"{WORKSHOPS} ORDER BY id")]

    def find_workshop(self, workshop_id: int) -> Workshop:
        with self._transaction():
            return self._find_workshop(workshop_id)

    def change_workshop(self, workshop_id: int, title: str | None, capacity: int | None) -> Workshop:
        """Change a workshop. A larger capacity serves the waiting list."""
        with self._transaction():
            workshop = self._find_workshop(workshop_id)
            if title is not None:
                self._db.execute("UPDATE workshops SET title = ? WHERE id = ?", (title, workshop_id))
            if capacity is not None:
                if capacity < workshop.confirmed:
                    raise CapacityInUse(f"{workshop.confirmed} seats are confirmed.")
                self._db.execute("UPDATE workshops SET capacity = ? WHERE id = ?", (capacity, workshop_id))
                self._serve_waiting_list(workshop_id)
            return self._find_workshop(workshop_id)

    def add_booking(self, workshop_id: int, name: str, email: str, seats: int = 1) -> Booking:
        """Confirm a booking, or add it to the waiting list if not all of its seats are free."""
        with self._transaction():
            workshop = self._find_workshop(workshop_id)
            _require_size(workshop, seats)
            status = CONFIRMED if seats <= workshop.free else WAITING
            try:
                cursor = self._db.execute(
                    "INSERT INTO bookings (workshop_id, name, email, seats, status) VALUES (?, ?, ?, ?, ?)",
                    (workshop_id, name, email, seats, status),
                )
            except sqlite3.IntegrityError:
                raise AlreadyBooked(f"{email} already has a booking for this workshop.") from None
            booking = self._find_booking(cursor.lastrowid)
            self._notify(booking.id, status)
            return booking

    def list_bookings(self, workshop_id: int, status: str | None = None) -> list[Booking]:
        with self._transaction():
            self._find_workshop(workshop_id)
            rows = self._db.execute(
                f"{BOOKINGS} WHERE workshop_id = ? AND status = IFNULL(?, status) ORDER BY id",
                (workshop_id, status),
            )
            return [Booking(*row) for row in rows]

    def find_booking(self, booking_id: int) -> Booking:
        with self._transaction():
            return self._find_booking(booking_id)

    def change_booking(self, booking_id: int, seats: int) -> Booking:
        """Change a booking's number of seats. Seats that it gives back go to the waiting list."""
        with self._transaction():
            booking = self._find_booking(booking_id)
            if booking.status == CANCELLED:
                raise BookingCancelled("The booking is cancelled.")
            workshop = self._find_workshop(booking.workshop_id)
            _require_size(workshop, seats)
            if booking.status == CONFIRMED and seats - booking.seats > workshop.free:
                raise NotEnoughSeats(f"{workshop.free} seats are free.")
            self._db.execute("UPDATE bookings SET seats = ? WHERE id = ?", (seats, booking_id))
            self._serve_waiting_list(workshop.id)
            return self._find_booking(booking_id)

    def cancel_booking(self, booking_id: int) -> Booking:
        """Cancel a booking, and serve the waiting list. Cancelling again changes nothing."""
        with self._transaction():
            booking = self._find_booking(booking_id)
            if booking.status == CANCELLED:
                return booking
            self._set_status(booking_id, CANCELLED, CANCELLED)
            self._serve_waiting_list(booking.workshop_id)
            return self._find_booking(booking_id)

    def list_notifications(self, workshop_id: int) -> list[Notification]:
        with self._transaction():
            self._find_workshop(workshop_id)
            rows = self._db.execute(
                "SELECT booking_id, email, kind FROM notifications JOIN bookings ON bookings.id = booking_id"
                " WHERE workshop_id = ? ORDER BY notifications.id",
                (workshop_id,),
            )
            return [Notification(*row) for row in rows]

    def _serve_waiting_list(self, workshop_id: int) -> None:
        """Confirm the waiting bookings that fit into the free seats, in order.

        Depends only on the current rows: a caller need not know how many seats its change has freed, if any.
        """
        free = self._find_workshop(workshop_id).free
        waiting = self._db.execute(
            "SELECT id, seats FROM bookings WHERE workshop_id = ? AND status = 'waiting' ORDER BY id",
            (workshop_id,),
        ).fetchall()
        for booking_id, seats in waiting:
            if seats <= free:
                self._set_status(booking_id, CONFIRMED, PROMOTED)
                free -= seats

    def _set_status(self, booking_id: int, status: str, kind: str) -> None:
        """Change a booking's status, and add a notification of this kind."""
        self._db.execute("UPDATE bookings SET status = ? WHERE id = ?", (status, booking_id))
        self._notify(booking_id, kind)

    def _notify(self, booking_id: int, kind: str) -> None:
        self._db.execute("INSERT INTO notifications (booking_id, kind) VALUES (?, ?)", (booking_id, kind))

    def _find_workshop(self, workshop_id: int | None) -> Workshop:
        row = self._db.execute(f"{WORKSHOPS} WHERE id = ?", (workshop_id,)).fetchone()
        if row is None:
            raise NotFound("There is no such workshop.")
        return Workshop(*row)

    def _find_booking(self, booking_id: int | None) -> Booking:
        row = self._db.execute(f"{BOOKINGS} WHERE id = ?", (booking_id,)).fetchone()
        if row is None:
            raise NotFound("There is no such booking.")
        return Booking(*row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Lock the store and open a transaction, which an exception rolls back."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _require_size(workshop: Workshop, seats: int) -> None:
    if seats > workshop.capacity:
        raise GroupTooLarge(f"The workshop has {workshop.capacity} seats.")
