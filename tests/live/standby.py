"""A standby of a PostgreSQL server."""

from postgres import EmbeddedServer, Unavailable

from tests.live.service import wait_until


class Standby(EmbeddedServer):
    """A replica of `primary`, read-only until it is promoted."""

    def __init__(self, primary: EmbeddedServer):
        self.primary = primary
        super().__init__(tcp=True)

    def url_of_both(self, database: str) -> str:
        """Return a URL that connects to the server that accepts writes."""
        ports = f"{self.primary.port},{self.port}"
        query = f"host=127.0.0.1,127.0.0.1&port={ports}&target_session_attrs=read-write"
        return f"postgresql://postgres@/{database}?{query}"

    def promote(self) -> None:
        """Become the primary, and wait until it accepts writes."""
        assert self._popen([self.programs / "pg_ctl", "promote", "-w", "-D", "data"]).wait() == 0

    def wait_until_synchronized(self) -> None:
        positions = "SELECT pg_current_wal_lsn() = replay_lsn FROM pg_stat_replication"
        wait_until(lambda: self.primary.query(positions) == [(True,)], "The standby did not catch up.")

    def _initialize(self) -> None:
        options = ["-D", "data", "-R", "-c", "fast", "--no-sync", "-d", self.primary.admin_url]
        if self._popen([self.programs / "pg_basebackup", *options]).wait() != 0:
            raise Unavailable(f"pg_basebackup failed: {self._log_tail()}")
