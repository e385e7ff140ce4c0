#!/usr/bin/env python3
"""What `clip.jpeg_decoding = reduced` changes: vectors of JPEGs in full and reduced, and what both take.

    reduced.py --model NAME --model-dir DIR [--pgclip FILE] JPEG...

Prints a row of a table: cosines between both vectors, how many of the ten nearest of the others stay so, and seconds of the whole program.
"""
import argparse
import json
import subprocess
import time

import numpy as np


def embedded(a, decoding):
    images = [word for file in a.files for word in ("--image", file)]
    command = [a.pgclip, "embed", a.model, "--model-dir", a.model_dir, "--jpeg-decoding", decoding, *images]
    begun = time.monotonic()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return np.array([json.loads(line)["embedding"] for line in output.splitlines()]), time.monotonic() - begun


def nearest(queries, vectors):
    distances = 1 - queries @ vectors.T
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, 1)[:, :10]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--model-dir", required=True)
    parser.add_argument("--pgclip", default="target/release/pgclip")
    parser.add_argument("files", nargs="+")
    a = parser.parse_args()
    (full, full_time), (reduced, reduced_time) = embedded(a, "full"), embedded(a, "reduced")
    cosines = (full * reduced).sum(1) / np.linalg.norm(full, axis=1) / np.linalg.norm(reduced, axis=1)
    kept = np.mean([len(set(x) & set(y)) for x, y in zip(nearest(full, full), nearest(reduced, full))])
    print(f"| {a.model} | {len(full)} | {np.mean(cosines):.5f} | {np.min(cosines):.5f} | {kept:.2f} | {full_time:.1f} | {reduced_time:.1f} |")


main()
