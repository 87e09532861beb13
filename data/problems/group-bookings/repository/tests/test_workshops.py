"""Workshops and their capacity."""

from tests.client import ServiceTest


class WorkshopTest(ServiceTest):
    def test_a_workshop_counts_its_bookings(self):
        workshop_id = self.add_workshop(capacity=2)
        for name in ("Ada", "Ben", "Cleo"):
            self.book(workshop_id, name)
        _, workshop = self.call("GET", f"/workshops/{workshop_id}")
        expected = {"title": "Bread", "capacity": 2, "confirmed": 2, "waiting": 1, "free": 0}
        self.assertEqual(workshop, {"id": workshop_id} | expected)
        self.assertEqual(self.call("GET", "/workshops"), (200, {"workshops": [workshop]}))

    def test_more_capacity_promotes_from_the_waiting_list(self):
        workshop_id = self.add_workshop(capacity=1)
        for name in ("Ada", "Ben", "Cleo", "Dina"):
            self.book(workshop_id, name)
        status, workshop = self.call("PATCH", f"/workshops/{workshop_id}", {"capacity": 3})
        self.assertEqual((status, workshop["confirmed"], workshop["waiting"]), (200, 3, 1))
        self.assertEqual(self.names(workshop_id, "waiting"), ["Dina"])

    def test_confirmed_seats_limit_a_smaller_capacity(self):
        workshop_id = self.add_workshop(capacity=3)
        self.book(workshop_id, "Ada")
        self.book(workshop_id, "Ben")
        body = {"title": "Rye bread", "capacity": 1}
        status, response = self.call("PATCH", f"/workshops/{workshop_id}", body)
        self.assertEqual((status, response["error"]["code"]), (409, "capacity_in_use"))
        _, workshop = self.call("GET", f"/workshops/{workshop_id}")
        self.assertEqual((workshop["title"], workshop["capacity"]), ("Bread", 3))
        self.assertEqual(self.call("PATCH", f"/workshops/{workshop_id}", {"capacity": 2})[0], 200)

    def test_invalid_workshops_are_rejected(self):
        for body in ({}, {"title": "Bread", "capacity": 0}, {"title": "Bread", "capacity": True}):
            with self.subTest(body=body):
                self.assertEqual(self.call("POST", "/workshops", body)[0], 400)

    def test_unknown_workshops_and_routes(self):
        for method, path in (
            ("GET", "/workshops/7"),
            ("PATCH", "/workshops/7"),
            ("GET", "/"),
            ("POST", "/bookings"),
        ):
            with self.subTest(path=path):
                self.assertEqual(self.call(method, path)[0], 404)
