"""What a GPU's memory would hold at its fullest, counted without one: the table of docs/deployment.md.

    python bench/device_memory.py --voxels 40000

Runs on the CPU as a GPU would: its sizes of blocks, no folded attention, no buffers that threads keep. What is counted
is torch's tensors, weights included; a CUDA context (about 0.5 GB), workspaces and the allocator's gaps come on top.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile

from iseg3d_ros.benchmarks.models import measure, network, room
from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.layers import cpu_attention
from iseg3d_ros.models.layers import encoded_scene as scene
from iseg3d_ros.predictor import weights_file
from iseg3d_ros.sparse import coordinates, kernel_map, scratch

NAMES = ("e2i3d_5.7m", "e2i3d", "agile3d", "npiseg3d", "fewclick")


def main() -> None:
    """Print a Markdown row a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxels", type=int, nargs="+", default=[20_000, 40_000, 100_000])
    counts = parser.parse_args().voxels
    as_on_a_gpu()
    print("| network | weights | " + " | ".join(f"{count:,} voxels" for count in counts) + " |")
    print("|---" * (len(counts) + 2) + "|")
    for name in ("shipped", *NAMES):
        chosen = shipped() if name == "shipped" else network(name).eval()
        weights = sum(p.numel() * p.element_size() for p in chosen.state_dict().values()) / 1e6
        peaks = (weights + peak(chosen, count) for count in counts)
        print(f"| {name} | {weights:.0f} MB | " + " | ".join(f"{value:,.0f} MB" for value in peaks) + " |", flush=True)


def shipped() -> Any:
    """The default model's network."""
    return checkpoint.load(weights_file("e2i3d"))


def as_on_a_gpu() -> None:
    """The sizes and ways that a CUDA device gets."""
    kernel_map.CPU_ROWS = kernel_map.CPU_ROWS_WIDE = kernel_map.DEVICE_ROWS
    kernel_map.GATHERED = 1 << 40
    scratch.KEPT = 0
    coordinates.CPU_CHUNK = coordinates.DEVICE_CHUNK
    cpu_attention.MIN_FOLDED_NUMBERS = 1 << 60
    scene.PAIRS_AT_ONCE["cpu"] = scene.PAIRS_AT_ONCE["cuda"]


def peak(chosen: Any, voxels: int) -> float:
    """Megabytes of tensors that an encoding and a few decodings add at most."""
    coords = room(voxels)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        measure(chosen, coords, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        watched.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    moments = [event for event in events if event.get("name") == "[memory]"]
    moments.sort(key=lambda event: float(event["ts"]))
    held = [int(event["args"]["Total Allocated"]) for event in moments]
    before = held[0] - int(moments[0]["args"]["Bytes"])
    return (max(held) - before) / 1e6


if __name__ == "__main__":
    main()
