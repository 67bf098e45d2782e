"""Look at takes, join and master them."""

from speedd.audio.check import fault_of
from speedd.audio.mastering import Mastered, master
from speedd.audio.timeline import Piece, TakeError, Track

__all__ = ["Mastered", "Piece", "TakeError", "Track", "fault_of", "master"]
