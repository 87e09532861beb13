"""Errors with their HTTP status and code."""


class ApiError(Exception):
    """An error that the client gets as a response."""

    status = 400
    code = "invalid_request"


class InvalidRequest(ApiError):
    """The body, the path or the query is invalid."""


class NotFound(ApiError):
    """There is no such route, workshop or booking."""

    status, code = 404, "not_found"


class AlreadyBooked(ApiError):
    """The email address already has a booking for this workshop."""

    status, code = 409, "already_booked"


class BookingCancelled(ApiError):
    """A cancelled booking can't be changed."""

    status, code = 409, "booking_cancelled"


class CapacityInUse(ApiError):
    """More seats are confirmed than the new capacity has."""

    status, code = 409, "capacity_in_use"


class NotEnoughSeats(ApiError):
    """A confirmed booking can't grow, because too few seats are free."""

    status, code = 409, "not_enough_seats"


class GroupTooLarge(ApiError):
    """The booking has more seats than the whole workshop."""

    status, code = 422, "group_too_large"
