"""Messages to candidates and users, and removals from storage."""

from models.deliveries.table import ASSIGNMENT, PERSON_INVITATION, REMINDER, REMOVAL, SIGN_IN, Delivery
