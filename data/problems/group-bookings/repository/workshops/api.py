"""The operations of the API: routes, request bodies and responses."""

import re
from collections.abc import Callable
from typing import Any

from workshops import validation
from workshops.errors import NotFound
from workshops.store import STATUSES, Booking, Notification, Store, Workshop

MAX_CAPACITY = 500
Body = dict[str, Any]
Query = dict[str, str]
Response = tuple[int, Body]


class Api:
    """Answers requests from a store. HTTP itself is in server.py."""

    def __init__(self, store: Store):
        self.store = store
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Response]]] = [
            ("POST", re.compile(r"/workshops"), self.add_workshop),
            ("GET", re.compile(r"/workshops"), self.list_workshops),
            ("GET", re.compile(r"/workshops/(\d{1,18})"), self.show_workshop),
            ("PATCH", re.compile(r"/workshops/(\d{1,18})"), self.change_workshop),
            ("POST", re.compile(r"/workshops/(\d{1,18})/bookings"), self.add_booking),
            ("GET", re.compile(r"/workshops/(\d{1,18})/bookings"), self.list_bookings),
            ("GET", re.compile(r"/workshops/(\d{1,18})/notifications"), self.list_notifications),
            ("GET", re.compile(r"/bookings/(\d{1,18})"), self.show_booking),
            ("DELETE", re.compile(r"/bookings/(\d{1,18})"), self.cancel_booking),
        ]

    def respond(self, method: str, path: str, query: Query, body: Body) -> Response:
        """Find the route and return its status and response. Raises ApiError."""
        for route_method, pattern, handler in self._routes:
            match = pattern.fullmatch(path)
            if match and route_method == method:
                return handler(*map(int, match.groups()), query=query, body=body)
        raise NotFound(f"There is no route {method} {path}.")

    def add_workshop(self, query: Query, body: Body) -> Response:
        title = validation.text(body, "title")
        capacity = validation.integer(body, "capacity", 1, MAX_CAPACITY)
        return 201, show_workshop(self.store.add_workshop(title, capacity))

    def list_workshops(self, query: Query, body: Body) -> Response:
        return 200, {"workshops": [show_workshop(workshop) for workshop in self.store.list_workshops()]}

    def show_workshop(self, workshop_id: int, query: Query, body: Body) -> Response:
        return 200, show_workshop(self.store.find_workshop(workshop_id))

    def change_workshop(self, workshop_id: int, query: Query, body: Body) -> Response:
        title = validation.text(body, "title") if "title" in body else None
        capacity = validation.integer(body, "capacity", 1, MAX_CAPACITY) if "capacity" in body else None
        return 200, show_workshop(self.store.change_workshop(workshop_id, title, capacity))

    def add_booking(self, workshop_id: int, query: Query, body: Body) -> Response:
        name, email = validation.text(body, "name"), validation.email(body, "email")
        return 201, show_booking(self.store.add_booking(workshop_id, name, email))

    def list_bookings(self, workshop_id: int, query: Query, body: Body) -> Response:
        status = validation.choice(query["status"], "status", STATUSES) if "status" in query else None
        bookings = self.store.list_bookings(workshop_id, status)
        return 200, {"bookings": [show_booking(booking) for booking in bookings]}

    def list_notifications(self, workshop_id: int, query: Query, body: Body) -> Response:
        notifications = self.store.list_notifications(workshop_id)
        return 200, {"notifications": [show_notification(each) for each in notifications]}

    def show_booking(self, booking_id: int, query: Query, body: Body) -> Response:
        return 200, show_booking(self.store.find_booking(booking_id))

    def cancel_booking(self, booking_id: int, query: Query, body: Body) -> Response:
        return 200, show_booking(self.store.cancel_booking(booking_id))


def show_workshop(workshop: Workshop) -> Body:
    return {
        "id": workshop.id,
        "title": workshop.title,
        "capacity": workshop.capacity,
        "confirmed": workshop.confirmed,
        "waiting": workshop.waiting,
        "free": workshop.free,
    }


def show_booking(booking: Booking) -> Body:
    return {
        "id": booking.id,
        "workshopId": booking.workshop_id,
        "name": booking.name,
        "email": booking.email,
        "status": booking.status,
        "position": booking.position,
    }


def show_notification(notification: Notification) -> Body:
    return {
        "bookingId": notification.booking_id,
        "email": notification.email,
        "kind": notification.kind,
    }
