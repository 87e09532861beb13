"""Small git repositories and bundles. Equal files produce equal commits."""

from io import BytesIO
from typing import NamedTuple

from dulwich.index import commit_tree
from dulwich.object_format import SHA1
from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Blob, Commit, ObjectID, ShaFile
from dulwich.pack import write_pack_objects

from git_bundles.files import IDENTITY, MESSAGE, TIME

Files = dict[str, str]


class History(NamedTuple):
    """A branch and all its git objects."""

    head: ObjectID | None = None
    objects: tuple[ShaFile, ...] = ()

    def commit(self, files: Files) -> "History":
        """Add a commit with exactly these files. The first one is the commit that the service hosts for them."""
        store = MemoryObjectStore()
        blobs = {path.encode(): Blob.from_string(text.encode()) for path, text in files.items()}
        store.add_objects([(blob, None) for blob in blobs.values()])
        commit = Commit()
        commit.tree = commit_tree(store, [(path, blob.id, 0o100644) for path, blob in blobs.items()])
        commit.parents = [self.head] if self.head else []
        commit.author = commit.committer = IDENTITY
        commit.author_time = commit.commit_time = TIME
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"Submission" if self.head else MESSAGE
        return History(commit.id, (*self.objects, *(store[object_id] for object_id in store), commit))

    def bundle(self) -> bytes:
        """Pack all commits into a git bundle."""
        assert self.head
        unique = {git_object.id: git_object for git_object in self.objects}
        pack = BytesIO()
        write_pack_objects(pack, list(unique.values()), SHA1)
        return b"# v2 git bundle\n" + self.head + b" HEAD\n\n" + pack.getvalue()
