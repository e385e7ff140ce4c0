#!/usr/bin/env python3
"""Writes JPEGs to reduced/, and what Pillow makes of them when it decodes them smaller: the square that a model of SIDE pixels sees.

As `Image.thumbnail` with a `reducing_gap` of 2: libjpeg decodes to 1/2, 1/4 or 1/8, and the `box` of `resize` leaves out what is no part
of the picture. `reduced/NAME.png` is the square, `reduced/index.json` has the size of the picture, its orientation and the divisor.
"""
import io
import json
import shutil

import numpy as np
from PIL import Image, ImageOps

from versions import HERE

OUT = HERE / "reduced"
SIDE = 64
# name, width, height, options, orientation
CASES = [
    ("half", 301, 277, {"subsampling": 2}, 1),
    ("quarter", 601, 523, {"subsampling": 1}, 6),
    ("quarter_mirrored", 603, 525, {"subsampling": 0}, 7),
    ("eighth", 1203, 1037, {"progressive": True}, 1),
    ("eighth_turned", 1203, 1037, {"subsampling": 2}, 3),
    ("grey", 517, 1033, {}, 8),
    ("small", 250, 200, {}, 1),
]


def picture(width, height, seed):
    y, x = np.mgrid[0:height, 0:width] / min(width, height)
    waves = [np.sin((9 + 3 * c) * x * (1 + c - y) + seed) + np.cos((21 - 5 * c) * y + x) for c in range(3)]
    edges = (np.hypot(x - 0.5, y - 0.5) < 0.31) * 60.0
    return Image.fromarray((120 + 40 * np.stack(waves, -1) + edges[..., None]).clip(0, 255).astype("u1"))


def seen(data, divisor, squash):
    im = Image.open(io.BytesIO(data))
    whole = im.size
    if divisor > 1:
        im._size = tuple(-(-n // divisor) for n in whole)
        im.tile = [im.tile[0]._replace(extents=(0, 0, *im.size))]
        im.decoderconfig = (divisor, 0)
    orientation = im.getexif().get(274, 1)
    im = ImageOps.exif_transpose(im).convert("RGB")
    if orientation > 4:
        whole = whole[::-1]
    # What is less than a pixel of a reduced picture is at its end, which a turn brings to the start.
    ends = [n / divisor for n in whole]
    starts = [size - end if turned else 0 for size, end, turned in zip(im.size, ends, (orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)))]
    box = (*starts, *(s + e for s, e in zip(starts, ends)))
    if squash:
        return im.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box)
    short, long = sorted(whole)
    size = [SIDE if n == short else int(SIDE * long / short) for n in whole]
    im = im.resize(size, Image.Resampling.BICUBIC, box)
    left, top = ((n - SIDE) // 2 for n in size)
    return im.crop((left, top, left + SIDE, top + SIDE))


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    index = []
    for seed, (name, width, height, options, orientation) in enumerate(CASES):
        im = picture(width, height, seed)
        if name == "grey":
            im = im.convert("L")
        exif = Image.Exif()
        exif[274] = orientation
        buffer = io.BytesIO()
        im.save(buffer, "JPEG", quality=50, exif=exif, **options)
        (OUT / f"{name}.jpg").write_bytes(buffer.getvalue())
        divisor = next((d for d in (8, 4, 2) if min(width, height) // d >= 2 * SIDE), 1)
        for squash in (False, True):
            file = f"{name}_squashed.png" if squash else f"{name}.png"
            seen(buffer.getvalue(), divisor, squash).save(OUT / file, optimize=True)
        index.append({"name": name, "width": width, "height": height, "divisor": divisor})
    (OUT / "index.json").write_text(json.dumps(index, indent=1) + "\n")


main()
