"""Bookings for workshops, with waiting lists."""
