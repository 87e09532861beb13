"""A standby of a PostgreSQL, which takes its place."""

from postgres import EmbeddedServer, Unavailable

from tests.live.service import wait_until

POSITIONS = "SELECT pg_current_wal_lsn() = replay_lsn FROM pg_stat_replication"


class Standby(EmbeddedServer):
    """Follows `primary` from a copy of its data, and only reads until it is promoted."""

    def __init__(self, primary: EmbeddedServer):
        self.primary = primary
        super().__init__(tcp=True)

    def promote(self) -> None:
        """Take the primary's place; returns when it writes."""
        assert self._popen([self.programs / "pg_ctl", "promote", "-w", "-D", "data"]).wait() == 0

    def wait_until_level(self) -> None:
        """Wait until it has everything that the primary has committed."""
        wait_until(lambda: self.primary.query(POSITIONS) == [(True,)], "The standby does not catch up.")

    def _initialize(self) -> None:
        copy = ["-D", "data", "-R", "-c", "fast", "--no-sync", "-d", self.primary.address]
        if self._popen([self.programs / "pg_basebackup", *copy]).wait() != 0:
            raise Unavailable(f"pg_basebackup failed: {self._last_words()}")


def both(primary: EmbeddedServer, standby: Standby, database: str) -> str:
    """The database's address at whichever of the two is the one that writes."""
    ports = f"{primary.port},{standby.port}"
    return f"postgresql://postgres@/{database}?host=127.0.0.1,127.0.0.1&port={ports}&target_session_attrs=read-write"
