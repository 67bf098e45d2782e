import pytest

from speedd.config import InboxSettings
from speedd.inbox import mounts
from speedd.inbox.mounts import Cadence, cadence, file_system, network_file_system

LINES = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / {base}/nas rw shared:1 - nfs4 nas:/books rw
31 30 0:41 / {base}/nas/local rw - xfs /dev/sdb rw
32 22 0:42 / {base}/with\\040space rw - cifs //nas/x rw
33 22 0:43 / {base}/twice rw - ext4 /dev/sdc rw
34 22 0:44 / {base}/twice rw - fuse.sshfs host: rw
35 22 0:45 / {base}/usb rw - fuseblk /dev/sdd rw
"""


@pytest.fixture
def table(tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text(LINES.format(base=tmp_path.resolve()))
    return table


@pytest.mark.parametrize(
    ("place", "kind", "silent"),
    [
        ("elsewhere", "ext4", False),
        ("nas", "nfs4", True),
        ("nas/inbox", "nfs4", True),
        ("nasty", "ext4", False),
        ("nas/local/inbox", "xfs", False),
        ("with space/inbox", "cifs", True),
        ("twice", "fuse.sshfs", True),
        ("usb", "fuseblk", False),
    ],
)
def test_the_innermost_and_topmost_mount_counts(tmp_path, table, place, kind, silent):
    assert file_system(tmp_path / place, mounts=table) == kind
    assert network_file_system(tmp_path / place, mounts=table) is silent


def test_this_machine_has_an_answer(tmp_path):
    assert file_system(tmp_path)
    assert file_system(tmp_path, mounts=tmp_path / "missing") == ""


def test_on_a_share_it_waits_longer_and_looks_more_often_unless_told_otherwise(tmp_path, table, monkeypatch):
    monkeypatch.setattr(mounts.file_system, "__kwdefaults__", {"mounts": table})
    monkeypatch.setattr(mounts.network_file_system, "__kwdefaults__", {"mounts": table})
    assert cadence(tmp_path / "elsewhere", InboxSettings()) == Cadence(10, 30)
    assert cadence(tmp_path / "nas", InboxSettings()) == Cadence(30, 10)
    assert cadence(tmp_path / "nas", InboxSettings(settle_s=1)) == Cadence(1, 10)
    assert cadence(tmp_path / "nas", InboxSettings(scan_s=60)) == Cadence(30, 60)
