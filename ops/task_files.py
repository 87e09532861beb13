"""Convert uploaded files of tasks to the form in which they are stored, and store them."""

import os
import tarfile
from tempfile import TemporaryFile
from typing import IO, Any

import marshmallow

from errors import ApiError, Invalid, NoRepository, invalid
from git_bundles import Unreadable, process
from models.database import release_connection
from models.orgs import Organization
from models.tasks.files import REFERENCE, REPOSITORY, TESTS, NewFile, TaskFile
from rules.archives import ArchiveFile, Limits, UnreadableArchive, read_files, write_tar
from rules.reference_patch import ReferencePatch
from schemas.task_files import TestSettings
from storage import Storage, new_object_key
from web.json import flatten_messages, parse_object

MEGABYTE = 1024 * 1024
MAX_BYTES = {REPOSITORY: 64 * MEGABYTE, TESTS: 20 * MEGABYTE, REFERENCE: 20 * MEGABYTE}
MAX_PATCH_BYTES = 5 * MEGABYTE
LIMITS = Limits(files=20_000, bytes=64 * MEGABYTE, file_bytes=20 * MEGABYTE)  # in memory
PATCH = "patch"
SETTINGS = "tests.json"
DELETED_PATHS = ".deleted"  # a file of a reference solution


def prepare(
    organization: Organization, owner_id: Any, kind: str, format: str, source: IO[bytes], storage: Storage
) -> NewFile:
    """Store a file without its row. Raises Invalid, NoRepository and StoreUnavailable.

    source -- a file of this format: ZIP, TAR, `git` for a repository, or PATCH for a reference solution
    """
    with TemporaryFile() as output:
        try:
            if kind == REPOSITORY:
                columns = {"commit_id": process.build(source, format, output)}
            elif kind == TESTS:
                columns = _write_tests(source, format, output)
            elif format == PATCH:
                columns = _write_patched(source, owner_id, storage, output)
            else:
                columns = _write(list(read_files(source, format, LIMITS)), output)
        except (UnreadableArchive, Unreadable) as problem:
            raise invalid(kind, str(problem)) from None
        size, suffix = output.seek(0, os.SEEK_END), "bundle" if kind == REPOSITORY else "tar.gz"
        output.seek(0)
        object_key = new_object_key(str(owner_id), suffix)
        removal = TaskFile.schedule_removal(organization, owner_id, object_key)
        release_connection()
        sha256 = storage.receive(object_key, output, size)
    stored = {"kind": kind, "object_key": object_key, "size": size, "sha256": sha256}
    return NewFile(stored | columns, removal)


def _write(files: list[ArchiveFile], output: IO[bytes]) -> dict[str, Any]:
    write_tar(files, output)
    return {"file_count": len(files)}


def _write_tests(source: IO[bytes], format: str, output: IO[bytes]) -> dict[str, Any]:
    files = list(read_files(source, format, LIMITS))
    settings = _read_settings({file.path: file.content for file in files})
    return _write(files, output) | {"settings": settings}


def _read_settings(files: dict[str, bytes]) -> dict[str, Any]:
    """Return the content of `tests.json` with defaults. Raises Invalid with the path in it."""
    if SETTINGS not in files:
        raise UnreadableArchive(f"The archive has no `{SETTINGS}` in its root.")
    try:
        settings = TestSettings().load(parse_object(files[SETTINGS]))
        for number, each in enumerate(settings["files"]):
            folder = "" if each["from_"] == "." else each["from_"] + "/"
            if not any(f"{path}/".startswith(folder) for path in files):
                raise invalid(["files", number, "from"], "Not in the archive.")
    except marshmallow.ValidationError as error:
        details = list(flatten_messages(error.messages))
    except Invalid as error:
        details = error.details or []
    except ApiError:
        problem = f"`{SETTINGS}` must be a JSON object in UTF-8, without repeated fields."
        raise UnreadableArchive(problem) from None
    else:
        return TestSettings().dump(settings)
    raise Invalid(details=[each | {"path": [TESTS, SETTINGS, *each["path"]]} for each in details])


def _write_patched(source: IO[bytes], owner_id: Any, storage: Storage, output: IO[bytes]) -> dict[str, Any]:
    """Apply a patch to the current repository, and write the files that differ."""
    current = TaskFile.find(owner_id, REPOSITORY)
    if current is None:
        raise NoRepository()
    release_connection()
    patch = ReferencePatch(source.read())
    with TemporaryFile() as bundle, TemporaryFile() as exported:
        storage.copy_to_file(current.object_key, bundle)
        process.export_files(bundle, exported)
        with tarfile.open(fileobj=exported, mode="r:") as archive:
            entries = [entry for entry in archive if entry.isreg() and entry.name in patch.paths]
            files = {entry.name: _read_entry(archive, entry) for entry in entries}
    changed, deleted = patch.apply(files)
    if deleted:
        changed.append(ArchiveFile(DELETED_PATHS, False, "".join(f"{path}\n" for path in deleted).encode()))
    return _write(changed, output)


def _read_entry(archive: Any, entry: tarfile.TarInfo) -> ArchiveFile:
    return ArchiveFile(entry.name, bool(entry.mode & 0o100), archive.extractfile(entry).read())
