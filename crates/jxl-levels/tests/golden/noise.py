"""Measures the noise that libjxl adds before it rounds to 8 bits, at its output: prints the table of `src/dither.rs`.

    python noise.py FILE.jxl FILE.f32

FILE.jxl is a lossy picture of 8 bits and some megapixels, FILE.f32 what a decoder gives of it without rounding: floats from 0 to 1, RGB.
With T the noise at a place, libjxl's level is `round(255 v + T)`. So each pixel bounds T, and a few thousand of them leave one of
256 values that lie evenly around 0. Needs Pillow, pillow-jxl-plugin and numpy.
"""

import sys

import numpy
import pillow_jxl  # noqa: F401
from PIL import Image

levels = numpy.asarray(Image.open(sys.argv[1]).convert("RGB")).astype(numpy.float64)
height, width, _ = levels.shape
values = numpy.fromfile(sys.argv[2], "<f4").reshape(levels.shape).astype(numpy.float64) * 255
least, most = levels - 0.5 - values, levels + 0.5 - values
# At the ends of the range one side says nothing.
least[levels <= 0], most[levels >= 255] = -9, 9
y, x = numpy.mgrid[0:height, 0:width]
noise = (numpy.arange(256) - 127.5) * (0.49219 / 127.5)
place = numpy.stack([(y + 13 * c) % 32 * 32 + (x + 23 * c) % 32 for c in range(3)], 2).ravel()
order = numpy.argsort(place, kind="stable")
ends = numpy.searchsorted(place[order], numpy.arange(1025))
least, most = least.ravel()[order], most.ravel()[order]
ranks = []
for begin, end in zip(ends, ends[1:]):
    below, above = numpy.sort(least[begin:end]), numpy.sort(most[begin:end])
    # How many pixels speak against each value.
    against = len(below) - numpy.searchsorted(below, noise, "right") + numpy.searchsorted(above, noise, "left")
    ranks.append(int(numpy.argmin(against)))
assert (numpy.bincount(ranks, minlength=256) == 4).all()
for row in numpy.array(ranks).reshape(32, 32):
    print("    [" + ", ".join(map(str, row)) + "],")
