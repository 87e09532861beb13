"""Messages to candidates and removals from storage, queued in the transaction of their cause."""

from models.deliveries.table import INVITATION, REMINDER, REMOVAL, Delivery
