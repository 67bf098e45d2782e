"""speedd turns books dropped into a folder into finished audiobooks, unattended."""

import os

__version__ = "0.1.0"

# onnxruntime tells its maker about the machine, from its import on and whoever imports it, unless this is set before.
# Every command, child process, benchmark and engine passes here first, and hands it on to what it starts.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
