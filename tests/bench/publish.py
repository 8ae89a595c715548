"""What publishing the web image costs, as ratios of uploads that do less, on one embedded cloud.

Run by `./inv bench.publish`; prints one JSON document. Not a test: time is no pass or fail. The
sandbox's image has to be pressed, or is pressed first.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import subprocess  # noqa: TID251 - the cloud is a process of its own
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

from emulated import ENVIRONMENT  # noqa: E402 - found through the path above
from pressing import sandbox_press  # noqa: E402 - as above
from publications import REGION, publication  # noqa: E402 - as above

from goldpress.aws.client import Access  # noqa: E402 - as above
from goldpress.aws.ebs import BLOCK_BYTES, linear_checksum  # noqa: E402 - as above
from goldpress.press import Pressed  # noqa: E402 - as above
from goldpress.publish.blocks import BlockIndex, data_blocks, read_block  # noqa: E402 - as above
from goldpress.publish.upload import WORKERS  # noqa: E402 - as above

#: Each is measured so often; the quickest counts, because another process can only make it slower.
TIMES = 3


@contextmanager
def embedded_cloud() -> Any:
    """A cloud of its own, which ends with the context."""
    os.environ.update(ENVIRONMENT)
    argv = [sys.executable, "-m", "goldpress.emulator", "--until-eof"]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(
        argv, stdin=pipe, stdout=pipe, stderr=null, cwd=PROJECT, text=True
    ) as process:
        assert process.stdout is not None
        os.environ["AWS_ENDPOINT_URL"] = process.stdout.readline().strip()
        yield
        process.terminate()


def quickest(work: Callable[[], Any]) -> float:
    """Seconds of the quickest of some runs."""
    seconds = []
    for _ in range(TIMES):
        began = time.monotonic()
        work()
        seconds.append(time.monotonic() - began)
    return min(seconds)


def bare(
    client: Any, rows: Iterable[tuple[int, bytes]], *, gib: int, workers: int
) -> tuple[float, int]:
    """The calls of an upload and nothing else: (seconds, blocks). Whoever calls reads the disk."""
    began = time.monotonic()
    snapshot = client.start_snapshot(VolumeSize=gib, Timeout=60)["SnapshotId"]
    sums: dict[int, bytes] = {}

    def put(row: tuple[int, bytes]) -> None:
        index, data = row
        sums[index] = hashlib.sha256(data).digest()
        client.put_snapshot_block(
            SnapshotId=snapshot,
            BlockIndex=index,
            BlockData=data,
            DataLength=BLOCK_BYTES,
            Checksum=base64.b64encode(sums[index]).decode(),
            ChecksumAlgorithm="SHA256",
        )

    if workers == 1:
        for row in rows:
            put(row)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(put, rows))
    client.complete_snapshot(
        SnapshotId=snapshot,
        ChangedBlocksCount=len(sums),
        Checksum=linear_checksum(sums),
        ChecksumAlgorithm="SHA256",
        ChecksumAggregationMethod="LINEAR",
    )
    return time.monotonic() - began, len(sums)


def every_block(raw: Path) -> list[tuple[int, bytes]]:
    """All blocks of a disk, zeros too, as an uploader sends them that knows of no holes."""
    with raw.open("rb") as stream:
        count = -(-raw.stat().st_size // BLOCK_BYTES)
        return [(index, read_block(stream.fileno(), index)) for index in range(count)]


def some_blocks(raw: Path, index: BlockIndex) -> list[tuple[int, bytes]]:
    """The blocks that are not zero."""
    with raw.open("rb") as stream:
        rows = ((i, read_block(stream.fileno(), i)) for i in data_blocks(stream.fileno()))
        return [row for row in rows if row[0] in index.blocks]


def ours(work: Path, pressed: Pressed) -> tuple[float, int]:
    """Our upload of the whole image, from the disk to the sealed EBS snapshot, with its journal."""
    number = len(list(work.iterdir()))
    (work / str(number)).mkdir()
    began = time.monotonic()
    # Another digest each time: else it would be the same EBS snapshot.
    manifest = dataclasses.replace(pressed.manifest, definition=f"sha256:{number}")
    made = publication(work / str(number), pressed.disk.raw, manifest=manifest)
    upload = made.uploading()
    _, sent = upload.run()
    seconds = time.monotonic() - began
    upload.abandon()
    return seconds, sent


def main() -> None:
    """Measure, and print ratios."""
    pressed = sandbox_press().press()
    raw = pressed.disk.raw
    gib = -(-raw.stat().st_size // (1 << 30))
    with embedded_cloud(), tempfile.TemporaryDirectory(prefix="bench-publish-") as scratch:
        work = Path(scratch)
        client = Access().client("ebs", REGION, connections=WORKERS)
        mine = min(ours(work, pressed) for _ in range(TIMES))
        index = publication(work / "index", raw, manifest=pressed.manifest).index
        whole = min(bare(client, every_block(raw), gib=gib, workers=WORKERS) for _ in range(TIMES))
        reading = quickest(lambda: every_block(raw))
        rows = some_blocks(raw, index)
        pool = min(bare(client, rows, gib=gib, workers=WORKERS) for _ in range(TIMES))
        loop = min(bare(client, rows, gib=gib, workers=1) for _ in range(TIMES))
    rate = {name: blocks / seconds for name, (seconds, blocks) in
            {"ours": mine, "loop": loop, "pool": pool}.items()}  # fmt: skip
    result = {
        "disk_blocks": whole[1],
        "blocks_with_data": mine[1],
        "every block, as an uploader without holes": {
            "seconds": round(whole[0] + reading, 2),
            "wall_ratio": round(mine[0] / (whole[0] + reading), 3),
            "bytes_ratio": round(mine[1] / whole[1], 3),
        },
        "blocks a second": {name: round(value, 1) for name, value in rate.items()},
        "to a bare loop of the same calls": round(rate["ours"] / rate["loop"], 3),
        "to a bare pool of the same calls": round(rate["ours"] / rate["pool"], 3),
        "our seconds": round(mine[0], 2),
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
