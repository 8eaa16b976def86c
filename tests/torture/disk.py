"""The journal's disk: small, slow, full or failing, as the driver wants it."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

SOURCE = Path(__file__).with_name("faults.c")
WRITES_MAX = 1 << 16
SECTOR_BYTES = 512
BALLAST = "ballast"
SPARE_BYTES = 64 * 1024
IN_NAMESPACE = "AUTHSWITCH_TORTURE_NAMESPACE"


class Pending(ctypes.Structure):
    """A write that no synchronization has covered."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("file", "offset", "size", "number")]


class Control(ctypes.Structure):
    """What the preloaded library reads and counts; the order is that of ``faults.c``."""

    _fields_ = [
        *(
            (name, ctypes.c_uint64)
            for name in (
                "sync_delay_us",
                "failing_syncs",
                "failing_writes",
                "short_writes",
                "is_full",
                "is_lying",
                "writes",
                "syncs",
                "delayed_syncs",
                "failed_syncs",
                "failed_writes",
                "shortened_writes",
                "refused_for_room",
                "lies",
                "overflows",
            )
        ),
        ("pending", Pending * WRITES_MAX),
    ]


COUNTED = {
    "delayed_syncs": "syncs delayed",
    "failed_syncs": "syncs failed",
    "failed_writes": "writes failed",
    "shortened_writes": "writes cut short",
    "refused_for_room": "refused for lack of room",
    "lies": "lies about syncs",
}


class FaultyDisk:
    """A folder for the journal, and what the daemon's calls meet there.

    Args:
        folder: Of the run; the library and the control file are put there.
        journal: Where the journal is.
        draw: Chance.
    """

    def __init__(self, folder: Path, journal: Path, draw: Random) -> None:
        self.journal = journal
        self._draw = draw
        self._library = folder / "faults.so"
        compiler = os.environ.get("CC", "cc")
        flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, "-o", str(self._library), str(SOURCE)], check=True)
        self._file = folder / "control"
        self._file.write_bytes(bytes(ctypes.sizeof(Control)))
        with self._file.open("r+b") as stream:
            self._map = mmap.mmap(stream.fileno(), 0)
        self.control = Control.from_buffer(self._map)
        self.is_mounted = os.path.ismount(journal.parent)

    @property
    def environment(self) -> dict[str, str]:
        """With which the daemon meets this disk."""
        return {"LD_PRELOAD": str(self._library), "AUTHSWITCH_TORTURE_CONTROL": str(self._file)}

    def counted(self) -> dict[str, int]:
        """How often each fault struck."""
        return {words: getattr(self.control, name) for name, words in COUNTED.items()}

    def heal(self) -> None:
        """No faults from now on."""
        for name in ("sync_delay_us", "failing_syncs", "failing_writes", "short_writes", "is_full", "is_lying"):
            setattr(self.control, name, 0)
        self.empty()

    def fill(self) -> None:
        """Leave no room: with a file that takes all of the mount, or by saying so where nothing may be mounted."""
        if not self.is_mounted:
            self.control.is_full = 1
            return
        room = os.statvfs(self.journal)
        size = room.f_bavail * room.f_frsize - SPARE_BYTES
        if size > 0:
            with (self.journal.parent / BALLAST).open("wb") as stream, contextlib.suppress(OSError):
                os.posix_fallocate(stream.fileno(), 0, size)

    def empty(self) -> None:
        """Give the room back."""
        self.control.is_full = 0
        (self.journal.parent / BALLAST).unlink(missing_ok=True)

    def come_back(self) -> None:
        """After the daemon's end: what was written may stay unsynchronized, nothing is known of it any more."""
        for place in self._listed():
            place.size = 0

    def lose_power(self, *, whole: bool = False) -> int:
        """After a kill: take away any part (or all) of what no synchronization has covered; how many bytes it was."""
        names = {path.stat().st_ino: path for path in self.journal.rglob("*") if path.is_file()}
        lost = 0
        for place in self._listed():
            path = names.get(place.file)
            if path is not None:
                with path.open("r+b") as stream:
                    end = min(place.offset + place.size, stream.seek(0, os.SEEK_END))
                    share = 1.0 if whole else self._draw.choice((0.0, 0.5, 1.0))
                    lost += self._blank(stream.fileno(), place.offset, end, share)
        self.come_back()
        return lost

    def _blank(self, file: int, start: int, end: int, share: float) -> int:
        """Zero a share of the sectors of a range, as far as the range goes."""
        lost = 0
        while start < end:
            upto = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
            if self._draw.random() < share:
                os.pwrite(file, bytes(upto - start), start)
                lost += upto - start
            start = upto
        return lost

    def _listed(self) -> Iterator[Pending]:
        # The list is filled from its beginning; holes stay in it.
        for place in self.control.pending[: min(WRITES_MAX, self.control.writes)]:
            if place.size:
                yield place

    def close(self) -> None:
        """Give the memory back."""
        del self.control
        self._map.close()


def enter_namespace(arguments: list[str]) -> None:
    """Begin anew where file systems may be mounted, if that is allowed; what is mounted there ends with the process.

    Args:
        arguments: The command, with which this process is replaced.
    """
    if IN_NAMESPACE in os.environ or shutil.which("unshare") is None:
        return
    words = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--user", "--map-root-user"))]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
        os.execvpe(words[0], [*words, *arguments], {**os.environ, IN_NAMESPACE: "1"})


def mount_small(folder: Path, size: int) -> str:
    """Mount a small file system on a folder: of a file, or of memory; which, or nothing where none is allowed."""
    if IN_NAMESPACE not in os.environ:
        return ""
    image = folder.with_suffix(".image")
    if shutil.which("mkfs.ext4") and os.geteuid() == 0:
        with image.open("wb") as stream:
            stream.truncate(size)
        made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], capture_output=True, check=False)
        if made.returncode == 0 and _mounts("-o", "loop", str(image), str(folder)):
            return "ext4 in a file"
    image.unlink(missing_ok=True)
    return "memory (tmpfs)" if _mounts("-t", "tmpfs", "-o", f"size={size}", "none", str(folder)) else ""


def unmount(folder: Path) -> None:
    """Undo it."""
    if os.path.ismount(folder):
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def _mounts(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0
