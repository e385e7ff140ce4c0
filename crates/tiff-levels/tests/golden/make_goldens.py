#!/usr/bin/env python3
"""Makes this directory's files: small TIFFs of every kind that writer.py knows, and Pillow's levels of them in expected.tsv.

    make_goldens.py

A file that Pillow reads otherwise than its tags mean (sweep.py says why) is left out. Needs: Pillow, numpy (pip).
"""
import io
import pathlib
import warnings

import numpy as np
import PIL
from PIL import Image

import sweep
import writer

HERE = pathlib.Path(__file__).parent
LARGEST = 2500  # bytes
warnings.simplefilter("ignore")


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return value


def features(name, tag):
    """Pairs of what a golden stands for: a file is kept that brings a new one."""
    parts = name.split("-")
    if name.startswith("pillow"):
        return {(parts[1], parts[3]), (parts[3], parts[4])}
    what, compression, order, *rest = parts[1:]
    others = {("tile", bool(tag["tile"])), ("order", order), ("big", tag["big"]), ("predictor", tag["predictor"]), ("fill", tag["fill"])}
    return ({(what, compression)} | {(what, other) for other in others} | {(compression, other) for other in others}
            | {(what, tag["bits"], tag["planes"]), (what, tag["extra"], tag["planes"]), (what, *rest)})


def main():
    for old in HERE.glob("*.tif"):
        old.unlink()
    seen, lines = set(), [f"# Pillow {PIL.__version__}: name, width, height, FNV-1a of the levels as RGB"]
    for source in (writer.made(7, 3000), writer.saved(7)):
        for name, data in source:
            if len(data) > LARGEST:
                continue
            tag = sweep.tags(io.BytesIO(data))
            if not tag or features(name, tag) <= seen or sweep.reason(tag):
                continue
            expected, _ = sweep.theirs(io.BytesIO(data))
            if expected is None or expected.shape[0] * expected.shape[1] < 200:
                continue
            if expected.shape[0] * expected.shape[1] > 3000:
                continue
            seen |= features(name, tag)
            (HERE / f"{name}.tif").write_bytes(data)
            lines.append(f"{name}\t{expected.shape[1]}\t{expected.shape[0]}\t{fnv(expected.tobytes()):016x}")
    (HERE / "expected.tsv").write_text("\n".join(lines) + "\n")


main()
