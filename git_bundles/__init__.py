"""Read untrusted bundles and archives in a separate process: `python -m git_bundles` (docs/workspace.md#submissions).

Nothing is checked out, and git is not called. The process reads one file and writes one file. From the service, this
package imports only rules/.
"""

import os

MEGABYTE = 1024 * 1024

MAX_MEMORY_BYTES = 512 * MEGABYTE
MAX_SECONDS = 60
MAX_OBJECTS = 100_000
MAX_OBJECT_BYTES = 20 * MEGABYTE
# Larger files are never in memory as a whole. If git stored one as a delta, its id and size remain unknown.
MAX_NAMED_BYTES = 64 * MEGABYTE
MAX_INFLATED_BYTES = 200 * MEGABYTE
MAX_HEADER_BYTES = 64 * 1024
MAX_TREE_ENTRIES = 200_000
MAX_TREE_DEPTH = 200
MAX_PATH_BYTES = 4_096
MAX_FILES = 20_000
MAX_ADDED_LINES = 500_000
MAX_FILE_DIFF_CHARACTERS = 256 * 1024
MAX_DIFF_CHARACTERS = 8 * MEGABYTE
MAX_OUTPUT_BYTES = 64 * MEGABYTE
# A submission contains the repository, and its objects are at most MAX_INFLATED_BYTES.
MAX_REPOSITORY_BYTES = 100 * MEGABYTE
MAX_ZIP_BYTES = 2048 * MEGABYTE  # of a submitted zip archive's files, which are read one after the other
MAX_EXPORT_BYTES = 384 * MEGABYTE  # the files, and the headers of their paths

END = b'{"end": true}\n'  # the last line of a complete output
# The process's status if it has no disk space, and if its output is a line with the problem
DISK_FULL, UNREADABLE = os.EX_TEMPFAIL, os.EX_DATAERR
EMPTY_TREE = "empty"  # instead of a base commit, if the assessment has no repository


class TooLarge(Exception):
    """A file is too large to show.

    size -- in bytes, None if it is unknown
    """

    def __init__(self, size: int | None):
        super().__init__()
        self.size = size


class Unreadable(Exception):
    """The bundle or archive cannot be read. The message is the reason."""
