"""Apply recorded changes to files with git."""

import subprocess


def apply_changes(folder, events):
    """Apply exact changes, as pairs of (kind, data). Returns file contents by path."""
    for kind, data in events:
        assert "isPartial" not in data
        if kind in ("file_diff", "file_create"):
            subprocess.run(["git", "apply", "-"], input=data["diff"].encode(), cwd=folder, check=True)
        elif kind == "file_delete":
            (folder / data["path"]).unlink()
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes().decode() for path in files}
