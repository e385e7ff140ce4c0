#!/usr/bin/env python3
"""Write images of every format and oddity to images/, and what the reference makes of them.

The reference: Pillow decodes, turns upright and converts to RGB, transformers' Pillow-based CLIP processor resizes and
crops. images/index.json lists the cases; `expected/NAME.png` is the S x S picture before rescale and normalisation.
images/normalize.json holds what rescale and normalisation make of each level. See README.md.
"""
import io
import json
import shutil
import sys
import zlib

import numpy as np
from PIL import Image, ImageDraw, ImageOps, PngImagePlugin
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

import raw_images as raw
import versions
from raw_images import BYTE, GREY, GREY_ALPHA, LONG, PALETTE, RGB, RGB_ALPHA, SHORT
from versions import HERE, record

sys.path.append(str(HERE.parents[2] / "heic-levels/tests/golden"))
import writer  # noqa: E402, HEIC

versions.LIBRARIES = ("transformers", "pillow", "pillow-heif", "numpy")    # the processor does without torch
OUT = HERE / "images"
SEED = 20261201
CASES, REFUSED = [], []
BICUBIC = Image.Resampling.BICUBIC


# pictures

def generator(seed):
    # numpy's generator: its stream is promised not to change between versions
    return np.random.Generator(np.random.PCG64([SEED, seed]))


