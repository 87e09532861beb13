"""Start the submission, in the current folder, twice: with an empty database, and with one of the first version.

One of them can end, if it can't open its database: the other one's tests still count.
"""

import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

EMPTY_PORT, EXISTING_PORT = 8701, 8702
# The first version's tables. Workshop 1 is overbooked, workshop 2 has a waiting list.
FIRST_VERSION = """
CREATE TABLE workshops (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    capacity INTEGER NOT NULL
);
CREATE TABLE bookings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workshop_id INTEGER NOT NULL REFERENCES workshops (id),
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    status TEXT NOT NULL
);
CREATE UNIQUE INDEX one_booking_per_email
    ON bookings (workshop_id, email) WHERE status != 'cancelled';
CREATE TABLE notifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    booking_id INTEGER NOT NULL REFERENCES bookings (id),
    kind TEXT NOT NULL
);
INSERT INTO workshops (title, capacity) VALUES ('Knots', 2), ('Bread', 1);
INSERT INTO bookings (workshop_id, name, email, status) VALUES
    (1, 'Ada', 'ada@example.com', 'confirmed'),
    (1, 'Ben', 'ben@example.com', 'confirmed'),
    (1, 'Cleo', 'cleo@example.com', 'confirmed'),
    (1, 'Dina', 'dina@example.com', 'waiting'),
    (2, 'Emil', 'emil@example.com', 'cancelled'),
    (2, 'Fay', 'fay@example.com', 'confirmed'),
    (2, 'Gus', 'gus@example.com', 'waiting'),
    (2, 'Hana', 'hana@example.com', 'waiting');
"""


def start(port: int, database: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "workshops", "--port", str(port), "--database", str(database)]
    return subprocess.Popen(command)


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with tempfile.TemporaryDirectory() as folder:
    existing = Path(folder, "existing.db")
    connection = sqlite3.connect(existing)
    connection.executescript(FIRST_VERSION)
    connection.close()
    services = [start(EMPTY_PORT, Path(folder, "empty.db")), start(EXISTING_PORT, existing)]
    try:
        for service in services:
            service.wait()
    finally:
        for service in services:
            service.kill()
            service.wait()
sys.exit("Both services have ended.")
