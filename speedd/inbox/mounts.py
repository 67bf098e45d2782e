"""Where the inbox lies, and what that means for looking into it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from speedd.config import InboxSettings

NETWORK_SETTLE_S: Final = 30.0
NETWORK_SCAN_S: Final = 10.0
MOUNTS: Final = Path("/proc/self/mountinfo")

# File systems on which others write without our kernel telling us. FUSE too: sshfs and rclone are remote, and
# mergerfs and unRAID's shfs hide what is written to the disks behind them.
_SILENT: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "coda", "fuse", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "prl_fs", "smb3"}
    | {"smbfs", "vboxsf", "virtiofs", "vmhgfs"}
)


@dataclass(frozen=True, slots=True)
class Cadence:
    """How long a source must rest, and how often the inbox is scanned without being asked to, in seconds."""

    settle_s: float
    scan_s: float


def cadence(inbox: Path, settings: InboxSettings) -> Cadence:
    """Return the times that suit the inbox's file system; what the configuration sets stands."""
    settle_s, scan_s = settings.settle_s, settings.scan_s
    if network_file_system(inbox):
        settle_s = settle_s if "settle_s" in settings.model_fields_set else NETWORK_SETTLE_S
        scan_s = scan_s if "scan_s" in settings.model_fields_set else NETWORK_SCAN_S
    return Cadence(settle_s, scan_s)


def network_file_system(path: Path, *, mounts: Path = MOUNTS) -> bool:
    """Say whether a path lies where others write unseen: NFS, SMB, FUSE, folders shared with a host."""
    kind = file_system(path, mounts=mounts)
    return kind in _SILENT or kind.startswith("fuse.")


def file_system(path: Path, *, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that a path lies on, as the kernel calls it; empty if that is unknown.

    Source: proc_pid_mountinfo(5). Of several mounts on one place, the last is on top.
    """
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return ""
    real = path.resolve()
    best, kind = -1, ""
    for line in lines:
        left, _, right = line.partition(b" - ")
        fields = left.split(b" ")
        if len(fields) < 5 or not right:  # noqa: PLR2004 - the mount point is the fifth field
            continue
        point = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), fields[4])
        mount = Path(point.decode("utf-8", "surrogateescape"))
        if (mount == real or mount in real.parents) and len(mount.parts) >= best:
            best, kind = len(mount.parts), right.split(b" ")[0].decode("ascii", "replace")
    return kind
