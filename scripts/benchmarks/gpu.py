#!/usr/bin/env python3
"""Measures the network on a GPU, alternating with PyTorch on the same GPU. Called by scripts/bench.

Needs `scripts/setup bench --gpu`, and for the second half a Python with PyTorch; without it that half is skipped.
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import page

SIZES = [1, 8, 32, 64]
SECONDS = 3


def livelabel(model, device):
    command = [page.PROGRAM, "bench", "model", "--model", model, "--device", device, "--json"]
    done = subprocess.run([*command, "--batches", ",".join(map(str, SIZES))], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench: error: {done.stderr.strip()}")
    return json.loads(done.stdout)["batches"]


def pytorch(half):
    """Measures the same network, compiled, channels last, with tensors on the GPU."""
    import torch

    import resnet50

    kind = torch.float16 if half else torch.float32
    network = resnet50.network().eval().cuda().to(kind).to(memory_format=torch.channels_last)
    network = torch.compile(network, mode="max-autotune")
    rows = []
    for size in SIZES:
        batch = torch.randn(size, 3, 224, 224, device="cuda", dtype=kind).to(memory_format=torch.channels_last)
        delays = []
        with torch.inference_mode():
            for _ in range(10):
                network(batch)
            torch.cuda.synchronize()
            end = time.perf_counter() + SECONDS
            while time.perf_counter() < end:
                began = time.perf_counter()
                network(batch)
                torch.cuda.synchronize()
                delays.append(1000 * (time.perf_counter() - began))
        delays.sort()
        at = lambda share: delays[int(share * (len(delays) - 1))]
        rate = 1000 * size / statistics.mean(delays)
        rows.append({"size": size, "p50_ms": at(0.5), "p95_ms": at(0.95), "frames_per_second": rate})
    return rows


def beside_pytorch():
    """Describes PyTorch's release, CUDA and cuDNN; None if it is not installed."""
    try:
        import torch
    except ImportError:
        return ""
    return f", beside PyTorch {torch.__version__} (CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()})"


def name_of_gpu():
    done = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True)
    return done.stdout.strip() or "an unknown GPU"


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench gpu")
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    lines = ["| program | batch | p50, ms | p95, ms | frames/s | from decoded pictures, frames/s |", "|---|---|---|---|---|---|"]
    numbers = {}

    def add(program, rows):
        numbers[program] = rows
        for row in rows:
            pictures = f"{row['from_pictures_per_second']:.0f}" if "from_pictures_per_second" in row else ""
            lines.append(f"| {program} | {row['size']} | {row['p50_ms']:.2f} | {row['p95_ms']:.2f} | {row['frames_per_second']:.0f} | {pictures} |")
            print(lines[-1], flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for precision in ("fp32", "fp16"):
            model = Path(folder) / f"{precision}.onnx"
            backbone = ["--backbone", page.ROOT / ".deps/resnet50", "--head", "imagenet", "--precision", precision]
            subprocess.run([page.PROGRAM, "model", "build", *backbone, "--output", model], check=True, stdout=subprocess.DEVNULL)
            add(f"livelabel, {precision}", livelabel(model, given.device))
            try:
                add(f"PyTorch, {precision}", pytorch(precision == "fp16"))
            except ImportError as missing:
                print(f"bench: PyTorch is skipped: {missing}", file=sys.stderr)
    page.put("gpu", "scripts/bench gpu", "\n".join(lines) + f"\n\nOn {name_of_gpu()}{beside_pytorch()}.", numbers)


if __name__ == "__main__":
    main()
