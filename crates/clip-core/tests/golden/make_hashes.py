#!/usr/bin/env python3
"""Write images/hashes.json: what ImageHash's phash makes of the golden images, upright and converted to RGB.

With each hash are the bits that it leaves to the rounding of its floats: of frequencies that equal the median, as in a picture of two
columns, where half of them are zero. Run after make_images.py. See README.md.
"""
import io
import json

import imagehash
import numpy as np
import pillow_heif
import scipy.fftpack
from PIL import Image, ImageOps

import versions
from versions import HERE, record

versions.LIBRARIES = ("imagehash", "pillow", "pillow-heif", "numpy", "scipy")
pillow_heif.register_heif_opener()
IMAGES = HERE / "images"


def undecided(picture):
    """As imagehash.phash comes to its bits."""
    pixels = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS))
    low = scipy.fftpack.dct(scipy.fftpack.dct(pixels, axis=0), axis=1)[:8, :8]
    bits = (np.abs(low - np.median(low)) < 1e-9 * np.abs(low).max()).reshape(-1)
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def main():
    hashes = {}
    for case in json.loads((IMAGES / "index.json").read_text())["cases"]:
        data = (IMAGES / case["file"]).read_bytes()
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        hashes[case["file"]] = [str(imagehash.phash(picture)), undecided(picture)]
    made = record("make_hashes.py")
    (IMAGES / "hashes.json").write_text(json.dumps(dict(versions=made, hashes=hashes), indent=1) + "\n")
    print(f"{len(hashes)} hashes, {len({h for h, _ in hashes.values()})} different")


if __name__ == "__main__":
    main()
