"""Check a ledger's numbered entries in order."""

from rules.ledger import entries
from rules.ledger.entries import EPOCH, START, Entry
from rules.ledger.keys import Keys

UNVERIFIED = "unverified"


class ChainCheck:
    """Checks positions, links, signatures and keys.

    Entries of a key that was introduced but is not known are unverified. An epoch introduces its own key, which must be
    known unless it is the first epoch's, or a later epoch is signed with a known key.
    """

    def __init__(self, keys: Keys, last_epoch: int) -> None:
        """
        last_epoch -- the position of the last epoch that is signed with a known key
        """
        self._keys, self._last_epoch = keys, last_epoch
        self._position, self._link = 0, START
        self._introduced: set[str] = set()

    def add(self, entry: Entry) -> str | None:
        """Check the next entry; return the problem, if any: `entry_missing`, `changed` or UNVERIFIED."""
        reason = self._check(entry)
        self._position, self._link = entry.position or 0, entry.link or b""
        if reason in (None, UNVERIFIED):
            self._introduced |= entries.introduces(entry)
        return reason

    def _check(self, entry: Entry) -> str | None:
        position = self._position + 1
        if entry.position != position:
            return "entry_missing"
        if entry.link != entries.next_link(self._link, position, entry.id, entry.signature):
            return "changed"
        is_signed = entry.is_signed(self._keys)
        is_introduced = entry.key_id in self._introduced
        if is_signed is None:
            is_restarted = entry.kind == EPOCH and (position == 1 or position < self._last_epoch)
            return UNVERIFIED if is_introduced or is_restarted else "changed"
        return None if is_signed and (is_introduced or entry.kind == EPOCH) else "changed"