def photo(width, height, seed, noise=3):
    """Smooth colours with soft detail, a few strokes as of writing, and a little noise."""
    rng = generator(seed)
    levels = np.zeros((height, width, 3))
    for cells, weight in ((3, 0.55), (7, 0.3), (19, 0.15)):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        levels += weight * np.asarray(coarse.resize((width, height), BICUBIC))
    levels = (levels - 128) * 1.5 + 128 + (rng.normal(0, noise, levels.shape) if noise else 0)
    picture = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(14):
        x, y = rng.integers(0, width), rng.integers(0, height)
        dx, dy = rng.integers(-(width // 8) - 1, width // 8 + 2), rng.integers(-(height // 8) - 1, height // 8 + 2)
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        draw.line([int(x), int(y), int(x + dx), int(y + dy)], fill=colour, width=max(1, min(width, height) // 60))
    return picture


def array(picture, mode="RGB"):
    return np.asarray(picture.convert(mode))


def grey16(width, height, seed):
    """16-bit grey; a part of it below 256, since Pillow clips there."""
    high = array(photo(width, height, seed), "L").astype(np.uint16)
    low = array(photo(width, height, seed + 1000), "L").astype(np.uint16)
    return np.where(np.indices(high.shape)[1] < width * 2 // 3, low, high * 257).astype(np.uint16)


def rgb16(width, height, seed):
    low = generator(seed).integers(0, 256, (height, width, 3), dtype=np.uint16)
    return array(photo(width, height, seed)).astype(np.uint16) * 256 + low


def with_alpha(picture, mode="RGBA"):
    """Alpha from left to right; the colours under it must survive."""
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, picture.width).astype(np.uint8), (picture.height, 1)))
    out = picture.convert("L" if mode == "LA" else "RGB")
    out.putalpha(ramp)
    return out


def indexed(picture, colours):
    """Palette indices [height, width] and the palette of exactly `colours` colours."""
    small = picture.quantize(colours, dither=Image.Dither.NONE)
    palette = bytes(small.getpalette()[:3 * colours]).ljust(3 * colours, b"\x40")
    return np.asarray(small), np.frombuffer(palette, np.uint8).reshape(-1, 3)


# cases

def reference(data, size, squash):
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    # transformers 5 pastes a picture onto white when a single transparent colour is noted here, even though it has been
    # converted to RGB; the reference is that transparency is dropped, whatever its kind
    picture.info.pop("transparency", None)
    processor = CLIPImageProcessorPil(
        size=dict(height=size, width=size) if squash else dict(shortest_edge=size), crop_size=size,
        do_center_crop=not squash, do_rescale=False, do_normalize=False)
    levels = processor(picture, return_tensors="np")["pixel_values"][0]
    assert levels.dtype == np.uint8 and levels.shape == (3, size, size)
    return levels.transpose(1, 2, 0)


def case(name, data, size, note, *, squash=False, flat=False):
    levels = reference(data, size, squash)
    assert flat or levels.std() > 4, f"{name}: the expected picture is nearly flat ({levels.std():.1f})"
    assert name not in {c["file"] for c in CASES}
    (OUT / name).write_bytes(data)
    expected = f"expected/{name}.png"
    Image.fromarray(levels).save(OUT / expected, optimize=True)
    CASES.append(dict(file=name, expected=expected, size=size, resize="squash" if squash else "shortest_edge",
                      note=note))


def refused(name, data, note):
    """What Pillow reads and the decoders here do not."""
    assert Image.open(io.BytesIO(data)).convert("RGB").size
    (OUT / name).write_bytes(data)
    REFUSED.append(dict(file=name, note=note))


def save(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def jpeg(name, picture, size, note, *, patch=lambda b: b, squash=False, **options):
    data = patch(save(picture, "JPEG", **(dict(quality=88) | options)))
    case(name, data, size, note, squash=squash)


def patched(data, old, new):
    assert data.count(old) == 1 and len(old) == len(new)
    return data.replace(old, new)


def jpegs():
    jpeg("baseline_444.jpg", photo(320, 240, 1), 224, "baseline, 4:4:4", subsampling=0)
    jpeg("baseline_422.jpg", photo(301, 223, 2), 96, "4:2:2, odd sides", subsampling=1)
    jpeg("baseline_420.jpg", photo(333, 251, 3), 224, "4:2:0, odd sides", subsampling=2)
    jpeg("quality_40.jpg", photo(200, 260, 4, noise=9), 96, "4:2:0, coarse tables", subsampling=2, quality=40)
    jpeg("quality_99.jpg", photo(150, 110, 5, noise=9), 96, "4:4:4, fine tables", subsampling=0, quality=99)
    jpeg("progressive_420.jpg", photo(299, 225, 6), 224, "progressive, 4:2:0", progressive=True, subsampling=2)
    jpeg("progressive_444.jpg", photo(180, 130, 7), 96, "progressive, 4:4:4", progressive=True, subsampling=0)
    jpeg("progressive_grey.jpg", photo(130, 170, 8).convert("L"), 96, "progressive, grey", progressive=True)
    jpeg("grey.jpg", photo(157, 203, 9).convert("L"), 224, "grey")
    jpeg("restart.jpg", photo(211, 159, 10), 96, "restart markers each 3 blocks, 4:2:0", subsampling=2,
         restart_marker_blocks=3)
    jpeg("restart_rows.jpg", photo(120, 90, 11), 96, "progressive, a restart each row", progressive=True,
         restart_marker_rows=1)
    jpeg("rgb.jpg", photo(140, 100, 12), 96, "components are R, G, B, no transform", keep_rgb=True)
    cmyk = Image.merge("CMYK", [photo(150, 120, 13 + i, 1).convert("L").point(lambda v: v * 3 // 4) for i in range(4)])
    jpeg("cmyk.jpg", cmyk, 96, "CMYK as Adobe writes it, inverted")
    # Stored are Y, Cb, Cr and 255 - K; Pillow inverts what it writes.
    y, cb, cr = photo(150, 120, 17, 1).convert("YCbCr").split()
    k = photo(150, 120, 18, 1).convert("L").point(lambda v: v // 3)
    ycck = Image.merge("CMYK", [ImageOps.invert(b) for b in (y, cb, cr)] + [k])

    def transform_2(b):
        return patched(b, b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\2")

    jpeg("ycck.jpg", ycck, 96, "YCCK: Adobe's transform 2", patch=transform_2)
    bands = [save(b, "JPEG", quality=88) for b in photo(110, 83, 28).convert("YCbCr").split()]
    case("scan_per_component.jpg", raw.jpeg_by_component(bands), 96, "baseline, a scan for each component")
    # The sampling factors of luma are patched: as many blocks in as many units, hence the blocks lie elsewhere.
    jpeg("sampling_440.jpg", photo(128, 128, 19), 96, "4:4:0, made of 4:2:2 by its header", subsampling=1,
         patch=lambda b: patched(b, b"\x03\x01\x21\0", b"\x03\x01\x12\0"))
    jpeg("sampling_411.jpg", photo(128, 128, 20), 96, "4:1:1, made of 4:2:0 by its header", subsampling=2,
         patch=lambda b: patched(b, b"\x03\x01\x22\0", b"\x03\x01\x41\0"))
    jpeg("trailing.jpg", photo(60, 40, 21), 32, "bytes after the end", patch=lambda b: b + b"trailing\xff\xd8\xff" * 9)
    jpeg("huge_420.jpg", photo(4000, 3000, 22, noise=0), 224, "4000 x 3000, progressive", progressive=True, quality=30,
         optimize=True)
    jpeg("tiny_444.jpg", photo(3, 2, 24, noise=60), 32, "3 x 2, 4:4:4", subsampling=0)
    # libjpeg interpolates chroma only where it is more than two samples wide
    jpeg("tiny_420.jpg", photo(3, 2, 24, noise=60), 32, "3 x 2, 4:2:0: chroma repeated, not interpolated", subsampling=2)
    jpeg("narrow_420.jpg", photo(1, 300, 25), 96, "1 x 300, 4:2:0", subsampling=2)
    jpeg("wide.jpg", photo(3000, 7, 26), 96, "3000 x 7", subsampling=2)
    jpeg("squash.jpg", photo(400, 170, 27), 224, "both sides to 224, whatever the aspect", squash=True)
    for o in range(1, 9):
        jpeg(f"orientation_{o}.jpg", photo(60, 42, 30), 32, f"EXIF orientation {o}", exif=exif(o), subsampling=0)


def pngs():
    def png(name, samples, depth, colour, size, note, flat=False, squash=False, **options):
        case(name, raw.png(samples, depth, colour, **options), size, note, flat=flat, squash=squash)

    for depth in (1, 2, 4):
        grey = array(photo(90, 70, 40 + depth), "L") >> (8 - depth)
        png(f"grey_{depth}.png", grey, depth, GREY, 96, f"grey, {depth} bits")
    png("grey_8.png", array(photo(61, 83, 43), "L"), 8, GREY, 96, "grey, 8 bits")
    png("grey_16.png", grey16(90, 70, 44), 16, GREY, 96, "grey, 16 bits: clipped at 255")
    png("rgb_8.png", array(photo(150, 110, 45)), 8, RGB, 224, "RGB, 8 bits, every filter")
    png("rgb_16.png", rgb16(80, 60, 46), 16, RGB, 96, "RGB, 16 bits: the high byte")
    for depth in (1, 2, 4, 8):
        colours = min(1 << depth, 200)
        indices, palette = indexed(photo(100, 75, 47 + depth), colours)
        png(f"palette_{depth}.png", indices, depth, PALETTE, 96, f"palette of {colours}, {depth} bits", palette=palette)
    png("rgba.png", array(with_alpha(photo(120, 90, 52)), "RGBA"), 8, RGB_ALPHA, 224, "alpha from 0 to 255: dropped")
    png("rgba_16.png", np.dstack([rgb16(60, 50, 53), grey16(60, 50, 54)]), 16, RGB_ALPHA, 96, "RGBA, 16 bits")
    la = np.asarray(with_alpha(photo(80, 60, 55), "LA"))
    png("grey_alpha.png", la, 8, GREY_ALPHA, 96, "grey with alpha")
    png("grey_alpha_16.png", la.astype(np.uint16) * 257, 16, GREY_ALPHA, 96, "grey with alpha, 16 bits")
    grey = array(photo(70, 50, 56), "L") & 0xf0
    png("grey_trns.png", grey, 8, GREY, 96, "a transparent level", trns=bytes([0, int(np.median(grey))]))
    rgb = array(photo(70, 50, 57)) & 0xc0
    r, g, b = rgb[25, 35]
    png("rgb_trns.png", rgb, 8, RGB, 96, "a transparent colour", trns=bytes([0, r, 0, g, 0, b]))
    indices, palette = indexed(photo(70, 50, 58), 64)
    png("palette_trns.png", indices, 8, PALETTE, 96, "a palette with alpha", palette=palette, trns=bytes(range(0, 256, 4)))
    # one colour wholly transparent, all others opaque: Pillow notes that differently from several alphas
    png("palette_trns_one.png", indices, 8, PALETTE, 96, "one transparent entry", palette=palette, trns=b"\xff" * 9 + b"\0")
    png("interlaced_rgb.png", array(photo(101, 77, 59)), 8, RGB, 224, "interlaced RGB", interlaced=True)
    indices, palette = indexed(photo(37, 29, 60), 16)
    png("interlaced_palette_4.png", indices, 4, PALETTE, 96, "interlaced, 4 bits", palette=palette, interlaced=True)
    png("interlaced_grey_1.png", array(photo(13, 11, 61), "L") >> 7, 1, GREY, 32, "interlaced, 1 bit", interlaced=True)
    png("interlaced_tiny.png", array(photo(3, 2, 62, 60)), 8, RGB, 32, "3 x 2, interlaced: empty passes", interlaced=True)
    png("one_pixel.png", np.full((1, 1, 3), [200, 10, 90], np.uint8), 8, RGB, 32, "1 x 1", flat=True)
    png("row.png", array(photo(256, 1, 63)), 8, RGB, 96, "256 x 1")
    png("column.png", array(photo(5, 2000, 64)), 8, RGB, 96, "5 x 2000")
    png("tall.png", array(photo(190, 600, 69, noise=0)), 8, RGB, 224, "190 x 600: Pillow resizes the rows first")
    png("column_squash.png", array(photo(2, 500, 65)), 8, RGB, 96, "2 x 500, both sides to 96", squash=True)
    y, x = np.indices((3000, 4000))
    rings = ((np.hypot(x - 1700, y - 1900) // 90).astype(int) + x // 500) % 7
    colours = [[250, 240, 220], [20, 40, 90], [200, 30, 40], [30, 150, 80], [240, 180, 20], [90, 20, 120], [0, 0, 0]]
    png("huge_palette.png", rings.astype(np.uint8), 4, PALETTE, 224, "4000 x 3000, palette", palette=colours)
    case("orientation_exif.png", save(photo(60, 42, 66), "PNG", exif=exif(6)), 32, "orientation 6 in an eXIf chunk")
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>')
    case("orientation_xmp.png", save(photo(60, 42, 67), "PNG", pnginfo=text), 32, "orientation 8 in an XMP packet")
    frames = [photo(64, 48, 68 + i) for i in range(2)]
    case("animated.png", save(frames[0], "PNG", save_all=True, append_images=frames[1:]), 96, "APNG: the default picture")


def webps():
    # Lossy ones too are decoded to the same levels everywhere: VP8 leaves a decoder no freedom, and the way chroma is
    # upsampled is libwebp's.
    def webp(name, picture, size, note, *, lossless=True, **options):
        case(name, save(picture, "WEBP", lossless=lossless, **options), size, note)

    webp("lossy.webp", photo(270, 201, 80), 224, "lossy, odd height", lossless=False, quality=80)
    webp("lossy_coarse.webp", photo(200, 150, 81), 96, "lossy, strong filter", lossless=False, quality=15)
    webp("lossy_alpha.webp", with_alpha(photo(120, 90, 82)), 96, "lossy with alpha", lossless=False, quality=75, exact=True)
    webp("lossless.webp", photo(160, 120, 83), 224, "lossless")
    webp("lossless_alpha.webp", with_alpha(photo(90, 70, 84)), 96, "lossless, alpha, colours kept", exact=True)
    webp("lossless_palette.webp", photo(90, 70, 85).quantize(9).convert("RGB"), 96, "lossless, few colours")
    webp("orientation_exif.webp", photo(60, 42, 86), 32, "EXIF orientation 5", exif=exif(5))
    webp("tiny.webp", photo(1, 2, 87, 60), 32, "1 x 2")
    frames = [photo(72, 60, 88 + i) for i in range(3)]
    webp("animated.webp", frames[0], 96, "animated, lossless", save_all=True, append_images=frames[1:])
    small = Image.new("RGBA", (80, 64))
    small.paste(photo(40, 30, 92), (22, 18))
    webp("animated_offset.webp", small, 96, "the first frame is smaller than the canvas", save_all=True,
         append_images=[with_alpha(photo(80, 64, 93))])


def gifs():
    indices, palette = indexed(photo(220, 160, 100), 256)
    case("plain.gif", raw.gif((220, 160), [raw.gif_frame(indices)], palette=palette), 96, "256 colours")
    case("interlaced.gif", raw.gif((220, 160), [raw.gif_frame(indices, interlaced=True)], palette=palette), 96,
         "interlaced")
    indices, palette = indexed(photo(75, 61, 101), 16)
    frame = raw.gif_frame(indices, transparent=3, min_bits=4)
    case("transparent.gif", raw.gif((75, 61), [frame], palette=palette), 96, "a transparent index")
    other, local = indexed(photo(75, 61, 102), 64)
    frame = raw.gif_frame(other, palette=local, min_bits=6)
    case("local_palette.gif", raw.gif((75, 61), [frame], palette=palette), 96, "local palette before the global one")
    small = raw.gif_frame(indices[:33, :40], at=(21, 17), min_bits=4)
    case("small_frame.gif", raw.gif((90, 70), [small], palette=palette, background=5), 96, "first frame smaller than the canvas")
    small = raw.gif_frame(indices[:33, :40], at=(21, 17), transparent=6, min_bits=4)
    case("small_frame_transparent.gif", raw.gif((90, 70), [small], palette=palette), 96,
         "first frame smaller than the canvas, with a transparent index")
    out = raw.gif_frame(indices, at=(10, 5), min_bits=4)
    case("frame_sticks_out.gif", raw.gif((50, 40), [out], palette=palette), 96, "the frame is larger than the canvas")
    frames = [photo(80, 60, 103 + i).quantize(32) for i in range(3)]
    case("animated.gif", save(frames[0], "GIF", save_all=True, append_images=frames[1:]), 96, "animated")


def bmps():
    picture = photo(103, 71, 110)
    for colours, bits in ((2, 1), (16, 4), (256, 8)):
        indices, palette = indexed(picture, colours)
        data = raw.bmp_rows(raw.pack(indices[::-1], bits))
        case(f"palette_{bits}.bmp", raw.bmp(103, 71, bits, data, palette=palette), 96, f"palette, {bits} bits")
        if bits > 1:
            data = raw.rle(indices, four_bits=bits == 4)
            case(f"rle_{bits}.bmp", raw.bmp(103, 71, bits, data, compression=3 - bits // 4, palette=palette), 96, f"RLE{bits}")
    case("rgb_24.bmp", save(photo(130, 97, 111), "BMP"), 96, "24 bits")
    bgr = array(picture)[:, :, ::-1]
    case("top_down.bmp", raw.bmp(103, -71, 24, raw.bmp_rows(raw.pack(bgr, 8))), 96, "24 bits, top row first")
    bgra = np.dstack([bgr, np.full(bgr.shape[:2], 7, np.uint8)])[::-1]
    case("rgb_32.bmp", raw.bmp(103, 71, 32, bgra.tobytes()), 96, "32 bits, the fourth byte unused")
    masks = (0xff0000, 0xff00, 0xff, 0xff000000)
    case("rgba_32.bmp", raw.bmp(103, 71, 32, bgra.tobytes(), compression=3, masks=masks, header=124), 96, "32 bits with alpha")
    r, g, b = (array(picture)[::-1, :, i].astype(np.uint16) for i in range(3))
    five = (r >> 3 << 10) | (g >> 3 << 5) | b >> 3
    case("rgb_555.bmp", raw.bmp(103, 71, 16, raw.bmp_rows([v.astype("<u2").tobytes() for v in five])), 96, "16 bits, 5-5-5")
    six = (r >> 3 << 11) | (g >> 2 << 5) | b >> 3
    data = raw.bmp_rows([v.astype("<u2").tobytes() for v in six])
    case("rgb_565.bmp", raw.bmp(103, 71, 16, data, compression=3, masks=(0xf800, 0x7e0, 0x1f)), 96, "16 bits, 5-6-5")


def tiffs():
    picture = photo(101, 79, 120)
    rgb = array(picture)
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        case(f"rgb_{name.removeprefix('tiff_')}.tif", save(picture, "TIFF", compression=name), 96, f"RGB, {name}")
    case("large_lzw_predictor.tif", save(photo(150, 120, 121), "TIFF", compression="tiff_lzw", tiffinfo={317: 2}), 224,
         "RGB, LZW with a predictor")
    case("jpeg.tif", save(photo(120, 100, 122), "TIFF", compression="jpeg", quality=85), 96, "JPEG in TIFF")
    bilevel = photo(200, 150, 123).convert("1")
    case("fax_group4.tif", save(bilevel, "TIFF", compression="group4"), 96, "1 bit, fax group 4")
    case("bilevel.tif", save(bilevel, "TIFF"), 96, "1 bit")
    case("grey_8.tif", save(picture.convert("L"), "TIFF"), 96, "grey, 8 bits")
    case("grey_16.tif", save(Image.fromarray(grey16(70, 60, 124)), "TIFF"), 96, "grey, 16 bits: clipped at 255")
    case("rgba.tif", save(with_alpha(picture), "TIFF"), 96, "RGB with alpha")
    case("palette.tif", save(picture.quantize(100), "TIFF", compression="tiff_lzw"), 96, "palette")
    case("cmyk.tif", save(picture.convert("CMYK"), "TIFF"), 96, "CMYK")
    case("orientation.tif", save(photo(60, 42, 125), "TIFF", exif=exif(7)), 32, "orientation 7")
    case("orientation_lzw.tif", save(photo(60, 42, 126), "TIFF", compression="tiff_lzw", exif=exif(6)), 32,
         "orientation 6, LZW")
    pages = [photo(64, 48, 127 + i) for i in range(2)]
    case("two_pages.tif", save(pages[0], "TIFF", save_all=True, append_images=pages[1:]), 96, "the first of two pages")

    rows = raw.pack(rgb, 8)
    strips = [b"".join(rows[y:y + 20]) for y in range(0, 79, 20)]
    tags = raw.tiff_tags(2, [8] * 3, t278=(LONG, [20]))
    case("big_endian.tif", raw.tiff(101, 79, tags, strips, big_endian=True), 96, "big-endian, four strips")
    case("bigtiff.tif", raw.tiff(101, 79, tags, strips, big=True), 96, "BigTIFF")
    tiles = [t.tobytes() for t in raw.tiles(rgb, 32)]
    tags = raw.tiff_tags(2, [8] * 3, t322=(LONG, [32]), t323=(LONG, [32]))
    case("tiled.tif", raw.tiff(101, 79, tags, tiles), 96, "tiles of 32 x 32")
    tags = raw.tiff_tags(2, [8] * 3, compression=8, t322=(LONG, [32]), t323=(LONG, [32]))
    case("tiled_deflate.tif", raw.tiff(101, 79, tags, [zlib.compress(t) for t in tiles]), 96, "deflated tiles")
    planes = [rgb[:, :, i].tobytes() for i in range(3)]
    tags = raw.tiff_tags(2, [8] * 3, t278=(LONG, [79]), t284=(SHORT, [2]))
    case("planar.tif", raw.tiff(101, 79, tags, planes), 96, "three planes")
    wide = rgb16(70, 60, 130)
    tags = raw.tiff_tags(2, [16] * 3, t278=(LONG, [60]))
    case("rgb_16.tif", raw.tiff(70, 60, tags, [wide.astype("<u2").tobytes()]), 96, "RGB, 16 bits: the high byte")
    case("rgb_16_be.tif", raw.tiff(70, 60, tags, [wide.astype(">u2").tobytes()], big_endian=True), 96, "RGB, 16 bits, big-endian")
    white = raw.tiff_tags(0, [8], t278=(LONG, [79]))
    case("min_is_white.tif", raw.tiff(101, 79, white, [array(picture, "L").tobytes()]), 96, "0 is white")
    indices, palette = indexed(picture, 16)
    colours = (palette.astype(int) * 257).T.reshape(-1).tolist()
    tags = raw.tiff_tags(3, [4], t278=(LONG, [79]), t320=(SHORT, colours))
    case("palette_4.tif", raw.tiff(101, 79, tags, [b"".join(raw.pack(indices, 4))]), 96, "palette, 4 bits")
    alpha = np.asarray(with_alpha(picture)).astype(int)
    alpha[:, :, :3] = alpha[:, :, :3] * alpha[:, :, 3:] // 255
    tags = raw.tiff_tags(2, [8] * 4, t278=(LONG, [79]), t338=(SHORT, [1]))
    case("premultiplied.tif", raw.tiff(101, 79, tags, [alpha.astype(np.uint8).tobytes()]), 96, "colours multiplied by alpha")


def heics():
    """Coded by pillow-heif, whose opener is the reference; the containers are heic-levels' writer's."""
    writer.pillow_heif.register_heif_opener()

    def coded(seed, width=128, height=96, **options):
        picture = array(photo(width, height, seed)).astype(np.uint16)
        depth = options.get("depth", 8)
        return writer.Coded(picture << (depth - 8), options.pop("quality", 75), **options)

    def heic(name, data, note):
        case(f"{name}.heic", data, 64, note)

    heic("hevc_420", writer.single(coded(150)), "4:2:0")
    heic("hevc_422", writer.single(coded(151, chroma=422)), "4:2:2")
    heic("hevc_444", writer.single(coded(152, chroma=444)), "4:4:4")
    heic("hevc_10", writer.single(coded(153, depth=10)), "10 bits")
    limited = (1, 13, 1, 0)
    heic("hevc_limited", writer.single(coded(154, nclx=limited), writer.colr(*limited)), "BT.709, limited range")
    heic("hevc_lossless", writer.single(coded(155, quality=-1)), "lossless")
    heic("hevc_turned", writer.single(coded(156), writer.irot(1), writer.imir(0)), "irot and imir")
    heic("hevc_cropped", writer.single(coded(157), writer.clap(90, 80)), "clap")
    file = writer.File()
    tiles = [coded(158 + i, 64, 64) for i in range(4)]
    heic("hevc_grid", file.bytes(file.grid(tiles, 2, 120, 100, [writer.irot(3)])), "grid of 2 x 2, turned")


def normalisation():
    """What rescale and normalisation make of all 256 levels, for two models' means and deviations."""
    levels = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    out = []
    for mean, std in (([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]), ([0.5] * 3, [0.5] * 3)):
        processor = CLIPImageProcessorPil(do_resize=False, do_center_crop=False, image_mean=mean, image_std=std)
        values = processor(Image.fromarray(levels), return_tensors="np")["pixel_values"][0]
        assert values.dtype == np.float32
        out.append(dict(rescale=processor.rescale_factor, mean=mean, std=std,
                        channels=[[float(v) for v in c.reshape(-1)] for c in values]))
    return out


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "expected").mkdir(parents=True)
    for make in (jpegs, pngs, webps, gifs, bmps, tiffs, heics):
        make()
    refused("sgi.sgi", save(photo(16, 12, 140), "SGI"), "SGI")
    made = record("make_images.py")
    index = dict(versions=made, cases=CASES, refused=REFUSED)
    (OUT / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    (OUT / "normalize.json").write_text(json.dumps(normalisation()) + "\n")
    total = sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file())
    print(f"{len(CASES)} images, {total} bytes with what is expected of them")
    assert total <= 4_000_000


if __name__ == "__main__":
    main()
