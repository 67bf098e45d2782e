"""What the owner sets under ``[workers]`` reaches the workers: niceness, idle time, quiet hours."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from speedd_sandbox import Sandbox, epub, group, long_story, wait_until

from speedd.execution.takes import take_path

NICE = 7


def workers(daemon):
    return [pid for pid, command in group(daemon.process.pid).items() if "execution.worker" in command]


def nice(pid):
    """The nice value, field 19 of ``/proc/PID/stat``; what follows the command's name begins with field 3."""
    return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[19 - 3])


def around_now():
    now = datetime.now().astimezone()
    return f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M}"


def test_workers_are_as_nice_as_was_asked_and_go_when_they_have_been_idle(sandbox: Sandbox):
    sandbox.configure(engine={"name": "slow"}, workers={"nice": NICE, "idle_unload_s": 0.5})
    with sandbox.daemon(env={"SPEEDD_TEST_SLOW_S": "0.1"}) as daemon:
        sandbox.drop("Book.epub", epub("Book", long_story(20)))
        wait_until(lambda: len(sandbox.spoken) > 0)
        own = os.getpriority(os.PRIO_PROCESS, daemon.process.pid)
        # The second may be starting still when the first has spoken.
        wait_until(lambda: [nice(pid) for pid in workers(daemon)] == [min(19, own + NICE)] * 2)
        daemon.wait_for("job.published", book="Book")
        wait_until(lambda: not workers(daemon))
        sandbox.drop("Next.epub", epub("Next"))  # and they come again
        daemon.wait_for("job.published", book="Next")
        assert {event["job"] for event in daemon.events if event["event"] == "worker.died"} == set()


def test_in_quiet_hours_a_book_waits_and_says_why_and_can_be_cancelled(sandbox: Sandbox):
    hours = around_now()
    why = f"quiet hours until {hours[-5:]}"
    sandbox.configure(workers={"quiet_hours": hours})
    with sandbox.daemon() as daemon:
        sandbox.drop("Book.epub", epub("Book"))
        job = daemon.wait_for("job.planned", book="Book")["job"]
        wait_until(lambda: why in sandbox.speedd("status").out)
        status = sandbox.status
        assert [(each["job"], each["state"], each["eta_s"]) for each in status["jobs"]] == [(job, "running", None)]
        (engine,) = status["daemon"]["engines"].values()
        assert {(worker["pid"], worker["note"]) for worker in engine["workers"]} == {(None, why)}
        assert sandbox.speedd("cancel", job).code == 0
        daemon.wait_for("job.cancelled", job=job)
        assert not workers(daemon)
        assert sandbox.spoken == []


def test_who_cannot_wait_for_the_quiet_hours_to_end_is_told_and_the_book_is_kept(sandbox: Sandbox):
    hours = around_now()
    sandbox.configure(workers={"quiet_hours": hours})
    sandbox.drop("Book.epub", epub("Book"))
    result = sandbox.once()
    assert result.code == 75, result.err
    (job,) = sandbox.status["jobs"]
    assert f"makes room for others: quiet hours until {hours[-5:]}" in job["reason"]
    sandbox.configure(workers={"quiet_hours": ""})
    assert sandbox.once().code == 0


def test_the_first_chapters_are_finished_first(sandbox: Sandbox):
    chapters, sentences = 5, 12
    text = "".join(
        f"## Chapter {number}\n\n{long_story(sentences).replace('long', f'{number}th')}\n\n"
        for number in range(1, chapters + 1)
    )
    sandbox.drop("Book.md", f"# Book\n\n{text}")
    assert sandbox.once().code == 0
    stored = {}
    for chunk in sandbox.book.run["chunks"]:
        for take in chunk["takes"]:
            moment = take_path(sandbox.state / "takes", take["key"]).stat().st_mtime_ns
            stored.setdefault(chunk["chapter"], []).append(moment)
    assert len(stored) == chapters
    assert all(len(moments) >= sentences for moments in stored.values())
    last_of = [max(moments) for _, moments in sorted(stored.items())]
    first_of = [min(moments) for _, moments in sorted(stored.items())]
    assert last_of == sorted(last_of)
    # Two workers with two utterances each: no more than what they hold of the next chapter is stored before.
    for done, after in zip(last_of, first_of[2:], strict=False):
        assert done < after
