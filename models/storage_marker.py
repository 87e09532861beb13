"""The marker in the bundle store, which detects a missing or different folder or bucket."""

from typing import Any

from errors import WrongStore
from models.base import Model, db
from models.database import lock_by_name, release_connection

REMEDY = (
    "Check BUNDLE_FOLDER or the S3 settings of this process. "
    "If the store is new or restored, run `flask storage adopt`."
)
MISSING = (
    "The bundle store has no marker: the folder or bucket is empty, not mounted, or not the one used before."
)
DIFFERENT = "The bundle store has the marker of another installation."


class StorageMarker(Model):
    """The installation's marker: the only row's id is also in a file of its bundle store.

    The first process that uses a store marks it. Later, only `flask storage adopt` and `flask restore` mark one: a
    process whose volume is not mounted must not store submissions elsewhere, or report the stored ones as missing.
    """

    personal_data = None

    @classmethod
    def require(cls, storage: Any) -> None:
        """Raise WrongStore unless the store has the marker, or StoreUnavailable. Marks the first store."""
        marker = cls.get_or_none() or cls._mark_first(storage)
        release_connection()
        found = storage.read_marker()
        if found != str(marker.id):
            raise WrongStore(f"{MISSING if found is None else DIFFERENT} {REMEDY}")

    @classmethod
    def _mark_first(cls, storage: Any) -> Any:
        with db.atomic():
            lock_by_name(cls.__name__)
            if marker := cls.get_or_none():
                return marker
            marker = cls.create()
            if storage.read_marker() is None:
                storage.write_marker(str(marker.id))
            return marker

    @classmethod
    def adopt(cls, storage: Any) -> None:
        """Mark the store, replacing another installation's marker."""
        with db.atomic():
            lock_by_name(cls.__name__)
            marker = cls.get_or_none() or cls.create()
            storage.write_marker(str(marker.id))
