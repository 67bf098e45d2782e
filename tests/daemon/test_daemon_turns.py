"""Books share the engine: whoever comes late with little to read does not wait behind those with much."""

import pytest
from speedd_sandbox import Sandbox, epub, long_story

SLOW = {"SPEEDD_TEST_SLOW_S": "0.02"}


@pytest.mark.slow
def test_a_short_book_does_not_wait_behind_long_ones(tmp_path):
    sandbox = Sandbox(tmp_path / "sandbox")
    sandbox.configure(engine={"name": "slow"}, limits={"turn_s": 0.5})
    with sandbox.daemon(env=SLOW) as daemon:
        for name in ("First", "Second"):
            sandbox.drop(f"{name}.epub", epub(name, long_story(150).replace("long", name)))
            daemon.wait_for("job.planned", book=name)
        sandbox.drop("Short.epub", epub("Short"))
        daemon.wait_for("job.published", book="Short")
        published = {event["book"] for event in daemon.events if event["event"] == "job.published"}
        assert not {"First", "Second"} <= published
        for name in ("First", "Second"):
            daemon.wait_for("job.published", book=name)
    assert max(sandbox.titled(name).run["job_attempts"] for name in ("First", "Second")) > 1
    # What was spoken before a turn ended was kept; only what was in the engine then is spoken again.
    turns = sum(event["event"] == "job.turn_over" for event in daemon.events)
    assert len(sandbox.spoken) - len(set(sandbox.spoken)) <= 4 * turns
