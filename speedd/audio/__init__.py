"""Look at takes, join and master them."""

from speedd.audio.check import fault_of
from speedd.audio.mastering import Mastered, master
from speedd.audio.mp4 import ChapterMark
from speedd.audio.timeline import Piece, TakeError, Track
from speedd.audio.trim import trim_silence

__all__ = ["ChapterMark", "Mastered", "Piece", "TakeError", "Track", "fault_of", "master", "trim_silence"]
