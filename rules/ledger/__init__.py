"""The ledger's keys, entries and verification, on plain values (R53, docs/integrity.md)."""
