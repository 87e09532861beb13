"""Messages to candidates and people, and removals from storage, queued in the transaction of their cause."""

from models.deliveries.table import INVITATION, PERSON_INVITATION, REMINDER, REMOVAL, SIGN_IN, Delivery
