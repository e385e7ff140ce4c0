#!/usr/bin/env python3
"""Write images/hashes.json: what ImageHash's phash makes of the golden images, upright and converted to RGB.

Run after make_images.py. See README.md.
"""
import io
import json

import imagehash
from PIL import Image, ImageOps

import versions
from versions import HERE, record

versions.LIBRARIES = ("imagehash", "pillow", "numpy", "scipy")
IMAGES = HERE / "images"


def main():
    hashes = {}
    for case in json.loads((IMAGES / "index.json").read_text())["cases"]:
        data = (IMAGES / case["file"]).read_bytes()
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        hashes[case["file"]] = str(imagehash.phash(picture))
    made = record("make_hashes.py")
    (IMAGES / "hashes.json").write_text(json.dumps(dict(versions=made, hashes=hashes), indent=1) + "\n")
    print(f"{len(hashes)} hashes, {len(set(hashes.values()))} different")


if __name__ == "__main__":
    main()
