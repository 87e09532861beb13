"""The promises of the brief, over HTTP."""

from client import EXISTING_PORT, Case


class Cancellations(Case):
    def test_a_confirmed_booking_is_replaced_by_the_first_on_the_waiting_list(self):
        workshop_id = self.add_workshop(capacity=1)
        ada, ben, cleo = (self.book(workshop_id, name) for name in ("Ada", "Ben", "Cleo"))
        self.assertEqual(self.cancel(ada)["status"], "cancelled")
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ben"])
        self.assertEqual(self.ok("GET", f"/bookings/{cleo['id']}")["position"], 1)
        self.assertEqual(self.notified(workshop_id, "promoted"), [ben["id"]])

    def test_a_waiting_booking_frees_no_seat(self):
        workshop_id = self.add_workshop(capacity=1)
        _, ben, _ = (self.book(workshop_id, name) for name in ("Ada", "Ben", "Cleo"))
        self.cancel(ben)
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ada"])
        self.assertEqual(self.names(workshop_id, "waiting"), ["Cleo"])
        self.assertEqual(self.notified(workshop_id, "promoted"), [])

    def test_a_repeated_cancellation_changes_nothing(self):
        workshop_id = self.add_workshop(capacity=1)
        ada, *_ = (self.book(workshop_id, name) for name in ("Ada", "Ben", "Cleo"))
        self.assertEqual(self.cancel(ada), self.cancel(ada))
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ben"])
        self.assertEqual(self.names(workshop_id, "waiting"), ["Cleo"])
        self.assertEqual(self.notified(workshop_id, "cancelled"), [ada["id"]])


class Groups(Case):
    def test_a_booking_without_seats_has_one(self):
        workshop_id = self.add_workshop(capacity=2)
        self.assertEqual(self.book(workshop_id, "Ada")["seats"], 1)
        self.assertEqual(self.seats(workshop_id), (1, 0, 1))

    def test_a_group_takes_all_its_seats(self):
        workshop_id = self.add_workshop(capacity=5)
        ada = self.book(workshop_id, "Ada", seats=3)
        self.assertEqual((ada["seats"], ada["status"], ada["position"]), (3, "confirmed", None))
        self.assertEqual(self.seats(workshop_id), (3, 0, 2))
        workshops = self.ok("GET", "/workshops")["workshops"]
        self.assertEqual([each["free"] for each in workshops if each["id"] == workshop_id], [2])

    def test_a_group_that_does_not_fit_waits_as_a_whole(self):
        workshop_id = self.add_workshop(capacity=4)
        self.book(workshop_id, "Ada", seats=2)
        ben = self.book(workshop_id, "Ben", seats=3)
        self.assertEqual((ben["status"], ben["position"]), ("waiting", 1))
        self.assertEqual(self.seats(workshop_id), (2, 3, 2))

    def test_a_waiting_group_does_not_block_a_smaller_booking(self):
        workshop_id = self.add_workshop(capacity=3)
        self.book(workshop_id, "Ada", seats=2)
        self.book(workshop_id, "Ben", seats=2)
        self.assertEqual(self.book(workshop_id, "Cleo")["status"], "confirmed")
        self.assertEqual(self.seats(workshop_id), (3, 2, 0))

    def test_seats_must_be_an_integer_from_one_to_ten(self):
        path = f"/workshops/{self.add_workshop(capacity=20)}/bookings"
        for seats in (0, -1, 11, 1.5, "2", True):
            body = {"name": "Ada", "email": "ada@example.com", "seats": seats}
            self.assertEqual(self.rejected("POST", path, body), (400, "invalid_request"), f"seats: {seats!r}")
        self.assertEqual(self.ok("GET", path)["bookings"], [])

    def test_a_group_larger_than_the_workshop_is_rejected(self):
        workshop_id = self.add_workshop(capacity=3)
        path = f"/workshops/{workshop_id}/bookings"
        body = {"name": "Ada", "email": "ada@example.com", "seats": 4}
        self.assertEqual(self.rejected("POST", path, body), (422, "group_too_large"))
        self.assertEqual(self.ok("GET", path)["bookings"], [])
        self.assertEqual(self.ok("POST", path, body | {"seats": 3})["status"], "confirmed")


