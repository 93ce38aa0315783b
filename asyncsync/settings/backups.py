"""Whether the folder of `--backup-dir` may be where it is: no backup may count as a run's file."""

import os
from collections.abc import Sequence
from pathlib import Path

from asyncsync.errors import ConfigError
from asyncsync.globs import compile_globs
from asyncsync.keys import escaped, is_state_name
from asyncsync.paths import Paths


def check_backup_dir(folder: Path, dest: Path, paths: Paths, exclude: Sequence[str]) -> None:
    """Check that backups and the destination's files cannot be taken for each other.

    In the destination, the folder must be left out by a glob that ends in `*` or `/`, so that
    whatever is below it is left out as well.

    Args:
        folder: where backups go.
        dest: the destination, without symbolic links.
        paths: how keys become paths there.
        exclude: the globs of keys that no run of these settings syncs.

    Raises:
        ConfigError: they could.
    """
    found = Path(os.path.realpath(folder))
    if any(is_state_name(part) for part in found.parts):
        raise _refused(folder, "is in the state folder of a destination; choose another")
    if found == dest or found in dest.parents:
        raise _refused(folder, "holds the destination; choose a folder beside it")
    if dest not in found.parents:
        return
    below = "/".join(found.relative_to(dest).parts)
    key = paths.key_of(paths.stripped + below)
    closing = [glob for glob in exclude if glob.endswith(("*", "/"))]
    if not (closing and compile_globs(closing).match(f"{key}/")):
        raise _refused(
            folder,
            "is in the destination, where backups count as its files; choose a folder beside it, "
            f"or leave it out with --exclude '{escaped(key)}/*'",
        )


def _refused(folder: Path, why: str) -> ConfigError:
    return ConfigError(f"--backup-dir: {escaped(str(folder))} {why}")
