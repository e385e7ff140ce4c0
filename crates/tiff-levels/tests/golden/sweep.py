#!/usr/bin/env python3
"""Compares the levels of TIFF files with Pillow's `convert("RGB")`, one by one.

    cargo build --release -p tiff-levels --example tiff_levels
    tests/golden/sweep.py [--made N] [--seed S] [--program FILE] [--keep DIRECTORY] [DIRECTORY...]

Files: those of the directories that end in .tif or .tiff; with --made, N random ones (writer.py) and what Pillow writes of every
mode and compression. Prints how many there are of each kind, and names those that are not equal, with what their tags say. Ends
with 1 where one is different without a reason. Needs: Pillow, numpy (pip).
"""
import argparse
import collections
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from PIL import Image

import writer

warnings.simplefilter("ignore")
Image.MAX_IMAGE_PIXELS = 200_000_000
TURNS = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE, 6: Image.ROTATE_270,
         7: Image.TRANSVERSE, 8: Image.ROTATE_90}


def theirs(path):
    try:
        with Image.open(path) as image:
            if image.format != "TIFF":
                return None, f"is {image.format}"
            return np.asarray(image.convert("RGB")), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"[:100]


def ours(program, path):
    program.stdin.write(f"{path}\n".encode())
    program.stdin.flush()
    line = program.stdout.readline().decode()
    if line.startswith("error") or not line:
        return None, line[6:].strip() or "crash"
    width, height, turn = map(int, line.split())
    image = Image.frombytes("RGB", (width, height), program.stdout.read(3 * width * height))
    return np.asarray(image.transpose(TURNS[turn]) if turn in TURNS else image), None


def tags(path):
    try:
        with Image.open(path) as image:
            tag = image.tag_v2
            return {"order": tag.prefix, "compression": tag.get(259, 1), "photometric": tag.get(262), "planes": tag.get(284, 1), "bits": tag.get(258),
                    "format": tag.get(339, (1,))[0], "fill": tag.get(266, 1), "extra": tag.get(338), "subsampling": tag.get(530), "tile": tag.get(322),
                    "predictor": tag.get(317, 1), "big": tag._bigtiff}
    except Exception:
        return {}


def reason(tag):
    """Why Pillow is not the measure of a file."""
    bits = tag.get("bits") or (1,)
    if tag.get("compression") == 1 and tag["planes"] == 2 and bits[0] == 16:
        return "Pillow takes planes of 16 bits for planes of 8"
    if tag.get("compression") != 1 and tag.get("order") == b"MM" and (tag["format"] != 1 or bits[0] == 32):
        return "Pillow exchanges the bytes of compressed signed and 32-bit samples twice"
    if tag.get("compression") == 1 and tag.get("photometric") == 6 and tag.get("subsampling") not in (None, (1, 1)):
        return "Pillow does not know of subsampled chroma that is not compressed"
    if tag.get("compression") == 1 and tag["planes"] == 2 and tag["fill"] == 2:
        return "Pillow does not turn the bits of planes"
    if tag.get("photometric") == 6 and tag.get("subsampling") == (4, 4) and not tag["tile"]:
        return "libtiff counts the bytes of a row of odd blocks of 4 x 4 too few"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directories", nargs="*", type=pathlib.Path)
    parser.add_argument("--made", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", default="target/release/examples/tiff_levels")
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    counts, unexplained = collections.Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        if options.made:
            keep = options.keep or pathlib.Path(folder)
            keep.mkdir(exist_ok=True)
            for source in (writer.made(options.seed, options.made), writer.saved(options.seed)):
                for name, data in source:
                    (keep / f"{name}.tif").write_bytes(data)
            options.directories.append(keep)
        paths = [path for directory in options.directories for path in sorted(directory.rglob("*"))
                 if path.suffix.lower() in (".tif", ".tiff") and path.is_file()]
        program = subprocess.Popen([options.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for path in paths:
            (expected, refusal), (given, error) = theirs(path), ours(program, path)
            if given is None and error == "crash":
                print(f"CRASH {path}")
                sys.exit(2)
            if expected is None and given is None:
                counts["refused by both"] += 1
            elif given is None:
                counts["refused here alone"] += 1
                print(f"refused here alone: {path}: {error}; {tags(path)}")
            elif expected is None:
                counts["read here alone"] += 1
                print(f"read here alone: {path}: {refusal}; {tags(path)}")
            elif expected.shape == given.shape and np.array_equal(expected, given):
                counts["bit-equal"] += 1
            else:
                tag = tags(path)
                why = reason(tag)
                counts["different"] += 1
                unexplained += why is None
                off = np.abs(expected.astype(int) - given).max() if expected.shape == given.shape else "size"
                print(f"different: {path}: at most {off}; {why or tag}")
        program.stdin.close()
    print(f"{len(paths)} files: " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    sys.exit(bool(unexplained))


if __name__ == "__main__":
    main()