class WaitingList(Case):
    def test_seats_of_a_cancelled_group_go_to_several_bookings(self):
        workshop_id = self.add_workshop(capacity=3)
        ada, ben, cleo, _ = (
            self.book(workshop_id, name, seats=seats)
            for name, seats in (("Ada", 3), ("Ben", 1), ("Cleo", 2), ("Dina", 1))
        )
        self.cancel(ada)
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ben", "Cleo"])
        self.assertEqual(self.names(workshop_id, "waiting"), ["Dina"])
        self.assertEqual(self.notified(workshop_id, "promoted"), [ben["id"], cleo["id"]])

    def test_freed_seats_and_free_seats_count_together(self):
        workshop_id = self.add_workshop(capacity=4)
        self.book(workshop_id, "Ada", seats=2)
        ben = self.book(workshop_id, "Ben", seats=1)
        self.book(workshop_id, "Cleo", seats=2)
        self.cancel(ben)
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ada", "Cleo"])
        self.assertEqual(self.seats(workshop_id), (4, 0, 0))

    def test_a_group_that_does_not_fit_is_passed_over_and_keeps_its_place(self):
        workshop_id = self.add_workshop(capacity=4)
        ada = self.book(workshop_id, "Ada", seats=2)
        self.book(workshop_id, "Ben", seats=2)
        cleo, *_ = (
            self.book(workshop_id, name, seats=seats)
            for name, seats in (("Cleo", 3), ("Dina", 2), ("Emil", 1))
        )
        self.cancel(ada)
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ben", "Dina"])
        self.assertEqual(self.names(workshop_id, "waiting"), ["Cleo", "Emil"])
        self.assertEqual(self.ok("GET", f"/bookings/{cleo['id']}")["position"], 1)

    def test_more_capacity_goes_to_groups_that_fit(self):
        workshop_id = self.add_workshop(capacity=3)
        self.book(workshop_id, "Ada", seats=2)
        ben, cleo = (self.book(workshop_id, name, seats=3) for name in ("Ben", "Cleo"))
        self.ok("PATCH", f"/workshops/{workshop_id}", {"capacity": 7})
        self.assertEqual(self.names(workshop_id, "confirmed"), ["Ada", "Ben"])
        self.assertEqual(self.names(workshop_id, "waiting"), ["Cleo"])
        self.assertEqual(self.notified(workshop_id, "promoted"), [ben["id"]])
        self.assertEqual(self.notified(workshop_id, "waiting"), [ben["id"], cleo["id"]])


class ChangesOfSize(Case):
    def test_a_smaller_group_gives_its_seats_to_the_waiting_list(self):
        workshop_id = self.add_workshop(capacity=3)
        ada = self.book(workshop_id, "Ada", seats=3)
        ben = self.book(workshop_id, "Ben", seats=2)
        self.assertEqual(self.resize(ada, 1)["seats"], 1)
        self.assertEqual(self.ok("GET", f"/bookings/{ben['id']}")["status"], "confirmed")
        self.assertEqual(self.notified(workshop_id, "promoted"), [ben["id"]])

    def test_a_confirmed_group_grows_only_into_free_seats(self):
        workshop_id = self.add_workshop(capacity=5)
        ada = self.book(workshop_id, "Ada", seats=2)
        self.book(workshop_id, "Ben", seats=2)
        path = f"/bookings/{ada['id']}"
        self.assertEqual(self.rejected("PATCH", path, {"seats": 4}), (409, "not_enough_seats"))
        self.assertEqual(self.ok("GET", path), ada)
        self.assertEqual(self.resize(ada, 3)["status"], "confirmed")
        self.assertEqual(self.seats(workshop_id), (5, 0, 0))

    def test_a_waiting_group_is_confirmed_when_it_becomes_small_enough(self):
        workshop_id = self.add_workshop(capacity=4)
        self.book(workshop_id, "Ada", seats=2)
        ben = self.book(workshop_id, "Ben", seats=3)
        resized = self.resize(ben, 2)
        self.assertEqual((resized["status"], resized["position"]), ("confirmed", None))
        self.assertEqual(self.notified(workshop_id, "promoted"), [ben["id"]])

    def test_a_waiting_group_keeps_its_place_when_it_grows(self):
        workshop_id = self.add_workshop(capacity=3)
        self.book(workshop_id, "Ada", seats=3)
        ben, cleo = (self.book(workshop_id, name, seats=1) for name in ("Ben", "Cleo"))
        self.assertEqual(self.resize(ben, 2)["position"], 1)
        self.assertEqual(self.ok("GET", f"/bookings/{cleo['id']}")["position"], 2)
        self.assertEqual(self.seats(workshop_id), (3, 3, 0))

    def test_invalid_changes_are_rejected(self):
        workshop_id = self.add_workshop(capacity=3)
        ada, ben = self.book(workshop_id, "Ada"), self.book(workshop_id, "Ben")
        self.cancel(ben)
        path = f"/bookings/{ada['id']}"
        self.assertEqual(self.rejected("PATCH", path, {"seats": "2"}), (400, "invalid_request"))
        self.assertEqual(self.rejected("PATCH", path, {"seats": 4}), (422, "group_too_large"))
        self.assertEqual(
            self.rejected("PATCH", f"/bookings/{ben['id']}", {"seats": 2}), (409, "booking_cancelled")
        )
        self.assertEqual(self.seats(workshop_id), (1, 0, 2))


class ExistingDatabases(Case):
    port = EXISTING_PORT

    def test_existing_bookings_have_one_seat_and_serve_the_waiting_list(self):
        bookings = self.ok("GET", "/workshops/2/bookings")["bookings"]
        self.assertEqual(
            [(each["name"], each["seats"], each["status"], each["position"]) for each in bookings],
            [
                ("Emil", 1, "cancelled", None),
                ("Fay", 1, "confirmed", None),
                ("Gus", 1, "waiting", 1),
                ("Hana", 1, "waiting", 2),
            ],
        )
        self.cancel(bookings[1])
        self.assertEqual(self.names(2, "confirmed"), ["Gus"])
        self.assertEqual(self.names(2, "waiting"), ["Hana"])

    def test_an_overbooked_workshop_promotes_nobody_until_a_seat_is_free(self):
        self.assertEqual(self.seats(1), (3, 1, 0))
        ada, ben, *_ = self.ok("GET", "/workshops/1/bookings")["bookings"]
        self.cancel(ada)
        self.assertEqual(self.names(1, "confirmed"), ["Ben", "Cleo"])
        self.cancel(ben)
        self.assertEqual(self.names(1, "confirmed"), ["Cleo", "Dina"])
