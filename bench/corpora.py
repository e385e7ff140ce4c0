#!/usr/bin/env python3
"""Directories of image files through Pillow and through this engine: a table, and every file that is not the same in both.

    cargo build --release -p clip-core --example levels
    bench/corpora.py [--known FILE] [--skip FORMAT] NAME=DIRECTORY ...

The reference is ImageOps.exif_transpose(Image.open(file)).convert("RGB"). Files of other formats do not count. FILE explains, one a
line, `NAME/PATH<TAB>why` (PATH may end in `*`); files in no line of it that differ make the status 1. Needs Pillow and numpy.
"""
import argparse
import collections
import fnmatch
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageFile, ImageOps, features

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]
BEGINNINGS = {
    "JPEG": [b"\xff\xd8\xff"], "PNG": [b"\x89PNG\r\n\x1a\n"], "GIF": [b"GIF87a", b"GIF89a"], "BMP": [b"BM"],
    "TIFF": [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"],
}
COLUMNS = ["files", "bit-equal", "within 1 level", "refused by both", "refused here alone", "read here alone", "different"]
# Its arithmetic decoder cannot wait for further bytes of a file.
ImageFile.MAXBLOCK = 1 << 28
warnings.simplefilter("ignore")
Image.init()


def format_of(path):
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "WebP"
    return next((name for name, all in BEGINNINGS.items() if any(head.startswith(b) for b in all)), None)


def reference(path):
    """Size and levels, or an error."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            image = ImageOps.exif_transpose(image).convert("RGB")
            return image.size, image.tobytes()
    except Exception as e:
        return None, f"{type(e).__name__}: {e}"


class Engine:
    """The example program, started anew where a file ended it."""

    def __init__(self, program):
        self.program, self.process = program, None

    def levels(self, path):
        if self.process is None:
            self.process = subprocess.Popen([self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process.stdin.write(f"{path}\n".encode())
        self.process.stdin.flush()
        head = self.process.stdout.readline().decode().strip()
        if not head:
            status, self.process = self.process.wait(), None
            return None, f"the program ended with status {status}"
        if head.startswith("error "):
            return None, head.removeprefix("error ")
        width, height = map(int, head.split())
        return (width, height), self.process.stdout.read(3 * width * height)


def compare(ours, theirs):
    """A column's name, and what there is to say."""
    (size, levels), (expected_size, expected) = ours, theirs
    if size is None and expected_size is None:
        return "refused by both", levels
    if size is None:
        return "refused here alone", levels
    if expected_size is None:
        return "read here alone", expected
    if size != expected_size:
        return "different", f"{size[0]} x {size[1]} pixels, expected {expected_size[0]} x {expected_size[1]}"
    if levels == expected:
        return "bit-equal", ""
    off = np.abs(np.frombuffer(levels, "u1").astype("i2") - np.frombuffer(expected, "u1"))
    column = "within 1 level" if off.max() <= 1 else "different"
    return column, f"{(off > 0).mean():.2%} of levels, mean {off.mean():.3f}, max {off.max()}"


def known(file):
    lines = file.read_text().splitlines() if file else []
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def table(first, counts):
    print(f"\n| {first} | " + " | ".join(COLUMNS) + " |")
    print("|---" * (1 + len(COLUMNS)) + "|")
    for name, row in [*counts.items(), ("all", sum(counts.values(), collections.Counter()))]:
        print(f"| {name} | " + " | ".join(str(row[column]) for column in COLUMNS) + " |")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--program", default="target/release/examples/levels")
    options.add_argument("--known", type=Path)
    options.add_argument("--skip", action="append", default=[], help="a format that is not compared")
    options.add_argument("corpora", nargs="+", metavar="NAME=DIRECTORY")
    options = options.parse_args()
    engine, reasons = Engine(options.program), known(options.known)
    corpora, formats = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    found = collections.defaultdict(list)
    for corpus in options.corpora:
        name, _, directory = corpus.partition("=")
        for path in sorted(Path(directory).rglob("*")):
            kind = format_of(path) if path.is_file() else None
            if kind is None or kind in options.skip:
                continue
            column, note = compare(engine.levels(path), reference(path))
            for counts in (corpora[name], formats[kind]):
                counts.update(["files", column])
            found[column].append((f"{name}/{path.relative_to(directory)}", kind, note))
    print(f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}, libtiff {features.version('libtiff')}")
    table("corpus", corpora)
    table("format", formats)
    unexplained = 0
    for column in ("different", "refused here alone", "within 1 level", "read here alone"):
        print(f"\n{column}:")
        for file, kind, note in sorted(found[column], key=lambda entry: (entry[1], entry[2], entry[0])):
            why = next((why for pattern, why in reasons if fnmatch.fnmatchcase(file, pattern)), None)
            unexplained += why is None and column != "read here alone"
            print(f"- {file}: {note}" + (f" [{why}]" if why else ""))
    print(f"\n{unexplained} unexplained")
    return unexplained > 0


if __name__ == "__main__":
    sys.exit(main())
