#!/usr/bin/env python3
"""Milliseconds of an image and a text, of models with random weights, here and in the library that they come from, in turns.

    families.py [--pgclip FILE] [--rounds N] [--work DIR] NAME...     NAME: of models/registry.toml, as `pgclip known` lists it

Prints a row of a table for each. The libraries run as they do by default, and compute a text as their tokenizers fill it up; pg_clip computes
its 10 tokens where the tower allows it. Needs what the goldens need.
"""
import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

GOLDEN = Path(__file__).parent.parent / "crates/clip-core/tests/golden"
sys.path.insert(0, str(GOLDEN))
import make_known  # noqa: E402, found there


def best(run, least=1.0):
    """The shortest of several, in milliseconds, for a second at least."""
    run()
    times, end = [], time.perf_counter() + least
    while len(times) < 3 or time.perf_counter() < end:
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return 1e3 * min(times)


def theirs(reference, pixels, ids):
    with torch.inference_mode():
        return [best(lambda: reference.image(pixels)), best(lambda: reference.embed_text(ids))]


def ours(a, name, precision):
    command = [a.pgclip, "bench", name, "--model-dir", a.work / "models", "--precision", precision, "--threads", str(os.cpu_count()),
               "--case", "image_b1", "--case", "text_b1_l10"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(line.split()[-1]) for line in output.splitlines() if line.startswith(("image_b1", "text_b1_l10"))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pgclip", default="target/release/pgclip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("target/bench/families"))
    parser.add_argument("names", nargs="+")
    a = parser.parse_args()
    known = {model["name"]: model for model in make_known.registry()}
    torch.set_num_threads(os.cpu_count())
    a.work.mkdir(parents=True, exist_ok=True)
    for name in a.names:
        directory, images, reference = make_known.lay_out(known[name], known, a.work.absolute())
        more = ["--images", images] if images != directory else []
        subprocess.run([a.pgclip, "import", directory, *more, "--name", name, "--model-dir", a.work / "models"], check=True, stdout=subprocess.DEVNULL)
        for d in (directory, images):
            shutil.rmtree(d, ignore_errors=True)
        size = reference.image_size
        height, width = size if isinstance(size, tuple) else (size, size)
        ids = next(ids for ids in reference.texts(reference.vocab_size, reference.context).values() if len(ids) >= 10)[:10]
        rounds = [(theirs(reference, torch.randn(1, 3, height, width), ids), *(ours(a, name, p) for p in ("f32", "bf16", "int8")))
                  for _ in range(a.rounds)]
        least = [[min(values) for values in zip(*way)] for way in zip(*rounds)]
        print(f"| {name} | " + " | ".join(", ".join(f"{value:.1f}" for value in way) for way in least[1:] + least[:1]) + " |", flush=True)
        shutil.rmtree(a.work / "models" / name)


main()
