"""Messages to candidates and removals from storage, queued with the change that causes them."""

from models.deliveries.table import INVITATION, REMINDER, REMOVAL, Delivery
