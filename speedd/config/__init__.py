"""The configuration: every setting with its type, range and default, and where its value comes from.

Precedence: command line > environment > per-book settings > file > default. All faults are reported at once, each with
its path. `settings` says what can be set, `engines` what an engine adds, `book` what a book may set for itself, and
`loading` where values come from.
"""

from speedd.config.book import BookSettings, with_book_settings
from speedd.config.engines import engine_options
from speedd.config.loading import default_file, describe_faults, load_config, merge, pinned_values
from speedd.config.settings import (
    Config,
    EngineSettings,
    GpuSettings,
    InboxSettings,
    LogSettings,
    OutputSettings,
    SpeechSettings,
)

__all__ = [
    "BookSettings",
    "Config",
    "EngineSettings",
    "GpuSettings",
    "InboxSettings",
    "LogSettings",
    "OutputSettings",
    "SpeechSettings",
    "default_file",
    "describe_faults",
    "engine_options",
    "load_config",
    "merge",
    "pinned_values",
    "with_book_settings",
]
