"""Makes the files of this directory again: small animations, and the levels of every frame as Pillow shows it.

    python make_frames.py DIRECTORY

Needs Pillow and numpy. The reference is `seek(i)` and `convert("RGB")`, all frames one after the other in NAME.raw. Each line of
`manifest.txt` has the name, the size, and the frames' times in milliseconds.
"""

import io
import pathlib
import struct
import sys
import zlib

import numpy
from PIL import Image

out = pathlib.Path(sys.argv[1])
manifest = []
WIDTH, HEIGHT = 24, 18


def scene(seed, width=WIDTH, height=HEIGHT):
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [random.integers(20, 235) + (x * random.integers(-5, 6) + y * random.integers(-5, 6)) for _ in range(3)]
    return numpy.stack(planes, 2).clip(0, 255).astype(numpy.uint8)


def keep(name, data, first=0):
    path = out / name
    path.write_bytes(data)
    image = Image.open(io.BytesIO(data))
    raw, times = b"", []
    for i in range(first, image.n_frames):
        # Opened anew: of an APNG whose frames are read one by one Pillow restores what it has drawn over already.
        image = Image.open(io.BytesIO(data))
        image.seek(i)
        raw += image.convert("RGB").tobytes()
        times.append(round(image.info.get("duration", 0)))
    (out / f"{name}.raw").write_bytes(raw)
    manifest.append(f"{name} {image.width} {image.height} {','.join(map(str, times))}")
    print(manifest[-1], len(data))


# GIF, written here: Pillow's writer makes frames of its own of what it is given.
def lzw(indices, bits):
    """Codes of one width only: the table is cleared before it grows."""
    clear, end = 1 << bits, (1 << bits) + 1
    codes = []
    for i in range(0, len(indices), (1 << bits) - 2):
        codes += [clear, *indices[i : i + (1 << bits) - 2]]
    value = used = 0
    packed = bytearray()
    for code in codes + [end]:
        value |= code << used
        used += bits + 1
        while used >= 8:
            packed.append(value & 255)
            value >>= 8
            used -= 8
    packed.append(value)
    blocks = b"".join(bytes([len(packed[i : i + 255])]) + packed[i : i + 255] for i in range(0, len(packed), 255))
    return bytes([bits]) + blocks + b"\0"


def gif(frames, colours=None, background=0):
    """Each frame: area, disposal, transparent index or None, palette of its own or None, time in hundredths."""
    flags = 0x80 | 3 if colours is not None else 0
    data = b"GIF89a" + struct.pack("<HHBBB", WIDTH, HEIGHT, flags, background, 0)
    if colours is not None:
        data += colours.tobytes()
    for i, ((x, y, w, h), disposal, transparent, own, time) in enumerate(frames):
        random = numpy.random.default_rng(100 + i)
        indices = (numpy.add.outer(numpy.arange(h) // 3, numpy.arange(w) // 4) + i * 3) % 16
        indices[random.random((h, w)) < 0.3] = 5
        control = disposal << 2 | (transparent is not None)
        data += b"!\xf9\x04" + struct.pack("<BHB", control, time, transparent or 0) + b"\0"
        data += b"," + struct.pack("<HHHHB", x, y, w, h, 0x80 | 3 if own is not None else 0)
        data += own.tobytes() if own is not None else b""
        data += lzw(indices.ravel().tolist(), 4)
    return data + b";"


def colours(seed):
    return numpy.random.default_rng(seed).integers(0, 256, (16, 3), dtype=numpy.uint8)


ALL, PART, OTHER = (0, 0, WIDTH, HEIGHT), (5, 4, 12, 9), (10, 2, 13, 14)
shared = colours(1)
keep("keep.gif", gif([(ALL, 1, None, None, 10), (PART, 1, 5, None, 20), (OTHER, 1, 5, None, 30)], shared))
keep("background.gif", gif([(ALL, 2, 5, None, 5), (PART, 2, 5, None, 5), (OTHER, 2, None, None, 5), (PART, 1, 3, None, 5)], shared, 7))
keep("background-opaque.gif", gif([(ALL, 2, None, None, 5), (PART, 2, None, None, 5), (OTHER, 2, None, None, 5)], shared, 7))
keep("previous.gif", gif([(ALL, 1, None, None, 4), (PART, 3, 5, None, 4), (OTHER, 3, 5, None, 4), (PART, 1, 2, None, 4)], shared))
keep("previous-first.gif", gif([(PART, 3, 5, None, 4), (OTHER, 3, 5, None, 4), (PART, 1, 2, None, 4)], shared))
keep("palettes.gif", gif([(PART, 1, 5, colours(2), 0), (ALL, 2, 5, colours(3), 1), (OTHER, 0, None, colours(4), 9), (PART, 1, 5, None, 9)], shared, 4))
keep("unsaid.gif", gif([(ALL, 2, None, None, 7), (PART, 0, 5, None, 7), (OTHER, 0, 5, None, 7)], shared, 2))
for seed in range(6):
    random = numpy.random.default_rng(500 + seed)
    frames = []
    for i in range(6):
        x, y = int(random.integers(0, WIDTH - 2)), int(random.integers(0, HEIGHT - 2))
        area = (x, y, int(random.integers(1, WIDTH - x + 1)), int(random.integers(1, HEIGHT - y + 1)))
        own = colours(600 + 10 * seed + i) if random.random() < 0.4 else None
        transparent = int(random.integers(0, 16)) if random.random() < 0.6 else None
        frames.append((area, int(random.integers(0, 4)), transparent, own, int(random.integers(0, 40))))
    keep(f"random-{seed}.gif", gif(frames, shared, int(random.integers(0, 16))))


# APNG, written here, for frames of every kind.
def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def deflated(pixels):
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels), 9)


