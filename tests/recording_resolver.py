"""Run a command where there is no network, and write down every name that it asks for. A program of its own.

``python recording_resolver.py NAMES COMMAND...`` makes itself the only name server that a network namespace has, and
leaves the names in a file, one a line. Its own question is the first of them, so that silence means something.
"""

import fcntl
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

OWN_QUESTION = "is-anybody-listening.example"
RESOLV_CONF = "nameserver 127.0.0.1\n"
"""What /etc/resolv.conf has to say in there."""
_SET_FLAGS, _UP_AND_RUNNING = 0x8914, 0x41  # netdevice(7): SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
_NO_SUCH_NAME = b"\x81\x83"


def _serve(line: socket.socket, names: Path) -> None:
    with names.open("a", encoding="ascii", buffering=1) as out:
        while True:
            query, asker = line.recvfrom(4096)
            print(_name(query), file=out)
            line.sendto(query[:2] + _NO_SUCH_NAME + query[4:6] + bytes(6) + query[12:], asker)


def _name(query: bytes) -> str:
    """The name in a question (RFC 1035, 4.1.2), which comes after a header of 12 bytes."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels)


def _main(names: Path, command: list[str]) -> int:
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(line, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP_AND_RUNNING))
    line.bind(("127.0.0.1", 53))
    threading.Thread(target=_serve, args=(line, names), daemon=True).start()
    try:
        socket.getaddrinfo(OWN_QUESTION, 443)
    except socket.gaierror as error:
        if error.errno != socket.EAI_NONAME:
            raise
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2:]))
