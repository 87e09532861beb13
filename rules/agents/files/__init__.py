"""Changed files: known content, diffs and patches."""