def apng(frames, colour_type, pixels_of, default=None, extra=b""):
    """Each frame: area, disposal, blending, time as a fraction."""
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, colour_type, 0, 0, 0)) + extra
    data += chunk(b"acTL", struct.pack(">II", len(frames), 0))
    number = 0
    if default is not None:
        data += chunk(b"IDAT", deflated(default))
    for i, ((x, y, w, h), disposal, blending, (time, of)) in enumerate(frames):
        data += chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, w, h, x, y, time, of, disposal, blending))
        number += 1
        body = deflated(pixels_of(i, w, h))
        if i == 0 and default is None:
            data += chunk(b"IDAT", body)
        else:
            data += chunk(b"fdAT", struct.pack(">I", number) + body)
            number += 1
    return data + chunk(b"IEND", b"")


def rgba(i, w, h):
    opacity = numpy.random.default_rng(i).integers(0, 256, (h, w, 1), dtype=numpy.uint8)
    opacity[::3] = 255
    opacity[1::5] = 0
    return numpy.dstack([scene(i, w, h), opacity])


def rgb(i, w, h):
    return scene(i, w, h)


def mixed(disposals, blendings):
    areas = [ALL, PART, OTHER, PART, ALL]
    return [(a, d, b, (1, 10 + i)) for i, (a, d, b) in enumerate(zip(areas, disposals, blendings))]


keep("over.png", apng(mixed([0, 0, 0, 0, 0], [0, 1, 1, 0, 1]), 6, rgba))
keep("background.png", apng(mixed([1, 1, 1, 0, 0], [1, 1, 1, 1, 1]), 6, rgba))
keep("previous.png", apng(mixed([2, 2, 2, 1, 0], [0, 1, 0, 1, 1]), 6, rgba))
keep("rgb.png", apng(mixed([0, 2, 1, 0, 0], [0, 0, 1, 0, 1]), 2, rgb))
# Pillow counts the default picture, and leaves it under the first frame, which here covers it.
keep("default.png", apng(mixed([0, 1, 0, 0, 0], [0, 1, 1, 0, 1]), 6, rgba, rgba(9, WIDTH, HEIGHT)), 1)


