"""Small git repositories and bundles. Equal files give equal commits."""

from io import BytesIO
from typing import NamedTuple

from dulwich.object_format import SHA1
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.pack import write_pack_objects

AUTHOR = b"Orders team <orders@meridian.example>"
TIME = 1_775_034_000
Files = dict[str, str]


class History(NamedTuple):
    """A branch and all its git objects."""

    head: ObjectID | None = None
    objects: tuple[ShaFile, ...] = ()

    def commit(self, files: Files, message: str) -> "History":
        """Add a commit with exactly these files."""
        tree, objects = _tree({path: text.encode() for path, text in files.items()})
        commit = Commit()
        commit.tree, commit.parents = tree.id, [self.head] if self.head else []
        commit.author = commit.committer = AUTHOR
        commit.author_time = commit.commit_time = TIME
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = message.encode()
        return History(commit.id, (*self.objects, *objects, commit))

    @property
    def commit_id(self) -> str:
        assert self.head
        return self.head.decode()

    def bundle(self) -> bytes:
        """Pack all commits into a git bundle."""
        assert self.head
        unique = {each.id: each for each in self.objects}
        pack = BytesIO()
        write_pack_objects(pack, list(unique.values()), SHA1)
        return b"# v2 git bundle\n" + self.head + b" HEAD\n\n" + pack.getvalue()


def _tree(files: dict[str, bytes]) -> tuple[Tree, list[ShaFile]]:
    tree = Tree()
    objects: list[ShaFile] = []
    folders: dict[str, dict[str, bytes]] = {}
    for path, content in files.items():
        name, _, rest = path.partition("/")
        if rest:
            folders.setdefault(name, {})[rest] = content
            continue
        blob = Blob.from_string(content)
        tree.add(name.encode(), 0o100644, blob.id)
        objects.append(blob)
    for name, contained in folders.items():
        folder, inner = _tree(contained)
        tree.add(name.encode(), 0o040000, folder.id)
        objects += inner
    return tree, [*objects, tree]
