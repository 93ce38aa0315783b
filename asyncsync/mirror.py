"""`--delete`: at the end of a sync, delete the files here whose objects are gone.

A mistake here costs files, and other tools have made them all: a source that was empty by accident,
a listing that had failed, a filter that one side did not know, files that were never in the bucket.
So a file is deleted only if all of this holds:

- This user has made it with asyncsync, and it has the size, time and inode that it had then.
- Its key is selected, was listed by no page of a listing that has shown everything, and the bucket
  says, asked about this key, that there is no such object.
- Nothing has failed: all that was to be downloaded is here.
- Not more files are to go than `--max-delete` allows; otherwise none goes.
- The bucket, or the prefix that was asked for, has any selected object, or `--allow-empty` is set.

Of what the last three forbid, nothing is deleted, and the run says that it leaves that to do.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property

from anyio import CancelScope
from anyio.lowlevel import checkpoint

from asyncsync.compare import Selection
from asyncsync.disk import Folder, Folding, LocalFile
from asyncsync.download import find_unconfirmed
from asyncsync.errors import LocalFileError, SkippedError
from asyncsync.hashset import HashSet
from asyncsync.interfaces import Observer, SilentObserver, Store
from asyncsync.keys import key_hash, key_hashes, shown
from asyncsync.model import Compared, Failed, Outcome, RemoteObject
from asyncsync.pace import Pace
from asyncsync.threads import in_thread
from asyncsync.units import format_count

BATCH = 100
"""Files that are deleted before they are told of, and before an interrupt is heard."""


class Mirror(SilentObserver):
    """What a run has seen that matters for deletions; and, at its end, the deletions.

    Args:
        folder: the destination.
        selection: the keys of the run.
        observer: is told.
        max_delete: how many files may go at most: a number, or a share such as `10%` of the
            selected files that were here when the run began.
        allow_empty: whether files may go where nothing at all is left in the bucket.
    """

    def __init__(
        self,
        folder: Folder,
        selection: Selection,
        observer: Observer,
        max_delete: str,
        allow_empty: bool,
    ) -> None:
        self._folder = folder
        self._selection = selection
        self._observer = observer
        self._max_delete = max_delete
        self._allow_empty = allow_empty
        self._listed = HashSet()
        """Hashes of the selected keys that were listed, or of what is the same for their files."""
        self._files = 0
        self._failed = 0
        self._empty: list[str] = []
        """The prefixes without a selected object; an empty one stands for the whole bucket."""

    # What the run has seen ----------------------------------------------------------------------

    def add(self, objects: Sequence[RemoteObject]) -> None:
        """Note a page of the listing; also what `Selection.takes` leaves out has its file.

        Where names are folded, a file may be named after a key of another shard.
        """
        counts = self._selection.in_any_shard if self._folding else self._selection
        keys = [remote.key for remote in objects if counts(remote.key)]
        self._listed.update(map(self._identity, keys) if self._folding else key_hashes(keys))

    def counted(self, files: Mapping[str, int]) -> None:
        """Note how many files there were."""
        self._files = sum(files.values())

    def compared(self, page: Compared) -> None:
        """Count what cannot be fetched."""
        for refused in page.refused:
            self._fail(refused)

    def unmatched(self, prefix: str) -> None:
        """Note that nothing in the bucket has this prefix."""
        self._empty.append(prefix)

    def ended(self, outcome: Outcome) -> None:
        """Count what has failed."""
        if isinstance(outcome, Failed):
            self._fail(outcome)

    def _fail(self, failed: Failed) -> None:
        self._failed += not isinstance(failed.error, SkippedError)

    # What may go --------------------------------------------------------------------------------

    async def plan(self) -> None:
        """Tell which files a sync would delete, and what would keep it from that.

        Raises:
            DestinationError: the files cannot be looked at.
        """
        gone = await self._find()
        for key, file in gone.items():
            self._observer.removed(key, file.size)
        if why := self._objection(gone):
            self._observer.noticed(f"a sync would delete nothing: {why}")

    async def delete(self, store: Store, pace: Pace) -> None:
        """Delete what may go; call it only after a whole listing, when all else is done.

        Raises:
            SourceError: the bucket could not be asked about the objects.
            LockHeldError: another run works here.
            DestinationError: the files cannot be looked at, or nothing can be written here.
        """
        gone = await self._find()
        why = self._objection(gone)
        if not why and (unconfirmed := await find_unconfirmed([*gone], store, pace)):
            key, answer = next(iter(unconfirmed.items()))
            why = f"the listing lacks {shown(key)}, but {answer}"
        if why:
            self._observer.held_back(f"nothing was deleted: {why}")
            return
        if gone:
            await self._folder.begin_writing()
        files = [*gone.items()]
        for start in range(0, len(files), BATCH):
            await checkpoint()
            with CancelScope(shield=True):  # what is deleted is told
                await self._delete(files[start : start + BATCH])

    async def _find(self) -> Mapping[str, LocalFile]:
        """Return the files that may go, by key; tell of all others that have no object."""
        folder = self._folder
        keys = await folder.unlisted(lambda keys: [*filter(self._is_unlisted, keys)], ())
        paths = {key: folder.paths.of(key) for key in keys if folder.paths.has(key)}
        found = await folder.look_up([*paths.values()])
        files = {k: f for k, f in zip(paths, found, strict=True) if f and f.kind == "file"}
        may_go = await in_thread(folder.removal.may_go, [*files.items()])
        if folder.is_mixed:
            may_go &= await folder.are_from_here([*may_go])
        for key in keys:
            if key not in may_go:
                self._observer.unlisted(key)
        return {key: file for key, file in files.items() if key in may_go}

    def _is_unlisted(self, key: str) -> bool:
        return self._selection(key) and self._identity(key) not in self._listed

    def _identity(self, key: str) -> int:
        """Return what is the same for all keys whose files are one here."""
        if self._folding and self._folder.paths.has(key):
            return key_hash(self._folding.fold("/".join(self._folder.paths.of(key))))
        return key_hash(key)

    @cached_property
    def _folding(self) -> Folding:
        return self._folder.folding()

    def _objection(self, gone: Collection[str]) -> str:
        """Return why none of these files may be deleted; empty if they may."""
        if not gone:
            return ""
        if self._failed:
            return f"{format_count(self._failed, 'object')} failed"
        for prefix in self._empty if not self._allow_empty else ():
            if any(key.startswith(prefix) for key in gone):
                where = f"under {shown(prefix)}" if prefix else "in the bucket"
                return f"nothing is left {where}; if that is right, add --allow-empty"
        if len(gone) > _most(self._max_delete, self._files):
            return (
                f"{len(gone):,} of {format_count(self._files, 'file')} would go, more than "
                f"--max-delete {self._max_delete} allows; `asyncsync plan --delete -v` names them; "
                f"if all are to go, set --max-delete {len(gone)}"
            )
        return ""

    async def _delete(self, files: Sequence[tuple[str, LocalFile]]) -> None:
        """Delete some files, and tell what became of each."""
        for (key, file), result in zip(files, await in_thread(self._remove, files), strict=True):
            if isinstance(result, LocalFileError):
                self._observer.ended(Failed(RemoteObject(key, 0, "", 0), result))
            elif result:
                self._observer.removed(key, file.size)
            else:
                self._observer.unlisted(key)

    def _remove(self, files: Iterable[tuple[str, LocalFile]]) -> list[bool | LocalFileError]:
        """Remove files; return of each whether that was done, or why it failed. Blocks."""
        results: list[bool | LocalFileError] = []
        for key, file in files:
            try:
                results.append(self._folder.removal.remove(key, file))
            except LocalFileError as error:
                results.append(error)
        return results


def _most(max_delete: str, files: int) -> int:
    """Return how many of so many files may be deleted."""
    if max_delete.endswith("%"):
        return int(Decimal(max_delete[:-1]) * files / 100)
    return int(max_delete)
