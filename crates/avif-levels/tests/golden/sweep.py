"""Compares the decoder's levels with Pillow's, picture by picture.

    cargo build --release -p avif-levels --examples
    python sweep.py target/release/examples/avif_levels FILE_OR_DIRECTORY ...

What both refuse is equal. Needs Pillow with libavif, and numpy.
"""

import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
Image.MAX_IMAGE_PIXELS = None


def theirs(path):
    try:
        with Image.open(path) as image:
            turn = image.getexif().get(0x0112, 1) if "exif" in image.info else 1
            return turn, np.asarray(image.convert("RGB"))
    except Exception as error:  # Whatever it is, there is no picture.
        return str(error)


class Ours:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, path):
        self.process.stdin.write(f"{path}\n".encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode().strip()
        if not line:
            raise SystemExit(f"{path}: the decoder is gone")
        if line.startswith("error"):
            return line
        width, height, turn = map(int, line.split())
        pixels = self.process.stdout.read(3 * width * height)
        return turn, np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def compare(ours, theirs):
    if isinstance(ours, str) or isinstance(theirs, str):
        if isinstance(ours, str) and isinstance(theirs, str):
            return "both refuse", f"{ours} | {theirs}"
        return "one refuses", f"{ours if isinstance(ours, str) else '-'} | {theirs if isinstance(theirs, str) else '-'}"
    if ours[1].shape != theirs[1].shape:
        return "other size", f"{ours[1].shape} | {theirs[1].shape}"
    apart = np.abs(ours[1].astype(int) - theirs[1])
    if apart.any():
        return "other levels", f"{(apart == 0).mean():.2%} equal, mean {apart.mean():.4f}, at most {apart.max()}"
    return "equal", ""


def main():
    program, *names = sys.argv[1:]
    ours, counts = Ours(program), Counter()
    for name in names:
        path = Path(name)
        files = sorted(path.rglob("*.avif*")) if path.is_dir() else [path]
        for file in files:
            kind, what = compare(ours(file), theirs(file))
            counts[kind] += 1
            if kind != "equal":
                print(f"{file}: {kind}: {what}")
    print(", ".join(f"{kind} {count}" for kind, count in counts.most_common()))
    sys.exit(any(counts[kind] for kind in ("one refuses", "other size", "other levels")))


if __name__ == "__main__":
    main()
