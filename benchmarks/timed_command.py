"""Run a command and write its wall and processor time, end, peak memory and exit code to a file, as JSON.

A process of its own with nothing imported: a child begins with the peak of the process that started it, which
would be a benchmark that holds a table in memory. `python timed_command.py RESULT COMMAND…`
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
