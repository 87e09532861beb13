"""Changed files: their known content, diffs and patches."""
