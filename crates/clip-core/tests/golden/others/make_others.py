"""Makes the files of this directory again: small PNM, TGA, ICO, QOI and DDS files, and the levels that Pillow gets of them.

    python make_others.py DIRECTORY

Needs Pillow and numpy. Each line of `manifest.txt` has the name, the size, and by how much levels may differ.
"""

import io
import struct
import pathlib
import sys

import numpy
from PIL import Image

out = pathlib.Path(sys.argv[1])
manifest = []


def scene(width, height, channels, seed=1):
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [(random.integers(0, 200) + 9 * x * (c != 1) + 11 * y * (c != 0) + random.integers(0, 9, (height, width))) % 256 for c in range(channels)]
    return numpy.stack(planes, 2).astype(numpy.uint8)


def keep(name, data, differ=0):
    (out / name).write_bytes(data)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    (out / f"{name}.raw").write_bytes(image.tobytes())
    manifest.append(f"{name} {image.width} {image.height} {differ}")
    print(manifest[-1], len(data))


def saved(array, kind, **options):
    file = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(file, kind, **options)
    return file.getvalue()


def by_header(flags, code, bits, masks, data, width=22, height=13):
    """A DDS of any pixels."""
    pixels = struct.pack("<II4s5I", 32, flags, code, bits, *masks, *(0,) * (4 - len(masks)))
    return b"DDS " + struct.pack("<5I", 124, 0x1007, height, width, 0) + bytes(52) + pixels + bytes(20) + data


