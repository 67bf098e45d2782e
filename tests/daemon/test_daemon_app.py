"""The composition root: one process to a state directory, on a disk that can hold a ledger."""

import os
from pathlib import Path

import pytest
import structlog

from speedd.config import load_config
from speedd.daemon import app
from speedd.daemon.app import App, make_folders, open_ledger
from speedd.engines.base import find
from speedd.errors import ConfigError, EngineError, TryAgainError
from speedd.model import Style, Utterance
from speedd.pipeline.run_context import RunContext


@pytest.fixture
def config(tmp_path):
    paths = {name: tmp_path / name for name in ("inbox", "outbox", "state", "voices")}
    return load_config(overrides={"paths": paths, "engine": {"name": "tone", "workers": 1}}, environment={"HOME": "/"})


def opened(config, **more):
    return App(RunContext(config=config, log=structlog.get_logger(), run_id="r"), lock_wait_s=0.1, **more)


def test_a_state_directory_is_one_processs_until_it_lets_go(config):
    with opened(config):
        with pytest.raises(TryAgainError, match=f"Another speedd uses the state directory {config.paths.state}"):
            opened(config)
        with open_ledger(config) as ledger:  # to look is allowed
            assert ledger.jobs.all() == []
    with opened(config):
        pass


def test_workers_do_not_inherit_the_lock(config):
    with opened(config) as one:
        assert not os.get_inheritable(one._lock)


def test_what_fails_at_the_start_lets_go_of_the_lock(config):
    make_folders(config, inbox=True)
    (config.paths.state / "ledger.sqlite").mkdir()
    with pytest.raises((TryAgainError, OSError)):
        opened(config)
    (config.paths.state / "ledger.sqlite").rmdir()
    with opened(config):
        pass


def test_only_a_daemon_needs_an_inbox(config):
    with opened(config, make_inbox=False):
        assert not config.paths.inbox.exists()
        assert config.paths.outbox.is_dir()


def test_a_folder_in_the_way_is_named(config):
    config.paths.outbox.write_text("a file")
    with pytest.raises(ConfigError, match=r"The folder paths\.outbox, .*/outbox, cannot be made: File exists"):
        opened(config)


def test_a_state_on_a_network_share_is_refused_before_anything_is_made(config, monkeypatch):
    monkeypatch.setattr(app.inbox, "network_file_system", lambda path: path == config.paths.state.parent)
    monkeypatch.setattr(app.inbox, "file_system", lambda _: "fuse.shfs")
    with pytest.raises(ConfigError, match=r"lies on fuse\.shfs") as caught:
        opened(config)
    assert "unRAID" in caught.value.hint
    assert not config.paths.state.exists()


def test_an_interrupted_copy_is_swept_away_at_the_start(config):
    with opened(config) as one:
        leftover = one.context.state.spool / ".accepting-x"
        leftover.mkdir()
    with opened(config):
        assert not leftover.exists()


def test_an_engine_has_one_pool_and_none_after_the_end(config):
    with opened(config) as one:
        assert one.executor("tone") is one.executor("tone")
        assert list(one.engines()) == ["tone"]
        one.close_engines()
        with pytest.raises(TryAgainError, match="stopping"):
            one.executor("tone")


def test_without_a_state_there_is_nothing_to_look_at(config):
    with pytest.raises(ConfigError, match="There is no speedd state"), open_ledger(config):
        pass
    assert not Path(config.paths.state).exists()


def test_workers_that_nobody_looks_after_any_more_are_replaced(config, monkeypatch):
    voice = find("tone").describe({}).voices[0]
    work = [Utterance("a" * 64, "He went on.", voice, Style(), 1)]
    with opened(config) as one:
        first = one.executor("tone")
        assert one.executor("tone") is first
        with monkeypatch.context() as patch:
            patch.setattr("speedd.execution.pool.supervisor.WorkerProcess", None)  # the thread that calls it ends
            with pytest.raises(EngineError, match="worker pool failed: TypeError"):
                list(first.run(work))
        assert one.engines() == {}
        assert [answer.key for batch in one.executor("tone").run(work) for answer in batch] == ["a" * 64]
        assert one.engines()["tone"].healthy
