"""speedd turns books dropped into a folder into finished audiobooks, unattended."""

__version__ = "0.1.0"
