"""Where the members of an archive belong: which trees there are, and what is in which directory. Pure; called by `unpack.py`.

Archives begin their paths where whoever packed them stood: `presentation/<record id>/…`, `./presentation/…` or
`var/bigbluebutton/published/presentation/…`. What comes before the format is dropped.
"""

from dataclasses import dataclass, field

from meetingpool.domain.recordings import FORMAT_NAME, RECORD_ID
from meetingpool.library.names import key_of, read_path
from meetingpool.library.refusals import ArchiveRefused, Refusal, shown

MAX_TREES = 32
# About what it takes to keep one in mind, beside its path.
_DIRECTORY_BYTES = 512


@dataclass(slots=True)
class Directory:
    """A directory of the archive. `tree`: the path of the one that it is in, `path`: where it is to be; None outside of them.

    `name`: its own; `keys`: of all that is in it (see `names.key_of`). `is_listed`: the archive has an entry for it.
    """

    name: str
    tree: str | None = None
    path: str | None = None
    keys: set[str] = field(default_factory=set)
    is_listed: bool = False

    def add(self, name: str) -> None:
        """Raises ArchiveRefused for a name that is not safe, or not the only one of its kind."""
        key = key_of(name)
        if key in self.keys:
            raise ArchiveRefused(Refusal.DUPLICATE, f"there are two of {shown(name)} in one directory")
        self.keys.add(key)


@dataclass(frozen=True, slots=True)
class Tree:
    """One format of one recording. Its path is `<format>/<record_id>`."""

    format: str
    record_id: str


class Layout:
    """What was seen of an archive so far. `bytes_kept`: about what it takes to keep its directories in mind."""

    def __init__(self) -> None:
        self.trees: dict[str, Tree] = {}
        self.bytes_kept = 0
        self._directories = {"": Directory("")}
        self._new: list[str] = []

    @property
    def directories(self) -> int:
        """How many there are, those included that have no entry."""
        return len(self._directories) - 1

    def file(self, name: bytes) -> tuple[str, str]:
        """The path of the tree and the path of the file. Raises ArchiveRefused when it cannot be there, or anywhere."""
        parent, _, leaf = read_path(name).rpartition("/")
        directory = self._directories.get(parent) or self._directory(parent)
        directory.add(leaf)
        if directory.tree is None:
            raise ArchiveRefused(Refusal.STRAY_FILE, f"the file {shown(name)} is in no recording")
        return directory.tree, f"{directory.path}/{leaf}"

    def directory(self, name: bytes) -> None:
        """Takes note of an entry for a directory. Raises ArchiveRefused when it cannot be there."""
        directory = self._directory(read_path(name))
        if directory.is_listed:
            raise ArchiveRefused(Refusal.DUPLICATE, f"there are two entries for the directory {shown(name)}")
        directory.is_listed = True

    def new_directories(self) -> list[str]:
        """Those to be made since this was asked last, parents first."""
        new, self._new = self._new, []
        return new

    def _directory(self, path: str) -> Directory:
        known = self._directories.get(path)
        if known:
            return known
        above, _, name = path.rpartition("/")
        parent = self._directory(above)
        parent.add(name)
        directory = self._below(parent, name)
        self._directories[path] = directory
        self.bytes_kept += len(path) + _DIRECTORY_BYTES
        return directory

    def _below(self, parent: Directory, name: str) -> Directory:
        if parent.tree is not None:
            tree, path = parent.tree, f"{parent.path}/{name}"
        elif RECORD_ID.fullmatch(name) and FORMAT_NAME.fullmatch(parent.name):
            tree = path = self._add_tree(Tree(parent.name, name))
        else:
            return Directory(name)
        self._new.append(path)
        return Directory(name, tree, path)

    def _add_tree(self, tree: Tree) -> str:
        path = f"{tree.format}/{tree.record_id}"
        if path in self.trees:
            raise ArchiveRefused(Refusal.DUPLICATE, f"{shown(path)} is there twice")
        if len(self.trees) == MAX_TREES:
            raise ArchiveRefused(Refusal.TOO_MANY_TREES, f"there are more than {MAX_TREES} formats of recordings")
        self.trees[path] = tree
        if not any(known.format == tree.format for known in self.trees.values() if known is not tree):
            self._new.append(tree.format)
        return path
