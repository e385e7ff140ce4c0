#!/usr/bin/env python3
"""Makes this directory's files: small HEICs of every kind that writer.py knows, and libheif's levels of them in expected.tsv.

    make_goldens.py

Needs: pillow-heif, Pillow, numpy (pip).
"""
import io
import pathlib
import warnings

import numpy as np
import pillow_heif
import PIL
from PIL import Image

import writer

HERE = pathlib.Path(__file__).parent
LARGEST = 8000  # bytes
ALL = 240_000
warnings.simplefilter("ignore")
pillow_heif.register_heif_opener()


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return value


def expected(data):
    """As RGB of 8 bits, or None. Grey of more bits comes as 16, of which the upper ones count."""
    try:
        image = Image.open(io.BytesIO(data))
        if image.mode == "I;16":
            return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, 2)
        return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError):
        return None


def features(name):
    """Pairs of what a golden stands for: a file is kept that brings a new one."""
    _, kind, chroma, depth, quality, size, *rest = name.split("-", 6)
    return {(kind, chroma), (kind, depth), (kind, quality), (kind, *rest), (kind, size)}


def versions():
    info = pillow_heif.libheif_info()
    libraries = f"Pillow {PIL.__version__}, pillow-heif {pillow_heif.__version__}, libheif {info['libheif']}, {info['decoders']['libde265']}"
    return f"# {libraries}: name, width, height, FNV-1a of the levels as RGB"


def main():
    for old in HERE.glob("*.heic"):
        old.unlink()
    seen, total, lines = set(), 0, [versions()]
    kinds = [(2, file) for file in writer.made(7, 177)] + [(1, file) for file in writer.overlays(8, 24)]
    for least, (name, data) in kinds:
        name = name.translate(str.maketrans("(), ", "__.-")).replace(".-", ".")
        new = features(name) - seen
        if len(data) > LARGEST or len(new) < least or total + len(data) > ALL:
            continue
        levels = expected(data)
        if levels is None:
            continue
        seen |= new
        total += len(data)
        (HERE / f"{name}.heic").write_bytes(data)
        lines.append(f"{name}\t{levels.shape[1]}\t{levels.shape[0]}\t{fnv(levels.tobytes()):016x}")
    (HERE / "expected.tsv").write_text("\n".join(lines) + "\n")
    print(len(lines) - 1, "files,", total, "bytes")


if __name__ == "__main__":
    main()
