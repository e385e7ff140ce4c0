#!/usr/bin/env python3
"""A directory of JPEGs as a photo collection has them, and texts to search it by. Both are the same for the same numbers.

    collection.py DIRECTORY IMAGES [PHOTOS]     PHOTOS: a directory of photos that the pictures are cut from

Of 100 pictures, 10 have 640 x 480 (messengers), 25 have 1280 x 960 and 30 have 1600 x 1200 (web), 20 have 2592 x 1944 and 15 have
4000 x 3000 pixels (cameras, phones), one in four upright: 3.7 megapixels on average. Small ones are parts of a photo. Larger ones are
mosaics of such parts, so that a pixel has as many bytes as a photo's. Without PHOTOS the parts are of noise whose strength falls with
its frequency, as in photos. Needs: pillow numpy (pip).
"""
import os
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = (((640, 480), 10), ((1280, 960), 25), ((1600, 1200), 30), ((2592, 1944), 20), ((4000, 3000), 15))
QUALITY = 88
SMALL = (640, 480)
COLOURS = "red blue green yellow white black brown grey golden silver".split()
THINGS = "bicycle dog cat boat house tree car bridge horse guitar kite train clock lamp bird".split()
PLACES = "on a beach|in the snow|beside a river|at night|in a kitchen|on a table|in a park|under a bridge|in the rain|on a hill".split("|")


def queries(number):
    """Texts, no two alike up to 1,500 of them."""
    texts = [f"a {colour} {thing} {place}" for colour in COLOURS for thing in THINGS for place in PLACES]
    random.Random(1).shuffle(texts)
    return [texts[i % len(texts)] for i in range(number)]


def noise(seed):
    numbers = np.random.default_rng(seed)
    total = np.zeros((SMALL[1], SMALL[0], 3))
    for cells in (4, 8, 16, 32, 64, 128, 256):
        grid = Image.fromarray(numbers.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize(SMALL, Image.Resampling.BICUBIC)
        total += (np.asarray(grid) - 128.0) / cells ** 0.5
    return Image.fromarray(np.clip(128 + 1.5 * total, 0, 255).astype(np.uint8))


def sources(photos):
    files = sorted(path for path in Path(photos).iterdir() if path.suffix.lower() in (".jpg", ".jpeg")) if photos else []
    return [Image.open(path).convert("RGB") for path in files] or [noise(seed) for seed in range(40)]


def part(pictures, numbers):
    """Between half and all of a photo's sides."""
    picture = numbers.choice(pictures)
    share = numbers.uniform(0.5, 1)
    size = [int(side * share) for side in picture.size]
    left, top = (numbers.randint(0, whole - side) for whole, side in zip(picture.size, size, strict=True))
    return picture.crop((left, top, left + size[0], top + size[1]))


def size_of(index, numbers):
    """By turns, so that few pictures have the same shares as many."""
    place = (index * 37) % 100
    for size, share in SIZES:
        if place < share:
            return size[::-1] if numbers.random() < 0.25 else size
        place -= share
    raise AssertionError("shares sum up to 100")


def mosaic(pictures, numbers, size):
    """Parts in rows, not scaled: what is scaled up has fewer bytes a pixel than a photo."""
    picture, top = Image.new("RGB", size), 0
    while top < size[1]:
        left, row = 0, []
        while left < size[0]:
            tile = part(pictures, numbers)
            picture.paste(tile, (left, top))
            left += tile.width
            row.append(tile.height)
        # the next row covers what hangs down from this one
        top += min(row)
    return picture


def write(directory, pictures, index):
    numbers = random.Random(index)
    width, height = size_of(index, numbers)
    if width * height <= SMALL[0] * SMALL[1]:
        picture = part(pictures, numbers).resize((width, height), Image.Resampling.LANCZOS)
    else:
        picture = mosaic(pictures, numbers, (width, height))
    picture.save(Path(directory, f"{index:05}.jpg"), quality=QUALITY)


def write_share(directory, photos, indices):
    pictures = sources(photos)
    for index in indices:
        write(directory, pictures, index)


def make(directory, images, photos=None):
    """A directory that is there is complete, as it gets its name last."""
    if Path(directory).exists():
        return
    part_made = Path(f"{directory}.part")
    part_made.mkdir(parents=True, exist_ok=True)
    shares = os.cpu_count() or 1
    with ProcessPoolExecutor(shares) as pool:
        for done in [pool.submit(write_share, part_made, photos, range(first, images, shares)) for first in range(shares)]:
            done.result()
    part_made.rename(directory)


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
