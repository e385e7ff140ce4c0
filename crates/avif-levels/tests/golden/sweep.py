"""Compares the decoder's levels with Pillow's, picture by picture.

    cargo build --release -p avif-levels --examples
    python sweep.py target/release/examples/avif_levels [--frames] FILE_OR_DIRECTORY ...

What both refuse is equal. `--frames`: every picture of a sequence. Needs Pillow with libavif, and numpy.
"""

import subprocess
import sys
import warnings
from collections import Counter
from itertools import zip_longest
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


def their_frames(path):
    found = []
    try:
        with Image.open(path) as image:
            for number in range(image.n_frames):
                image.seek(number)
                found.append((1, np.asarray(image.convert("RGB"))))
    except Exception as error:
        found.append(str(error))
    return found


class Ours:
    def __init__(self, program, *words):
        self.process = subprocess.Popen([program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, path):
        self.process.stdin.write(f"{path}\n".encode())
        self.process.stdin.flush()

    def __call__(self, path):
        self.ask(path)
        return self.picture(path)

    def frames(self, path):
        self.ask(path)
        found = []
        while (picture := self.picture(path, ends=True)) is not None:
            found.append(picture)
        return found

    def picture(self, path, ends=False):
        line = self.process.stdout.readline().decode()
        if ends and line == "\n":
            return None
        line = line.strip()
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
    frames = names[:1] == ["--frames"]
    if frames:
        del names[0]
    ours, counts = Ours(program, *["frames"] * frames), Counter()
    for name in names:
        path = Path(name)
        files = sorted(path.rglob("*.avif*")) if path.is_dir() else [path]
        for file in files:
            pairs = zip_longest(ours.frames(file), their_frames(file), fillvalue="no picture") if frames else [(ours(file), theirs(file))]
            for number, pair in enumerate(pairs):
                kind, what = compare(*pair)
                counts[kind] += 1
                if kind != "equal":
                    print(f"{file}: picture {number}: {kind}: {what}")
    print(", ".join(f"{kind} {count}" for kind, count in counts.most_common()))
    sys.exit(any(counts[kind] for kind in ("one refuses", "other size", "other levels")))


if __name__ == "__main__":
    main()
