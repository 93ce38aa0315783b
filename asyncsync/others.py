"""What this user names, and nothing that another user could have put in its place.

Others are all users but this one and root, who can change everything anyway. A group of this user's
own name that nobody else is in, as many systems make one for each user, is nobody else.
"""

import errno
import os
import stat

_MOST_LINKS = 40
"""Symbolic links that are followed on the way to one file; as many as Linux follows."""
_HAS_OWNERS = hasattr(os, "geteuid")
"""On Windows, neither owner nor mode say who can change a file."""
_ACL = "system.posix_acl_access"


class PlantedError(ValueError):
    """Another user may have planted what the name leads to. The message says how."""


def open_file(path: str, flags: int, *, folders: bool = False, mode: int = 0o600) -> int:
    """Open a regular file, step by step, following no link that another user could have made.

    The checks look at what is open, so what was checked is what is read or written.

    Args:
        path: relative to the working folder, which is looked at itself, but not those above it.
        flags: as for `os.open`.
        folders: whether each folder on the way must keep others from replacing what is in it, and
            not only a folder with a link on the way.
        mode: that of a new file, less what the umask takes away.

    Returns:
        A descriptor of a file that belongs to this user or root.

    Raises:
        PlantedError: something on the way, or the file, may be another user's.
        OSError: it cannot be opened, or is no regular file.
    """
    if not _HAS_OWNERS:
        return os.open(path, flags | getattr(os, "O_BINARY", 0), mode)
    folder, name, found = _reach(path, folders=folders, may_make=bool(flags & os.O_CREAT))
    try:
        if not name:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if found is not None:  # before it is opened, which can do something to a device
            _check_file(found, folder)
        return _open_checked(name, flags, folder, mode)
    finally:
        os.close(folder)


def look_at_folder(path: str) -> os.stat_result:
    """Return what the system says of a folder, following links as `open_file` does.

    Raises:
        PlantedError: something on the way, or the folder, may be another user's.
        OSError: it cannot be reached, or is none.
    """
    if not _HAS_OWNERS:
        return os.stat(path)
    folder, name, _ = _reach(path)
    try:
        if name:
            folder = _replace(folder, _open_folder(name, folder))
        found = os.fstat(folder)
    finally:
        os.close(folder)
    if not _is_trusted(found.st_uid):
        raise PlantedError(f"its folder belongs to another user (uid {found.st_uid})")
    return found


def _reach(
    path: str, *, folders: bool = False, may_make: bool = False
) -> tuple[int, str, os.stat_result | None]:
    """Open the folder that something is in, at the end of all links.

    Returns:
        Its descriptor; the name there, empty for the folder itself; and what has that name, None
        for nothing, if it may be made.
    """
    names = _names(path)
    links = 0
    folder = _open_folder("/" if path.startswith("/") else ".")
    try:
        while names:
            name = names.pop(0)
            is_last = not names and name != ".."
            found = _lstat(name, folder, is_optional=is_last and may_make)
            is_link = found is not None and stat.S_ISLNK(found.st_mode)
            if folders or is_link:
                _check_folder(folder, name)
            if found is not None and is_link:
                links += 1
                _check_link(found, name, links)
                target = os.readlink(name, dir_fd=folder)
                names = _names(target) + names
                if target.startswith("/"):
                    folder = _replace(folder, _open_folder("/"))
            elif not is_last:
                folder = _replace(folder, _open_folder(name, folder))
            else:
                return folder, name, found
    except BaseException:
        os.close(folder)
        raise
    return folder, "", None


def can_read(file: int) -> bool:
    """Return whether others can read what is in an open file."""
    found = os.fstat(file)
    if not _HAS_OWNERS or not found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return False
    return bool(found.st_mode & stat.S_IROTH) or not _is_alone_in(found.st_gid, file)


def can_write(file: int) -> bool:
    """Return whether others can write to an open file or into an open folder."""
    if not _HAS_OWNERS:
        return False
    found = os.fstat(file)
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_alone_in(found.st_gid, file)


def _is_trusted(uid: int) -> bool:
    return uid in {os.geteuid(), 0}


def _is_alone_in(gid: int, opened: int) -> bool:
    """Return whether a group's permissions are this user's, or root's, and nobody else's.

    Users that a server knows (LDAP) are often not listed, so a group that seems to be empty need
    not be: only one with the user's own name counts.
    """
    import grp  # unknown to Windows
    import pwd

    try:
        names = {pwd.getpwuid(uid).pw_name for uid in {os.geteuid(), 0}}
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    if group.gr_name not in names or not names.issuperset(group.gr_mem):
        return False
    if any(user.pw_gid == gid and user.pw_name not in names for user in pwd.getpwall()):
        return False
    return not _has_acl(opened)


def _has_acl(opened: int) -> bool:
    """Return whether a list gives more users access; the group's bits say how much at most."""
    if not hasattr(os, "getxattr"):
        return False
    try:
        os.getxattr(f"/proc/self/fd/{opened}", _ACL)
    except OSError as error:
        return error.errno not in {errno.ENODATA, errno.EOPNOTSUPP}
    return True


def _check_folder(folder: int, name: str) -> None:
    """Check that others cannot replace what lies in a folder.

    In one with the sticky bit, as /tmp, only an entry's owner can, and the folder's.
    """
    found = os.fstat(folder)
    if not _is_trusted(found.st_uid):
        raise PlantedError(
            f"others can replace {name!r} on the way: its folder belongs to another user "
            f"(uid {found.st_uid})"
        )
    if not found.st_mode & stat.S_ISVTX and can_write(folder):
        raise PlantedError(f"others can replace {name!r} on the way: they can write its folder")


def _check_link(found: os.stat_result, name: str, number: int) -> None:
    if not _is_trusted(found.st_uid):
        raise PlantedError(
            f"the symbolic link {name!r} on the way belongs to another user (uid {found.st_uid})"
        )
    if number > _MOST_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _check_file(found: os.stat_result, folder: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is a pipe or a device, not a file")
    if not _is_trusted(found.st_uid):
        raise PlantedError(f"belongs to another user (uid {found.st_uid})")
    if found.st_nlink > 1 and (can_write(folder) or not _is_trusted(os.fstat(folder).st_uid)):
        raise PlantedError("has more than one name, and others can write the folder it is in")


def _open_checked(name: str, flags: int, folder: int, mode: int) -> int:
    """Open the last name on the way; never waits for the other end of a pipe."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    file = os.open(name, flags, mode, dir_fd=folder)
    try:
        _check_file(os.fstat(file), folder)
    except BaseException:
        os.close(file)
        raise
    return file


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in {"", "."}]


def _lstat(name: str, folder: int, *, is_optional: bool) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        if is_optional:
            return None
        raise


def _open_folder(name: str, folder: int | None = None) -> int:
    """Open a folder that need not be readable, where the system allows that."""
    return os.open(name, getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)


def _replace(folder: int, by: int) -> int:
    os.close(folder)
    return by
