#!/usr/bin/env python3
"""Made JPEG files, and those of directories, through Pillow and through this crate: are all levels the same?

    cargo build --release -p jpeg-levels --example jpeg_decode
    crates/jpeg-levels/tests/golden/sweep.py --pictures DIR [--made N] [--seed S] [--largest PIXELS] [--divisor 2|4|8] [FILE or DIR ...]

--pictures: where JPEG files lie whose content the made ones have. Needs Pillow, and cjpeg and jpegtran.
"""
import argparse, collections, subprocess, sys, tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
import PIL
from PIL import Image, features
from made import made
from reference import pillow_levels


class Ours:
    def __init__(self, program, divisor):
        self.p = subprocess.Popen([program, "--list", str(divisor)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def levels(self, path):
        self.p.stdin.write(f"{path}\n".encode())
        self.p.stdin.flush()
        head = self.p.stdout.readline().decode().strip()
        if not head:
            raise SystemExit(f"{path}: the decoder ended")
        if head.startswith("error"):
            return None, head, None
        w, h, n, truncated, *_ = head.split()
        return (int(w), int(h)), self.p.stdout.read(int(w) * int(h) * int(n)), truncated == "true"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--program", default="target/release/examples/jpeg_decode")
    ap.add_argument("--pictures", type=Path)
    ap.add_argument("--made", type=int, default=0)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--largest", type=int, default=4000)
    ap.add_argument("--divisor", type=int, default=1, help="decoded at 1/2, 1/4 or 1/8 of the size")
    ap.add_argument("--keep", type=Path, help="where files that differ are copied")
    ap.add_argument("files", nargs="*", type=Path)
    a = ap.parse_args()
    ours, counts, scratch = Ours(a.program, a.divisor), collections.Counter(), tempfile.NamedTemporaryFile(suffix=".jpg")

    def compare(name, data):
        Path(scratch.name).write_bytes(data)
        size, levels, truncated = ours.levels(scratch.name)
        expected_size, expected = pillow_levels(data, divisor=a.divisor)
        kind = None
        if expected_size is None:
            if size is None:
                kind = "both refuse"
            elif truncated:
                kind = "Pillow refuses, here told to be truncated"
            else:
                kind = "Pillow refuses"
        elif size is None:
            kind = "refused here"
        elif truncated:
            kind = "told to be truncated here"
        elif size != expected_size:
            kind = "of another size"
        elif levels != expected:
            kind = "different"
        else:
            kind = "equal"
        counts[kind] += 1
        if kind not in ("equal", "both refuse", "Pillow refuses, here told to be truncated"):
            note = ""
            if kind == "different":
                d = np.abs(np.frombuffer(levels, "u1").astype(int) - np.frombuffer(expected, "u1"))
                rows = np.flatnonzero(d.reshape(size[1], -1).any(1))
                note = f"{(d > 0).mean():.4%} of levels, max {d.max()}, rows {rows[0]} to {rows[-1]} of {size[1]}"
            elif kind == "refused here":
                note = levels
            elif kind == "Pillow refuses":
                note = expected
            print(f"{kind}: {name} {note}", flush=True)
            if a.keep:
                (a.keep / Path(name).name).with_suffix(".jpg").write_bytes(data)

    pictures = sorted(a.pictures.glob("*.jpg")) if a.pictures else []
    if a.made:
        for name, data in made([Image.open(p).convert("RGB") for p in pictures], a.made, a.seed, a.largest):
            compare(name, data)
    for path in a.files:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.read_bytes()[:2] == b"\xff\xd8":
                compare(str(file), file.read_bytes())
    print(f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}:",
          ", ".join(f"{n} {k}" for k, n in counts.most_common()))


main()
