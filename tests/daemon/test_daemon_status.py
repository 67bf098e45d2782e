"""What a running daemon says of its work, in all three places: `speedd status --json`, the log and ``STATUS=``."""

import re
import socket
import threading

from speedd_house import House, long_story, wait_until

STATUS = re.compile(
    r"STATUS=Long: narrating \d+%, chunk \d+/\d+, \d+ s left, \d+ × realtime;"
    r" [0-4]/4 rows, 3\.0 GiB used, 1\.0 GiB free, \d+ tokens/s, 1 restart"
)


def heard_by(listener, messages):
    """Note what systemd would be told, for as long as somebody speaks."""
    while message := listener.recv(4096).decode():
        messages.append(message)


def test_how_full_how_fast_and_how_long_yet(house: House, tmp_path):
    mishaps = tmp_path / "mishaps"
    mishaps.mkdir()
    house.configure(engine={"name": "counting", "workers": 1})
    house.drop("Long.txt", "It began with a KILL.\n\n" + long_story(160))
    messages = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        threading.Thread(target=heard_by, args=(listener, messages), daemon=True).start()
        env = {
            "NOTIFY_SOCKET": listener.getsockname(),
            "SPEEDD_TEST_SLOW_S": "0.3",
            "SPEEDD_TEST_MISHAPS": str(mishaps),
        }
        with house.daemon(env=env) as daemon:
            wait_until(lambda: [message for message in messages if STATUS.search(message)])
            found = house.status["daemon"]
            (book,) = found["books"]
            assert book["stage"] == "narrating"
            assert book["eta_s"] > 0
            assert book["realtime_factor"] > 0
            (worker,) = found["engines"]["counting"]["workers"]
            told = {name: worker[name] for name in ("rows_cap", "restarts", "free_bytes", "used_bytes")}
            assert told == {"rows_cap": 4, "restarts": 1, "free_bytes": 1 << 30, "used_bytes": 3 << 30}
            assert 0 <= worker["rows"] <= 4
            assert worker["tokens_per_s"] > 0
            logged = daemon.wait_for("job.progress", restarts=1, rows_cap=4, free_mb=1024, used_mb=3072)
            assert logged.keys() >= {"rows", "tokens_per_s", "realtime_factor", "eta_s"}
            assert daemon.stop() == 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", listener.getsockname())
