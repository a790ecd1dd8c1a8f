"""Pictures out of a zip from a stranger: counted before and while they are unpacked, never walked.

Names are looked at as names, not as paths: whatever would lead somewhere else is refused.
"""

import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from webui.library.safe_names import ending
from webui.modules.errors import LimitError, RequestError
from webui.settings import Limits

RATIO: Final = 200
"""No picture can be packed tighter than so many times."""

HINT: Final = "Pack the pictures and their .txt files anew, as a plain zip."


def unpacked(path: Path, name: str, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a zip with their names, folders left out.

    Args:
        path: The zip.
        name: As its sender calls it.
        limits: How much may come out of it.

    Raises:
        RequestError: If it is no zip, damaged, locked, or names places outside itself.
        LimitError: If there is too much in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check(members, name, limits)
            often = Counter(_parts(member)[-1] for member in members)
            for member in members:
                parts = _parts(member)
                # 1.png in two folders is two pictures; each keeps its caption by its folder's name
                last = "_".join(parts[-2:]) if often[parts[-1]] > 1 else parts[-1]
                if last.startswith(".") or "__MACOSX" in member.filename:
                    continue
                with archive.open(member) as file:
                    data = file.read(member.file_size + 1)
                if len(data) > member.file_size:
                    raise _refused(name, f"{last[:80]} is larger than it says")
                yield last, data
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise _refused(name, f"it cannot be read ({error})") from error
    except RuntimeError as error:
        raise _refused(name, "it is locked with a password") from error


def _parts(member: zipfile.ZipInfo) -> tuple[str, ...]:
    return PurePosixPath(member.filename.replace("\\", "/")).parts or ("",)


def _check(members: list[zipfile.ZipInfo], name: str, limits: Limits) -> None:
    if len(members) > limits.max_training_files:
        message = f"{name[:80]} holds {len(members)} files"
        raise LimitError(message, hint=f"At most {limits.max_training_files} are taken.",
                         value=len(members))  # fmt: skip
    whole = sum(member.file_size for member in members)
    if whole > limits.max_training_bytes:
        message = f"{name[:80]} holds {whole} bytes unpacked"
        raise LimitError(message, hint=f"At most {limits.max_training_bytes} are taken.",
                         value=whole)  # fmt: skip
    for member in members:
        parts = _parts(member)
        link = stat.S_ISLNK(member.external_attr >> 16)
        if ".." in parts or parts[:1] == ("/",) or ":" in member.filename or link:
            raise _refused(name, f"{member.filename[:80]!r} leads out of it")
        if ending(member.filename) == ".zip":
            raise _refused(name, f"there is another zip in it, {member.filename[:80]!r}")
        large = member.file_size > limits.max_body_bytes
        if large or member.file_size > max(1, member.compress_size) * RATIO + 4096:
            message = f"{member.filename[:80]!r} in {name[:80]} is too large or packed too tightly"
            raise LimitError(message, hint=HINT, value=member.file_size)


def _refused(name: str, why: str) -> RequestError:
    return RequestError(f"{name[:80]} is refused: {why}", hint=HINT, value=name[:80])
