"""``run``: the daemon in the foreground."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speedd import __version__, engines
from speedd.commands.display import Display
from speedd.commands.foreground import Stop, logging_to
from speedd.config import engine_options, load_config, pinned_values
from speedd.daemon import Daemon
from speedd.daemon.app import App
from speedd.errors import SpeeddError
from speedd.pipeline.run_context import NarrationRequest, RunContext
from speedd.service.notify import Notifier
from speedd.service.signals import stop_on_signals

REBUILD_S = 60.0
"""How much more time systemd is asked for while a damaged ledger is rebuilt, again and again."""


def run_daemon(file: Path | None, overrides: Mapping[str, Any], *, once: bool) -> int:
    """Run the daemon in the foreground. Return its exit code.

    Raises:
        UsageError: if the voice that the command line names cannot speak.
    """
    config = load_config(file, overrides=overrides)
    if "voice" in overrides.get("engine", {}):
        options = engine_options(config)
        chosen = engines.choose(config.engine.name, options)
        check = engines.sample_check(chosen.name, options)
        engines.named_voice(chosen.info, config.engine.voice, config.paths.voices, check)
    wake = threading.Event()
    stop = Stop(wake)
    notifier = Notifier(os.environ)
    show = once or sys.stdout.isatty()

    with logging_to(config.log) as (log, run_id), Display(enabled=show) as display:
        restore = stop_on_signals(stop, rescan=wake)
        try:
            log.info("service.started", version=__version__, pid=os.getpid())
            context = RunContext(
                config=config,
                log=log,
                run_id=run_id,
                request=NarrationRequest(pinned_values(overrides, os.environ)),
                once=once,
                stop=stop,
                wake=wake,
                say=display.say,
                on_progress=display.show,
                alive=lambda: notifier.extend_timeout(REBUILD_S),
            )
            with App(context) as app:
                code = Daemon(app, notifier).run()
            log.info("service.stopped")
        except SpeeddError as error:
            log.error("service.failed", reason=str(error))  # noqa: TRY400 - a plain reason, no traceback
            raise
        finally:
            restore()
            notifier.close()
    return code
