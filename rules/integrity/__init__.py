"""Client signatures and integrity findings (docs/integrity.md)."""
