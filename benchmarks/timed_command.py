"""Runs a command and writes its wall and CPU time, end, peak memory and exit code to a file, as JSON.

A separate process without imports, because a child's peak memory starts at its parent's, and a benchmark may have a
large table in memory. `python timed_command.py RESULT COMMAND…`
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

started = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - started
ended_at = time.time()
peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
figures = {
    "seconds": seconds,
    "ended_at": ended_at,
    "peak_bytes": peak_bytes,
    "processor_seconds": usage.ru_utime + usage.ru_stime,
    "code": os.waitstatus_to_exitcode(status),
}
with open(sys.argv[1], "w") as file:
    json.dump(figures, file)
