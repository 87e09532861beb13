"""Build a task's repository from an upload, and export a bundle's files, each in a separate process.

Input and output are files with a descriptor, at their start.
"""

from typing import IO

from git_bundles import MAX_SECONDS, Unreadable
from git_bundles.objects import read_references
from git_bundles.process import Interrupted, run


def build(archive: IO[bytes], format: str, output: IO[bytes]) -> str:
    """Write a git bundle with the archive's files in one commit without parents. Return the commit's id.

    The files are those of a git bundle's HEAD, or those of a zip or tar archive; if all of these are in one folder, as
    in GitHub's downloads, its files. Equal files result in an equal commit.

    Raises Unreadable, and OSError if the disk is full.

    format -- `git`, `zip` or `tar.gz`
    """
    try:
        run(("build", format), archive, output)
    except Interrupted:
        message = f"Reading the archive was interrupted, or took longer than {MAX_SECONDS} seconds."
        raise Unreadable(message) from None
    commit, _ = read_references(output)
    output.seek(0)
    return commit


def export_files(bundle: IO[bytes], output: IO[bytes]) -> None:
    """Write a bundle's files as an uncompressed tar.

    Omits submodules, and links that leave the repository. Raises Interrupted or Unreadable, and OSError if the disk is
    full.
    """
    run(("export",), bundle, output)
    output.seek(0)
