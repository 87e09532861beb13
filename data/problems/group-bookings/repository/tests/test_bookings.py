"""Bookings, the waiting list, and notifications."""

from tests.client import ServiceTest


class BookingTest(ServiceTest):
    def test_a_booking_is_confirmed_while_seats_are_free(self):
        workshop_id = self.add_workshop(capacity=1)
        booking = self.book(workshop_id, "Ada")
        self.assertEqual((booking["status"], booking["position"]), ("confirmed", None))
        self.assertEqual(self.call("GET", f"/bookings/{booking['id']}"), (200, booking))

    def test_further_bookings_wait_in_order(self):
        workshop_id = self.add_workshop(capacity=1)
        self.book(workshop_id, "Ada")
        waiting = [self.book(workshop_id, name) for name in ("Ben", "Cleo")]
        self.assertEqual([booking["position"] for booking in waiting], [1, 2])
        self.assertEqual(self.names(workshop_id, "waiting"), ["Ben", "Cleo"])

    def test_an_email_address_has_one_booking_per_workshop(self):
        workshop_id = self.add_workshop()
        self.book(workshop_id, "Ada")
        body = {"name": "Ada again", "email": " ADA@example.com"}
        status, response = self.call("POST", f"/workshops/{workshop_id}/bookings", body)
        self.assertEqual((status, response["error"]["code"]), (409, "already_booked"))
        self.book(self.add_workshop(), "Ada")

    def test_an_email_address_can_book_again_after_a_cancellation(self):
        workshop_id = self.add_workshop()
        booking = self.book(workshop_id, "Ada")
        self.call("DELETE", f"/bookings/{booking['id']}")
        self.assertEqual(self.book(workshop_id, "Ada")["status"], "confirmed")

    def test_a_cancellation_promotes_the_first_on_the_waiting_list(self):
        workshop_id = self.add_workshop(capacity=1)
        ada, *_ = (self.book(workshop_id, name) for name in ("Ada", "Ben", "Cleo"))
        status, cancelled = self.call("DELETE", f"/bookings/{ada['id']}")
        self.assertEqual((status, cancelled["status"]), (200, "cancelled"))
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ben"])
        self.assertEqual(self.names(workshop_id, "waiting"), ["Cleo"])

    def test_each_change_of_status_adds_a_notification(self):
        workshop_id = self.add_workshop(capacity=1)
        ada, ben = self.book(workshop_id, "Ada"), self.book(workshop_id, "Ben")
        self.call("DELETE", f"/bookings/{ada['id']}")
        _, response = self.call("GET", f"/workshops/{workshop_id}/notifications")
        kinds = [(each["bookingId"], each["kind"]) for each in response["notifications"]]
        self.assertEqual(
            kinds,
            [
                (ada["id"], "confirmed"),
                (ben["id"], "waiting"),
                (ada["id"], "cancelled"),
                (ben["id"], "promoted"),
            ],
        )

    def test_invalid_bookings_are_rejected(self):
        workshop_id = self.add_workshop()
        for body in ({}, {"name": " ", "email": "a@example.com"}, {"name": "Ada", "email": "ada"}, [], b"{"):
            with self.subTest(body=body):
                status, response = self.call("POST", f"/workshops/{workshop_id}/bookings", body)
                self.assertEqual((status, response["error"]["code"]), (400, "invalid_request"))

    def test_unknown_bookings_and_statuses(self):
        self.assertEqual(self.call("GET", "/bookings/7")[0], 404)
        self.assertEqual(self.call("DELETE", "/bookings/7")[0], 404)
        self.assertEqual(self.call("GET", f"/workshops/{self.add_workshop()}/bookings?status=lost")[0], 400)
