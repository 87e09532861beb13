"""The ledger and the audit log."""
