"""The archive of an entry: a gzipped tar with exactly one valid byte sequence.

Reading trusts nothing. An archive is read front to back in bounded pieces and never unpacked; a
header that isn't byte for byte the one that writing gives, so any link, folder, device, long or
absolute or `..` name, is refused before its content is looked at.
"""

import gzip
import io
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

MAX_ARCHIVE = 64 << 20
"""Largest archive, in bytes."""
MAX_PART = 256 << 20
"""Largest part, in bytes."""
MAX_MANIFEST = 4 << 20
_GZIP = b"\x1f\x8b\x08" + bytes(5) + b"\x02\xff"
"""Start of a gzip file of the best compression, without flags, name, comment, time or system."""
_BLOCK = 512
_END = bytes(2 * _BLOCK)


class Refused(ValueError):
    """An entry is refused.

    Args:
        file: The archive, as the caller named it.
        place: Part of it, with the line's number if it has lines, like "test.jsonl:17".
        reason: The field, what was expected and what was found.
    """

    def __init__(self, file: str, place: str, reason: str) -> None:
        super().__init__(": ".join(filter(None, (file, place, " ".join(reason.split())))))


def write_archive(path: Path, parts: Mapping[str, bytes | Path]) -> None:
    """Write parts, in their order; the same parts give the same bytes.

    Args:
        path: The archive.
        parts: Name → content, or the file that holds it.

    Raises:
        OSError: The file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
            for name, part in parts.items():
                with part.open("rb") if isinstance(part, Path) else io.BytesIO(part) as content:
                    size = content.seek(0, io.SEEK_END)
                    content.seek(0)
                    packed.write(_header(name, size))
                    shutil.copyfileobj(content, packed)
                    packed.write(bytes(-size % _BLOCK))
            packed.write(_END)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_archive(
    path: Path, limits: Mapping[str, int], *, with_time: bool = False
) -> Iterator[tuple[str, bytes]]:
    """Yield the parts of an archive, in their order, one at a time.

    Args:
        path: The archive.
        limits: The largest size of each part that may be there, in bytes; the first must be.
        with_time: Whether the gzip header may hold a time, which `write_archive` leaves out.

    Raises:
        Refused: It isn't an archive that `write_archive` writes, or is larger than allowed.
    """
    name = path.name
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise Refused(name, "", "wanted a plain file, found a link, a folder or a device")
        if status.st_size > MAX_ARCHIVE:
            raise Refused(name, "", f"wanted at most {MAX_ARCHIVE} bytes, found {status.st_size}")
        with path.open("rb") as file:
            start = file.read(len(_GZIP))
            if start[:4] != _GZIP[:4]:
                raise Refused(
                    name,
                    "",
                    "wanted a gzip file as `pack` writes it, without name, comment or flags: "
                    f"{_GZIP[:4].hex()} at its start, found {start[:4].hex() or 'nothing'}",
                )
            file.seek(0)
            yield from _parts(_Inflated(file), name, limits)
        if start != _GZIP and not with_time:
            raise Refused(
                name,
                "",
                "wanted a gzip file as `pack` writes it, of best compression and without a time",
            )
    except OSError as error:
        raise Refused(name, "", f"can't be read: {error.strerror or error}") from error
    except zlib.error as error:
        raise Refused(name, "", f"wanted a gzip file as `pack` writes it: {error}") from error


def _parts(
    tar: "_Inflated", archive: str, limits: Mapping[str, int]
) -> Iterator[tuple[str, bytes]]:
    names: list[str] = []
    while True:
        block = tar.read(_BLOCK)
        if block == bytes(_BLOCK):
            break
        name, size = _claims(block)
        if name not in limits:
            some, others = ", ".join(list(limits)[:6]), len(limits) - 6
            known = f"{some} and {others} more" if others > 0 else some
            raise Refused(archive, "", f"wanted only the parts {known}, found {name!r:.80}")
        if name in names:
            raise Refused(archive, name, "wanted once, found twice")
        if size is None or block != _header(name, size):
            raise Refused(
                archive,
                name,
                "wanted a plain file's header as `pack` writes it (no link, "
                "owner, time or extension), found another",
            )
        if size > limits[name]:
            raise Refused(archive, name, f"wanted at most {limits[name]} bytes, found {size}")
        data = tar.read(size)
        padding = tar.read(-size % _BLOCK)
        if len(data) < size or any(padding):
            raise Refused(archive, name, f"wanted {size} bytes and zeros, found {len(data)} bytes")
        names.append(name)
        yield name, data
    if tar.read(_BLOCK) != bytes(_BLOCK) or tar.read(1) or not tar.at_end:
        raise Refused(archive, "", "wanted the archive to end after its parts, found more")
    if not names:
        raise Refused(archive, "", f"wanted {next(iter(limits))} first, found no part")


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 0
    return info.tobuf(tarfile.USTAR_FORMAT)


def _claims(block: bytes) -> tuple[str, int | None]:
    """Return the name and size in a header block."""
    name = block[:100].partition(b"\0")[0].decode("utf-8", "backslashreplace")
    digits = block[124:135]
    return name, int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else None


class _Inflated:
    """A gzip file, decompressed only as far as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(wbits=31)
        self._waiting = b""

    @property
    def at_end(self) -> bool:
        """Whether the gzip stream is complete and nothing follows it."""
        return self._inflate.eof and not self._inflate.unused_data and not self._file.read(1)

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or fewer at the end."""
        pieces, remaining = [], size
        while remaining and not self._inflate.eof:
            data = self._waiting or self._file.read(1 << 16)
            if not data:
                break
            piece = self._inflate.decompress(data, remaining)
            self._waiting = self._inflate.unconsumed_tail
            pieces.append(piece)
            remaining -= len(piece)
        return b"".join(pieces)