# WebP, by libwebp, put together here.
def box(kind, body):
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def webp(frames, lossless):
    body = box(b"VP8X", struct.pack("<I", 0x12) + struct.pack("<I", WIDTH - 1)[:3] + struct.pack("<I", HEIGHT - 1)[:3])
    body += box(b"ANIM", b"\xff\x10\x20\x80\0\0")
    for i, ((x, y, w, h), removed, opaque, blends, time) in enumerate(frames):
        file = io.BytesIO()
        pixels = rgba(i, w, h)
        image = Image.fromarray(pixels[..., :3].copy() if opaque else pixels)
        image.save(file, "WEBP", lossless=lossless, quality=70, exact=True)
        inner, at = b"", 12
        while at < len(file.getvalue()):
            kind, size = file.getvalue()[at : at + 4], struct.unpack("<I", file.getvalue()[at + 4 : at + 8])[0]
            if kind != b"VP8X":
                inner += box(kind, file.getvalue()[at + 8 : at + 8 + size])
            at += 8 + size + size % 2
        three = [struct.pack("<I", value)[:3] for value in (x // 2, y // 2, w - 1, h - 1, time)]
        body += box(b"ANMF", b"".join(three) + bytes([removed | (not blends) << 1]) + inner)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


EVEN, PLACE = (4, 4, 12, 9), (10, 2, 13, 14)
kinds = [(ALL, 0, 0, 1, 40), (EVEN, 0, 0, 1, 50), (PLACE, 1, 0, 1, 60), (EVEN, 1, 0, 1, 70), (ALL, 0, 0, 1, 80), (PLACE, 0, 1, 0, 90)]
keep("lossless.webp", webp(kinds, True))
keep("lossy.webp", webp(kinds, False))
keep("keys.webp", webp([(ALL, 1, 0, 1, 5), (EVEN, 1, 0, 1, 5), (EVEN, 0, 0, 0, 5), (ALL, 0, 1, 1, 5), (PLACE, 0, 0, 1, 5)], True))


# AVIF, by Pillow's libavif and its encoder: frames that refer to those before them.
def avif(frames, times, **options):
    file = io.BytesIO()
    frames[0].save(file, "AVIF", save_all=True, append_images=frames[1:], duration=times, **options)
    return file.getvalue()


def moving(count, size, mode="RGB", seed=0):
    """A picture that is larger than the frames, moved, with a square of its own way on it."""
    width, height = size
    wide = scene(seed, width + 2 * count, height + count)
    frames = []
    for i in range(count):
        part = wide[i : i + height, 2 * i : 2 * i + width].copy()
        part[(3 * i) % (height - 8) :, (5 * i) % (width - 8) :][:8, :8] = (250, 20 * i % 256, 30)
        if mode == "RGBA":
            part = numpy.dstack([part, numpy.full((height, width), 255, numpy.uint8)])
            part[: height // 2, : width // 2, 3] = 10 * i
        frames.append(Image.fromarray(part))
    return frames


def screens(count, size, seed):
    """Boxes and bars of a few colours, as of a program's windows, each unlike the last."""
    width, height = size
    frames = []
    for i in range(count):
        random = numpy.random.default_rng([seed, i])
        frame = numpy.full((height, width, 3), 240, numpy.uint8)
        colours = random.integers(0, 256, (5, 3))
        for _ in range(60):
            x, y = random.integers(0, width), random.integers(0, height)
            frame[y : y + random.integers(1, 9), x : x + random.integers(1, 14)] = colours[random.integers(0, 5)]
        frames.append(Image.fromarray(frame))
    return frames


def scrolled(count, size, seed):
    """A screen that is moved by a few pixels each time."""
    width, height = size
    whole = numpy.asarray(screens(1, (width + 2 * count, height + 3 * count), seed)[0])
    return [Image.fromarray(whole[3 * i :, 2 * i :][:height, :width]) for i in range(count)]


keep("moving.avif", avif(moving(9, (56, 40)), [40 + 10 * i for i in range(9)], quality=70))
keep("full.avif", avif(moving(5, (41, 33), seed=2), 100, quality=90, subsampling="4:4:4"))
keep("grey.avif", avif([frame.convert("L") for frame in moving(4, (40, 24), seed=3)], 250, quality=80))
keep("opacity.avif", avif(moving(5, (48, 40), "RGBA", seed=4), 50, quality=75))
keep("cuts.avif", avif([frame for seed in range(5, 8) for frame in moving(4, (48, 40), seed=seed)], 33, quality=50, speed=4))
keep("slow.avif", avif(moving(7, (72, 56), seed=10), 80, quality=60, speed=0, range="limited"))
keep("screens.avif", avif(screens(2, (86, 60), 46), 40, quality=60, speed=4))
keep("scrolled.avif", avif(scrolled(4, (86, 60), 63), 40, quality=60, speed=4))

(out / "manifest.txt").write_text("\n".join(manifest) + "\n")