def icon(width, height, bits, colours=0, seed=1):
    """A BMP as it is in an ICO, with its mask."""
    random = numpy.random.default_rng(seed)
    noise = lambda count: random.integers(0, 256, count, numpy.uint8).tobytes()
    palette = b"".join(noise(3) + b"\0" for _ in range(colours or 1 << bits)) if bits <= 8 else b""
    head = struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, bits, 0, 0, 0, 0, colours, 0)
    return head + palette + noise(-(-width * bits // 32) * 4 * height) + noise(-(-width // 32) * 4 * height)


def in_ico(*pictures):
    """Width, height, colours, bits and data of each."""
    entries, body = b"", b""
    for width, height, colours, bits, data in pictures:
        entries += struct.pack("<BBBBHHII", width, height, colours, 0, 1, bits, len(data), 6 + 16 * len(pictures) + len(body))
        body += data
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + body


def icons():
    for bits in [1, 4, 8, 16, 24, 32]:
        keep(f"bits-{bits}.ico", in_ico((17, 9, 0, bits, icon(17, 9, bits))))
    keep("colours.ico", in_ico((16, 16, 0, 8, icon(16, 16, 8, 256 - 20))))
    # The largest counts, and of those the one of the fewest colours, which may be told in two ways.
    several = [(32, 32, 0, 32), (16, 16, 2, 1), (48, 48, 0, 8), (24, 24, 0, 24)]
    keep("several.ico", in_ico(*((*of, icon(of[0], of[1], of[3])) for of in several)))
    keep("depths.ico", in_ico((32, 32, 0, 32, icon(32, 32, 32)), (32, 32, 16, 0, icon(32, 32, 4)), (32, 32, 0, 8, icon(32, 32, 8))))
    cursors = [(16, 16, 0, 4), (48, 8, 0, 8), (0, 0, 0, 24), (32, 32, 0, 32)]
    keep("several.cur", b"\0\0\2" + in_ico(*((*of, icon(of[0] or 64, of[1] or 64, of[3])) for of in cursors))[3:])
    keep("other-size.ico", in_ico((32, 32, 0, 32, icon(16, 15, 32))))


def dds():
    rgb, rgba = scene(22, 13, 3), scene(22, 13, 4)
    for kind in ["DXT1", "DXT3", "DXT5", "BC5"]:
        of = rgb if kind == "BC5" else rgba
        keep(f"{kind.lower()}.dds", saved(Image.fromarray(of), "DDS", pixel_format=kind))
    for name, picture in {"rgb": rgb, "rgba": rgba, "grey": rgb[..., 0].copy(), "grey-alpha": Image.fromarray(rgba).convert("LA")}.items():
        keep(f"{name}.dds", saved(picture, "DDS"))
    # Noise has blocks of all kinds: of three colours and of four, of six levels and of eight.
    random = numpy.random.default_rng(5)
    noise = lambda count: random.integers(0, 256, count, numpy.uint8).tobytes()
    blocks = 6 * 4
    for code in [b"DXT1", b"ATI1", b"DXT3", b"DXT5", b"ATI2", b"BC5S"]:
        keep(f"noise-{code.decode().lower()}.dds", by_header(4, code, 0, (), noise(blocks * (8 if code[3:] == b"1" else 16))))
    for number, size in {71: 8, 77: 16, 80: 8, 83: 16, 84: 16}.items():
        keep(f"dxgi-{number}.dds", by_header(4, b"DX10", 0, (), struct.pack("<5I", number, 3, 0, 1, 0) + noise(blocks * size)))
    keep("dxgi-28.dds", by_header(4, b"DX10", 0, (), struct.pack("<5I", 28, 3, 0, 1, 0) + noise(22 * 13 * 4)))
    for name, bits, masks in [
        ("565", 16, (0xF800, 0x7E0, 0x1F)), ("555", 16, (0x7C00, 0x3E0, 0x1F)), ("444", 16, (0xF00, 0xF0, 0xF)),
        ("332", 8, (0xE0, 0x1C, 3)), ("10", 32, (0x3FF, 0xFFC00, 0x3FF00000)), ("24", 24, (0xFF, 0xFF00, 0xFF0000)),
        ("gaps", 32, (0xF0F, 0, 0xFFFF0000)),
    ]:
        keep(f"masks-{name}.dds", by_header(0x40, bytes(4), bits, masks, noise(22 * 13 * bits // 8)))
    keep("palette.dds", by_header(0x20, bytes(4), 8, (), noise(1024) + noise(22 * 13)))


rgb, rgba, grey = scene(21, 15, 3), scene(20, 16, 4), scene(19, 13, 1)[..., 0]
bits = grey > 120

keep("p6.ppm", saved(rgb, "PPM"))
keep("p5.pgm", saved(grey, "PPM"))
keep("p4.pbm", saved(Image.fromarray(bits), "PPM"))
keep("p6-comment.ppm", b"P6 # made by hand\n# twice\n21 15\n# once more\n255\n" + rgb.tobytes())
keep("p3.ppm", b"P3\n21 15\n255\n" + b" ".join(b"%d" % v for v in rgb.ravel()) + b"\n")
keep("p2.pgm", b"P2\n19 13\n255\n" + b"\n".join(b"%d" % v for v in grey.ravel()) + b"\n")
keep("p1.pbm", b"P1\n19 13\n" + b"\n".join(b" ".join(b"%d" % (not v) for v in row) for row in bits) + b"\n")
keep("p6-maxval.ppm", b"P6\n21 15\n100\n" + (rgb // 3).clip(0, 100).tobytes())
keep("p5-maxval.pgm", b"P5\n19 13\n31\n" + (grey // 8).tobytes())
keep("p6-16.ppm", b"P6\n21 15\n65535\n" + (rgb.astype(">u2") * 257 + 90).clip(0, 65535).astype(">u2").tobytes())
keep("p5-16.pgm", b"P5\n19 13\n65535\n" + (grey.astype(numpy.uint16) * 2).astype(">u2").tobytes())
keep("p5-10.pgm", b"P5\n19 13\n1023\n" + (grey.astype(numpy.uint16) % 5).astype(">u2").tobytes())

words = lambda array: b" ".join(b"%d" % v for v in array.ravel())
keep("p1-tight.pbm", b"P1 19 13\n" + words(bits).replace(b" ", b""))
keep("p1-comments.pbm", b"P1 #x\n#y\n 19\t13#z\n\r" + words(bits)[:60] + b"#u\n\n" + words(bits)[60:])
keep("p2-comments.pgm", b"P2\n19 #w\n13\n 2#h\n55\n" + words(grey[:5]) + b" # 1 2 3\r" + words(grey[5:]))
keep("p3-1000.ppm", b"P3\n21 15\n1000\n" + words(rgb.astype(int) * 3))
keep("p2-1000.pgm", b"P2\n19 13\n1000\n" + words(grey.astype(int) * 3))
keep("p5-over.pgm", b"P5\n19 13\n100\n" + grey.tobytes())
keep("p6-300.ppm", b"P6\n21 15\n300\n" + (rgb.astype(">u2") + 45).tobytes())
keep("p5-1.pgm", b"P5\n19 13\n1\n" + bits.tobytes())
floats = grey.astype("f4") * 1.7 - 60
floats[3, 4:7] = numpy.nan, numpy.inf, -numpy.inf
keep("little.pfm", b"Pf\n19 13\n-1.0\n" + floats.astype("<f4").tobytes())
keep("big.pfm", b"Pf\n19 13\n2\n" + floats.astype(">f4").tobytes())

for rle in [False, True]:
    ending = "-rle" if rle else ""
    keep(f"rgb{ending}.tga", saved(rgb, "TGA", compression="tga_rle" if rle else None))
    keep(f"rgba{ending}.tga", saved(rgba, "TGA", compression="tga_rle" if rle else None))
    keep(f"grey{ending}.tga", saved(grey, "TGA", compression="tga_rle" if rle else None))
keep("palette.tga", saved(Image.fromarray(rgb).quantize(16), "TGA"))
keep("upright.tga", saved(rgb, "TGA", orientation=1))
keep("grey-alpha.tga", saved(Image.fromarray(rgba).convert("LA"), "TGA"))

keep("rgb.qoi", b"qoif" + (6).to_bytes(4, "big") + (2).to_bytes(4, "big") + bytes([3, 0, 0xFE, 10, 20, 30, 0xC2, 0x7A, 0x9F, 0x55, 0xFE, 200, 1, 77, 0x35, 0xC3, 0, 0, 0, 0, 0, 0, 0, 1]))
keep("rgba.qoi", saved(rgba, "QOI") if "QOI" in Image.SAVE else b"")
keep("png.ico", saved(Image.fromarray(scene(32, 32, 4)), "ICO", sizes=[(32, 32), (16, 16)]))
icons()
keep("bmp.ico", saved(Image.fromarray(scene(16, 16, 4)), "ICO", sizes=[(16, 16)], bitmap_format="bmp"))
dds()
large = scene(61, 47, 3, 2)
# Lossy ones within a level: OpenJPEG's transform has other roundings.
lossy = {"irreversible": True, "quality_mode": "dB", "quality_layers": [42]}
keep("lossless.jp2", saved(rgb, "JPEG2000"))
keep("lossless.j2k", saved(rgb, "JPEG2000", no_jp2=True))
keep("lossy.jp2", saved(large, "JPEG2000", **lossy), 1)
keep("grey.jp2", saved(grey, "JPEG2000"))
keep("grey-lossy.jp2", saved(large[..., 0].copy(), "JPEG2000", **lossy), 1)
keep("alpha.jp2", saved(rgba, "JPEG2000"))
keep("tiles.jp2", saved(large, "JPEG2000", tile_size=(32, 32), progression="RPCL", num_resolutions=3))
keep("grey-16.jp2", saved(Image.fromarray(grey.astype(numpy.uint16) * 3), "JPEG2000"))
keep("alpha.j2k", saved(rgba, "JPEG2000", no_jp2=True))
keep("grey-alpha.j2k", saved(Image.fromarray(rgba).convert("LA"), "JPEG2000", no_jp2=True))
# Four inks, none of which is opacity.
inks = bytearray(saved(rgba, "JPEG2000"))
at = inks.index(b"colr") + 7
inks[at : at + 4] = struct.pack(">I", 12)
at = inks.index(b"cdef") - 4
length = struct.unpack_from(">I", inks, at)[0]
del inks[at : at + length]
at = inks.index(b"jp2h") - 4
struct.pack_into(">I", inks, at, struct.unpack_from(">I", inks, at)[0] - length)
keep("cmyk.jp2", bytes(inks))
(out / "manifest.txt").write_text("\n".join(manifest) + "\n")
