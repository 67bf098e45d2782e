"""Every error that speedd raises on purpose, each with an exit code and advice to the user.

::

    SpeeddError                 1
    ├── UsageError              2   the command line asks for something that cannot be
    ├── ConfigError            78   the configuration is wrong (EX_CONFIG); all faults at once
    ├── InputError              1   this source cannot be narrated; it is refused with the message
    │   └── DamagedInputError   1   it looks cut short; more of it may still be on its way
    ├── EngineError             1   the engine cannot load, or cannot speak a text
    │   ├── VoiceError          1   this voice cannot be found or used; others can
    │   └── DeviceFullError     1   its device has no room now
    ├── PublishError            1   the finished audiobook cannot be put into the outbox
    ├── LedgerError             1   the ledger is damaged or newer than this program
    └── TryAgainError          75   disk full, lock held, share gone: nothing lost, try again (EX_TEMPFAIL)
"""

import errno
from collections.abc import Mapping

PASSING: Mapping[int, str] = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk reports an error",
    errno.ESTALE: "the network share has gone stale",
    errno.ENOTCONN: "the network share is gone",
    errno.EHOSTDOWN: "the network share's server is down",
    errno.ETIMEDOUT: "the network share does not answer",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open on this machine",
    errno.EAGAIN: "the machine starts no more processes",
    errno.ENOMEM: "the machine is out of memory",
}
"""Errors of the operating system that pass without anything being wrong with a book or a setting, in plain words."""


class SpeeddError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what is wrong, in a sentence that a person can act on.
        hint: what to do about it, if there is something to do.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        between = "\n" if "\n" in self.message else " "  # after a list, advice has a line of its own
        return f"{self.message}{between}{self.hint}"


class UsageError(SpeeddError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = 2


class ConfigError(SpeeddError):
    """The configuration is wrong; the message lists every fault with its path."""

    exit_code = 78


class InputError(SpeeddError):
    """A source cannot be narrated. The message becomes its ``REASON.txt``, so it is written for its owner."""


class DamagedInputError(InputError):
    """A source looks cut short or torn: a copy may still be running, so waiting may mend it."""


class EngineError(SpeeddError):
    """An engine cannot be found or loaded, or cannot speak a text.

    Args:
        message: as of `SpeeddError`.
        hint: likewise.
        brief: the message in a few words that follow the engine's name: ``is not installed``.
    """

    def __init__(self, message: str, *, hint: str = "", brief: str = "cannot be used") -> None:
        super().__init__(message, hint=hint)
        self.brief = brief


class VoiceError(EngineError):
    """A voice cannot be found, or the engine cannot speak with it. The engine is well, and other voices may be, too."""


class DeviceFullError(EngineError):
    """The engine's device has no room now. Fewer rows, a fallback or patience may help; it is no text's fault."""


class PublishError(SpeeddError):
    """A finished audiobook cannot be put into the outbox."""


class LedgerError(SpeeddError):
    """The ledger is damaged, or was written by a newer speedd."""


class TryAgainError(SpeeddError):
    """A condition outside speedd that passes: a full disk, a held lock, a missing share. Nothing is lost."""

    exit_code = 75
