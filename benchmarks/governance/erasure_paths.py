"""The peer of `erasure`, run as a process: files are rewritten once without people's rows, by whoever knows them.

Arguments: the target's directory, a file of ids, and a file that lists the files below the directory; prints seconds.
"""

from __future__ import annotations

import json
import os
import sys
from io import BytesIO
from pathlib import Path
from time import perf_counter

import polars as pl
import pyarrow as pa


def rewrite(target: Path, ids: list[str], names: list[str]) -> None:
    """Read each file once, and write it without rows of theirs, by Polars, PyArrow and json; flushed to the disk."""
    numbers = {int(one) for one in ids}
    for name in names:
        content = _rewritten(target / name, ids, numbers)
        copy = target / f"{name}.new"
        with copy.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        copy.replace(target / name)


def _rewritten(path: Path, ids: list[str], numbers: set[int]) -> bytes:
    sink = BytesIO()
    if path.suffix == ".csv":
        pl.read_csv(path, infer_schema=False).filter(~pl.col("user_id").is_in(ids)).write_csv(sink)
    elif path.suffix == ".parquet":
        _without(pl.read_parquet(path), ids).write_parquet(sink, compression="zstd")
    elif path.suffix == ".arrows":
        with path.open("rb") as file:
            while file.tell() < path.stat().st_size:
                rows = pl.DataFrame(pa.ipc.open_stream(file).read_all())
                _without(rows, ids).write_ipc_stream(sink, compression="zstd")
    elif path.suffix == ".jsonl":
        for line in path.read_bytes().splitlines():
            page = json.loads(line)
            page["tickets"] = [one for one in page["tickets"] if one["requester_id"] not in numbers]
            sink.write(json.dumps(page).encode() + b"\n")
    else:
        # Manifests and reports.
        sink.write(path.read_bytes())
    return sink.getvalue()


def _without(rows: pl.DataFrame, ids: list[str]) -> pl.DataFrame:
    for name in {"user_id", "requester_id"} & set(rows.columns):
        rows = rows.filter(~pl.col(name).cast(pl.String).is_in(ids))
    return rows


if __name__ == "__main__":
    directory, ids_file, names_file = map(Path, sys.argv[1:])
    started = perf_counter()
    rewrite(directory, ids_file.read_text().split(), names_file.read_text().splitlines())
    print(perf_counter() - started)
