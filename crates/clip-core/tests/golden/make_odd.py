#!/usr/bin/env python3
"""Files of odd shapes, class by class, and what Pillow makes of each: as it is, and with LOAD_TRUNCATED_IMAGES. Writes `odd.json`.

A case is a name, the file in base64, and twice `[width, height, SHA-256 of the RGB levels]` or null where Pillow refuses: "strict" and
"lenient". A square is a picture and twice the SHA-256 of what a model sees of it."""
import base64
import hashlib
import io
import json
import pathlib
import struct
import warnings
import zlib

import PIL
from PIL import Image, ImageFile, ImageOps

WIDTH, HEIGHT = 20, 14
PICTURE = Image.frombytes("RGB", (WIDTH, HEIGHT), bytes(
    (x * 11 + y * c * 5 + (x * y * 7 >> c)) & 255 for y in range(HEIGHT) for x in range(WIDTH) for c in range(3)))
CASES = {}


def levels(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        except Exception:
            return None
    return [*image.size, hashlib.sha256(image.tobytes()).hexdigest()]


def case(name, data):
    assert name not in CASES, name
    results = []
    for lenient in (False, True):
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient
        results.append(levels(bytes(data)))
    CASES[name] = dict(name=name, file=base64.b64encode(data).decode(), strict=results[0], lenient=results[1])


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def cuts(name, data, *shares):
    for share in shares:
        case(f"{name}, cut at {share:.0%}", data[:int(len(data) * share)])


# EXIF ----------------------------------------------------------------------------------------------------------------

def directory(*entries, more=b"", order=">", magic=42):
    """A TIFF header and a directory of (tag, type, count, four bytes or an offset)."""
    head = (b"MM" if order == ">" else b"II") + struct.pack(order + "HIH", magic, 8, len(entries))
    body = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    return head + body + bytes(4) + more


def short(value, order=">"):
    return struct.pack(order + "HH", value, 0)


def orientation_blocks():
    for o in range(0, 10):
        yield f"orientation {o}", directory((0x112, 3, 1, short(o)))
    yield "little-endian", directory((0x112, 3, 1, short(6, "<")), order="<")
    yield "prefix twice", b"Exif\0\0Exif\0\0" + directory((0x112, 3, 1, short(6)))
    yield "42 in the other order", b"MM\x2a\0" + directory((0x112, 3, 1, short(6)))[4:]
    there = struct.pack(">I", 26)
    for kind, value, more in [(1, b"\6\0\0\0", b""), (2, b"6\0\0\0", b""), (4, struct.pack(">I", 6), b""), (5, there, struct.pack(">II", 12, 2)),
                              (6, b"\6\0\0\0", b""), (7, b"\6\0\0\0", b""), (8, short(6), b""), (9, struct.pack(">i", 6), b""),
                              (10, there, struct.pack(">ii", -12, -2)), (11, struct.pack(">f", 6), b""), (12, there, struct.pack(">d", 6)),
                              (13, struct.pack(">I", 6), b""), (16, there, struct.pack(">Q", 6))]:
        yield f"type {kind}", directory((0x112, kind, 1, value), more=more)
    yield "two values", directory((0x112, 3, 2, struct.pack(">HH", 6, 3)))
    yield "no value", directory((0x112, 3, 0, short(6)))
    yield "twice", directory((0x112, 3, 1, short(6)), (0x112, 3, 1, short(3)))
    yield "after a type that nobody knows", directory((0x113, 99, 1, bytes(4)), (0x112, 3, 1, short(6)))
    yield "after a value outside", directory((0x10e, 2, 999, struct.pack(">I", 26)), (0x112, 3, 1, short(6)))
    yield "directory of more entries than there are", directory((0x112, 3, 1, short(6)))[:8] + b"\0\x09" + directory((0x112, 3, 1, short(6)))[10:]


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'


# PNG -----------------------------------------------------------------------------------------------------------------

def chunk(kind, data, crc=None):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)


def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_chunks(data):
    at, found = 8, []
    while at < len(data):
        length, = struct.unpack(">I", data[at:at + 4])
        found.append((data[at + 4:at + 8], data[at + 8:at + 8 + length]))
        at += 12 + length
    return found


def header(width, height, bits, colour, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))


def rows(samples, bits):
    """Unfiltered rows of samples."""
    out = b""
    for row in samples:
        if bits == 16:
            line = b"".join(struct.pack(">H", s) for s in row)
        else:
            value, n = 0, 0
            for s in row:
                value, n = value << bits | s, n + bits
            pad = -n % 8
            line = (value << pad).to_bytes((n + pad) // 8, "big")
        out += b"\0" + line
    return out


def interlaced(samples, bits):
    out = b""
    for x, dx, y, dy in [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)]:
        part = [row[x::dx] for row in samples[y::dy] if row[x::dx]]
        out += rows(part, bits)
    return out


def make_png():
    plain = png_chunks(saved(PICTURE, "PNG"))
    body = next(data for kind, data in plain if kind == b"IDAT")
    rgb, end = header(WIDTH, HEIGHT, 8, 2), chunk(b"IEND", b"")
    palette = PICTURE.quantize(20)
    indexed = png_chunks(saved(palette, "PNG"))
    idat = chunk(b"IDAT", body)
    for target in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
        for name, file in (("rgb", plain), ("indexed", indexed)):
            if target in dict(file):
                case(f"png {name}, wrong checksum of {target.decode()}", png(*(chunk(k, d, 1 if k == target else None) for k, d in file)))
    for kind in (b"tEXt", b"iCCP", b"gAMA", b"zzZz"):
        data = {b"tEXt": b"a\0b", b"iCCP": b"x\0\0" + zlib.compress(b"profile"), b"gAMA": struct.pack(">I", 45455), b"zzZz": b"?"}[kind]
        case(f"png, wrong checksum of {kind.decode()} before the pixels", png(rgb, chunk(kind, data, 1), idat, end))
        case(f"png, wrong checksum of {kind.decode()} after the pixels", png(rgb, idat, chunk(kind, data, 1), end))
        case(f"png, {kind.decode()}", png(rgb, chunk(kind, data), idat, end))
    case("png, wrong Adler-32", png(rgb, chunk(b"IDAT", body[:-1] + bytes([body[-1] ^ 1])), end))
    case("png, no Adler-32", png(rgb, chunk(b"IDAT", body[:-4]), end))
    case("png, one byte a chunk", png(rgb, *(chunk(b"IDAT", body[i:i + 1]) for i in range(len(body))), end))
    case("png, empty chunks between", png(rgb, chunk(b"IDAT", b""), chunk(b"IDAT", body[:50]), chunk(b"IDAT", b""), chunk(b"IDAT", body[50:]), end))
    case("png, bytes after the stream", png(rgb, chunk(b"IDAT", body + b"padding of the chunk"), end))
    raw = zlib.decompress(body)
    case("png, more rows than the header says", png(rgb, chunk(b"IDAT", zlib.compress(raw + raw)), end))
    case("png, fewer rows than the header says", png(rgb, chunk(b"IDAT", zlib.compress(raw[:len(raw) // 2])), end))
    case("png, no IEND", png(rgb, idat))
    case("png, IEND cut", png(rgb, idat, end)[:-5])
    case("png, bytes after IEND", png(rgb, idat, end) + b"tail")
    case("png, pixels after IEND", png(rgb, chunk(b"IDAT", body[:60]), end, chunk(b"IDAT", body[60:])))
    case("png, another chunk between the pixels", png(rgb, chunk(b"IDAT", body[:60]), chunk(b"tEXt", b"a\0b"), chunk(b"IDAT", body[60:]), end))
    case("png, no pixels", png(rgb, end))
    case("png, critical chunk that nobody knows", png(rgb, chunk(b"ABCD", b"?"), idat, end))
    damaged = bytearray(body)
    damaged[len(body) // 2] ^= 0x55
    case("png, damaged stream", png(rgb, chunk(b"IDAT", bytes(damaged)), end))
    frames = [PICTURE, PICTURE.transpose(Image.Transpose.ROTATE_180)]
    case("png, animated", saved(PICTURE, "PNG", save_all=True, append_images=frames[1:]))
    case("png, animated, default image apart", saved(PICTURE, "PNG", save_all=True, default_image=True, append_images=frames))
    case("png, acTL without fcTL", png(rgb, chunk(b"acTL", struct.pack(">II", 1, 0)), idat, end))
    case("png, transparent palette", saved(palette, "PNG", transparency=bytes(range(0, 200, 10))))
    case("png, one transparent index", saved(palette, "PNG", transparency=3))
    case("png, one transparent colour", saved(PICTURE, "PNG", transparency=(0, 0, 0)))
    for bits, colour in [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (1, 3), (2, 3), (4, 3), (8, 3), (8, 2), (16, 2), (8, 4), (16, 4), (8, 6), (16, 6)]:
        most, channels = (1 << bits) - 1, {0: 1, 3: 1, 2: 3, 4: 2, 6: 4}[colour]
        most = min(most, 19) if colour == 3 else most
        samples = [[(x * 2654435761 + y * 40503 * (c + 1) + x * y) % (most + 1) for x in range(WIDTH) for c in range(channels)] for y in range(HEIGHT)]
        plte = chunk(b"PLTE", bytes(range(17, 17 + 60))) if colour == 3 else b""
        case(f"png of type {colour} and {bits} bits", png(header(WIDTH, HEIGHT, bits, colour), plte, chunk(b"IDAT", zlib.compress(rows(samples, bits))), end))
        if channels > 1:
            continue
        tall = interlaced(samples, bits)
        file = png(header(WIDTH, HEIGHT, bits, colour, 1), plte, chunk(b"IDAT", zlib.compress(tall, 0)), end)
        case(f"png of type {colour} and {bits} bits, interlaced", file)
        cuts(f"png of type {colour} and {bits} bits, interlaced", file, 0.7)
        for width, height in [(1, 1), (1, 5), (5, 1), (3, 3), (2, 9)]:
            some = [row[:width] for row in samples[:height]]
            case(f"png of type {colour} and {bits} bits, interlaced, {width} x {height}",
                 png(header(width, height, bits, colour, 1), plte, chunk(b"IDAT", zlib.compress(interlaced(some, bits))), end))
    whole = png(rgb, chunk(b"IDAT", zlib.compress(raw, 0)), end)
    cuts("png, stored", whole, 0.2, 0.5, 0.9)
    file = saved(palette, "PNG", compress_level=0)
    cuts("png, indexed, stored", file, 0.5, 0.8)
    for name, block in orientation_blocks():
        case(f"png eXIf, {name}", png(rgb, chunk(b"eXIf", block), idat, end))
    six, three = (directory((0x112, 3, 1, short(o))) for o in (6, 3))
    profile = lambda block: f"\nexif\n{len(block):8}\n{block.hex()[:36]}\n{block.hex()[36:]}\n".encode()
    raw6 = profile(six)
    case("png eXIf, after the pixels", png(rgb, idat, chunk(b"eXIf", six), end))
    case("png eXIf before and after the pixels", png(rgb, chunk(b"eXIf", six), idat, chunk(b"eXIf", three), end))
    case("png raw profile, tEXt", png(rgb, chunk(b"tEXt", b"Raw profile type exif\0" + raw6), idat, end))
    case("png raw profile, zTXt", png(rgb, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw6)), idat, end))
    case("png raw profile, iTXt", png(rgb, chunk(b"iTXt", b"Raw profile type exif\0\0\0\0\0" + raw6), idat, end))
    case("png raw profile beside eXIf", png(rgb, chunk(b"tEXt", b"Raw profile type exif\0" + raw6), idat, chunk(b"eXIf", three), end))
    xmp = XMP % 6
    case("png XMP", png(rgb, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp), idat, end))
    case("png XMP, deflated", png(rgb, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)), idat, end))
    case("png XMP, tEXt", png(rgb, chunk(b"tEXt", b"XML:com.adobe.xmp\0" + xmp), idat, end))
    case("png XMP, zTXt after the pixels", png(rgb, idat, chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(xmp)), end))
    case("png XMP beside eXIf", png(rgb, chunk(b"eXIf", three), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp), idat, end))


# GIF -----------------------------------------------------------------------------------------------------------------

def gif(screen, blocks, table=b"\0\0\0\xff\xff\xff", background=0):
    bits = max(1, (len(table) // 3 - 1).bit_length())
    flags = (0x80 | bits - 1) if table else 0
    table += bytes(-len(table) % (3 << bits)) if table else b""
    return b"GIF89a" + struct.pack("<HHBBB", *screen, flags, background, 0) + table + b"".join(blocks) + b";"


def lzw(indices, size):
    """Codes of one width only: a clear code before the table would grow."""
    clear, width = 1 << size, size + 1
    codes = []
    for i, index in enumerate(indices):
        if i % max(1, clear - 2) == 0:
            codes.append(clear)
        codes.append(index)
    codes.append(clear + 1)
    value = sum(code << n * width for n, code in enumerate(codes))
    data = value.to_bytes((len(codes) * width + 7) // 8, "little")
    return bytes([size]) + b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255)) + b"\0"


def frame(box, indices, size, table=b"", interlace=False):
    bits = max(1, (len(table) // 3 - 1).bit_length()) if table else 1
    flags = (0x80 | bits - 1 if table else 0) | (0x40 if interlace else 0)
    return b"," + struct.pack("<HHHHB", *box, flags) + table + lzw(indices, size)


def make_gif():
    control = lambda index: b"!\xf9\4\1\0\0" + bytes([index]) + b"\0"
    colours = bytes(range(5, 5 + 24))
    area = [(x * 3 + y * 5) % 8 for y in range(HEIGHT) for x in range(WIDTH)]
    small = [(x + y) % 8 for y in range(5) for x in range(6)]
    case("gif, code of one bit", bytes.fromhex("4749463839610100010080ff00c0c0c000000021f90401000000002c00000000010001000001013200" "3b"))
    case("gif, empty comment", bytes.fromhex("47494638396101000100800000ffffff00000021fe002c00000000010001000002024401003b"))
    whole = gif((WIDTH, HEIGHT), [frame((0, 0, WIDTH, HEIGHT), area, 3)], colours)
    case("gif", whole)
    cuts("gif", whole, 0.5, 0.8, 0.97)
    case("gif, without its end", whole[:-1])
    case("gif, without its last block's end", whole[:-2])
    case("gif, bytes after it", whole + b"tail")
    case("gif, bytes before a block", gif((WIDTH, HEIGHT), [b"\0\0junk", frame((0, 0, WIDTH, HEIGHT), area, 3)], colours))
    rows_of = [area[y * WIDTH:(y + 1) * WIDTH] for y in range(HEIGHT)]
    passes = rows_of[0::8] + rows_of[4::8] + rows_of[2::4] + rows_of[1::2]
    woven = gif((WIDTH, HEIGHT), [frame((0, 0, WIDTH, HEIGHT), sum(passes, []), 3, interlace=True)], colours)
    case("gif, interlaced", woven)
    cuts("gif, interlaced", woven, 0.5, 0.8)
    for height in (1, 2, 3, 5):
        order = [y for first, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for y in range(first, height, step)]
        case(f"gif, interlaced, {height} rows", gif((WIDTH, height), [frame((0, 0, WIDTH, height), sum((rows_of[y] for y in order), []), 3, interlace=True)], colours))
    for name, extra in (("", b""), (", transparent", control(5))):
        case(f"gif, smaller frame{name}", gif((WIDTH, HEIGHT), [extra, frame((3, 4, 6, 5), small, 3)], colours, 2))
        case(f"gif, frame beyond the screen{name}", gif((8, 7), [extra, frame((3, 4, 6, 5), small, 3)], colours, 2))
        case(f"gif, palette of its own{name}", gif((8, 9), [extra, frame((0, 0, 6, 5), small, 3, colours[::-1])], colours, 7))
        case(f"gif, no global palette{name}", gif((8, 9), [extra, frame((0, 0, 6, 5), small, 3, colours[::-1])], b""))
        case(f"gif, no palette{name}", gif((8, 9), [extra, frame((0, 0, 6, 5), small, 3)], b""))
        cuts(f"gif, smaller frame{name}", gif((WIDTH, HEIGHT), [extra, frame((3, 4, 6, 5), small, 3)], colours, 2), 0.85)
    case("gif, background outside of the palette", gif((WIDTH, HEIGHT), [frame((3, 4, 6, 5), small, 3)], colours, 200))
    case("gif, indices outside of the palette", gif((6, 5), [frame((0, 0, 6, 5), small, 3)], colours[:9]))
    case("gif, screen of no size", gif((0, 0), [frame((0, 0, 6, 5), small, 3)], colours))
    case("gif, frame of no size", gif((6, 5), [frame((0, 0, 0, 0), [], 3)], colours))
    case("gif, no frame", gif((6, 5), [], colours))
    case("gif, fewer indices than pixels", gif((6, 5), [frame((0, 0, 6, 5), small[:20], 3)], colours))
    case("gif, more indices than pixels", gif((6, 5), [frame((0, 0, 6, 5), small * 2, 3)], colours))
    case("gif, code size 8 of 8 colours", gif((6, 5), [frame((0, 0, 6, 5), small, 8)], colours))
    case("gif, code size 12", gif((6, 5), [frame((0, 0, 6, 5), small, 12)], colours))
    case("gif, dispose to previous", gif((6, 5), [b"!\xf9\4\x0c\0\0\0\0", frame((0, 0, 6, 5), small, 3)], colours))
    case("gif, two frames", gif((6, 5), [frame((0, 0, 6, 5), small, 3), frame((0, 0, 6, 5), small[::-1], 3)], colours))
    case("gif, saved by Pillow", saved(PICTURE, "GIF"))


# BMP, WebP, JPEG -----------------------------------------------------------------------------------------------------

def make_bmp():
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        file = saved(PICTURE.convert(mode), "BMP")
        case(f"bmp {mode}", file)
        cuts(f"bmp {mode}", file, 0.5, 0.9)
        case(f"bmp {mode}, without its last byte", file[:-1])
        case(f"bmp {mode}, without two bytes", file[:-2])
        case(f"bmp {mode}, bytes after it", file + b"tail")
    colours = b"".join(bytes([i * 9, 255 - i * 9, i * 5, 0]) for i in range(16))
    run = b"\x06\x01\x00\x06\x01\x02\x03\x04\x05\x06\0\0" + b"".join(b"\x0c" + bytes([i]) + b"\0\0" for i in range(7, 12)) + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, 12, 6, 1, 8, 1, len(run), 0, 0, 16, 0)
    file = b"BM" + struct.pack("<IHHI", 54 + 64 + len(run), 0, 0, 54 + 64) + head + colours + run
    case("bmp, run lengths", file)
    case("bmp, run lengths without their end", file[:-2])
    case("bmp, run lengths cut", file[:-12])
    for name, value in (("negative height", -HEIGHT), ("no height", 0)):
        file = bytearray(saved(PICTURE, "BMP"))
        file[22:26] = struct.pack("<i", value)
        case(f"bmp, {name}", bytes(file))


def make_webp():
    pad = lambda data: data + bytes(len(data) % 2)
    box = lambda kind, data: kind + struct.pack("<I", len(data)) + pad(data)
    fixed = lambda data: data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    for name, options in (("lossy", {}), ("lossless", dict(lossless=True)), ("extended", dict(exif=directory((0x112, 3, 1, short(6)))))):
        file = saved(PICTURE, "WEBP", **options)
        case(f"webp {name}", file)
        for kind in (b"Exif", b"XMP\0", b"8BPS", b"RIFF", b"zzzz"):
            case(f"webp {name}, chunk {kind!r} after it", fixed(file + box(kind, b"abc")))
        case(f"webp {name}, bytes after it", file + b"tail")
        case(f"webp {name}, size one too large", file[:4] + struct.pack("<I", len(file) - 7) + file[8:])
        case(f"webp {name}, size one too small", file[:4] + struct.pack("<I", len(file) - 9) + file[8:])
        case(f"webp {name}, size 0", file[:4] + bytes(4) + file[8:])
        case(f"webp {name}, chunk without its padding", fixed(file + box(b"zzzz", b"abc"))[:-1])
        case(f"webp {name}, chunk longer than the file", fixed(file + b"zzzz" + struct.pack("<I", 999)))
        cuts(f"webp {name}", file, 0.5, 0.98)
    for o in (1, 3, 6):
        case(f"webp EXIF {o}", saved(PICTURE, "WEBP", exif=b"Exif\0\0" + directory((0x112, 3, 1, short(o)))))
        case(f"webp XMP {o}", saved(PICTURE, "WEBP", xmp=XMP % o))
    case("webp XMP beside EXIF", saved(PICTURE, "WEBP", xmp=XMP % 6, exif=directory((0x112, 3, 1, short(3)))))
    frames = [PICTURE.transpose(Image.Transpose.ROTATE_180)]
    case("webp, animated", saved(PICTURE, "WEBP", save_all=True, append_images=frames, lossless=True))


def make_jpeg():
    segment = lambda marker, data: b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data
    for name, image, options in (("baseline", PICTURE, {}), ("4:2:0", PICTURE, dict(subsampling=2)), ("grey", PICTURE.convert("L"), {}),
                                 ("progressive", PICTURE, dict(progressive=True)), ("CMYK", PICTURE.convert("CMYK"), {}),
                                 ("restarts", PICTURE, dict(restart_marker_rows=1))):
        file = saved(image, "JPEG", **options)
        case(f"jpeg {name}", file)
        cuts(f"jpeg {name}", file, 0.85, 0.9, 0.95)
        case(f"jpeg {name}, without its end", file[:-2])
        case(f"jpeg {name}, with half of its end", file[:-1])
        case(f"jpeg {name}, bytes after it", file + b"tail")
        case(f"jpeg {name}, no pixels", file[:file.index(b"\xff\xda")])
    plain = saved(PICTURE, "JPEG", subsampling=2)
    with_segments = lambda *segments: plain[:2] + b"".join(segments) + plain[2:]
    for name, block in orientation_blocks():
        case(f"jpeg EXIF, {name}", with_segments(segment(0xe1, b"Exif\0\0" + block)))
    six, three = (directory((0x112, 3, 1, short(o))) for o in (6, 3))
    for at in (1, 8, 20, len(six) - 1):
        case(f"jpeg EXIF in two segments, at {at}", with_segments(segment(0xe1, b"Exif\0\0" + six[:at]), segment(0xe1, b"Exif\0\0" + six[at:])))
    case("jpeg EXIF in two whole blocks", with_segments(segment(0xe1, b"Exif\0\0" + six), segment(0xe1, b"Exif\0\0" + three)))
    case("jpeg EXIF after the frame header", plain.replace(b"\xff\xda", segment(0xe1, b"Exif\0\0" + six) + b"\xff\xda", 1))
    xmp = lambda o: segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0" + XMP % o)
    case("jpeg XMP", with_segments(xmp(6)))
    case("jpeg XMP twice", with_segments(xmp(6), xmp(3)))
    case("jpeg XMP beside EXIF", with_segments(xmp(6), segment(0xe1, b"Exif\0\0" + three)))
    case("jpeg XMP beside EXIF without the tag", with_segments(xmp(6), segment(0xe1, b"Exif\0\0" + directory((0x100, 3, 1, short(9))))))
    case("jpeg XMP beside EXIF of bytes", with_segments(xmp(6), segment(0xe1, b"Exif\0\0" + directory((0x112, 1, 1, b"\3\0\0\0")))))
    case("jpeg APP14 one byte short", with_segments(segment(0xee, b"Adobe\0\x64\0\0\0\0")))
    case("jpeg APP14 without data", with_segments(segment(0xee, b"")))
    case("jpeg grey with APP14", saved(PICTURE.convert("L"), "JPEG")[:2] + segment(0xee, b"Adobe\0\x64\0\0\0\0\0") + saved(PICTURE.convert("L"), "JPEG")[2:])
    rgb = saved(PICTURE, "JPEG", keep_rgb=True)
    case("jpeg RGB", rgb)
    case("jpeg RGB with a short JFIF", rgb[:2] + bytes.fromhex("ffe000074a46494600") + rgb[2:])
    case("jpeg, fill bytes before markers", plain.replace(b"\xff\xdb", b"\xff\xff\xff\xdb"))
    case("jpeg, stray bytes between segments", with_segments(segment(0xfe, b"a") + b"stray"))
    case("jpeg, unknown marker", with_segments(segment(0xf5, b"abc")))
    case("jpeg, APP13 twice", with_segments(segment(0xed, b"Photoshop 3.0\0"), segment(0xed, b"Photoshop 3.0\0")))
    case("jpeg, comment without data", with_segments(segment(0xfe, b"")))


def make_sizes():
    for size in ((1, 1), (1, 40), (40, 1), (3, 3), (40, 3), (3, 40)):
        image = PICTURE.resize(size)
        for kind, options in (("PNG", {}), ("JPEG", {}), ("BMP", {}), ("GIF", {}), ("WEBP", dict(lossless=True))):
            case(f"{kind.lower()} of {size[0]} x {size[1]}", saved(image, kind, **options))


def squares():
    """What a model of 32 x 32 pixels sees of pictures of few rows or columns: squashed, and by the shortest edge and the centre."""
    side, digest = 32, lambda image: hashlib.sha256(image.tobytes()).hexdigest()
    for width, height in ((1, 1), (1, 1000), (1000, 1), (3, 3), (1000, 3), (3, 1000)):
        image = PICTURE.resize((width, height))
        short = min(width, height)
        scaled = image.resize((side * width // short, side * height // short), Image.Resampling.BICUBIC)
        left, top = (scaled.width - side) // 2, (scaled.height - side) // 2
        yield dict(name=f"{width} x {height}", file=base64.b64encode(saved(image, "PNG")).decode(),
                   squashed=digest(image.resize((side, side), Image.Resampling.BICUBIC)),
                   centre=digest(scaled.crop((left, top, left + side, top + side))))


make_png()
make_gif()
make_bmp()
make_webp()
make_jpeg()
make_sizes()
with open(pathlib.Path(__file__).with_name("odd.json"), "w") as out:
    json.dump(dict(pillow=PIL.__version__, cases=list(CASES.values()), squares=list(squares())), out, indent=0)
    out.write("\n")
print(len(CASES), "cases,", sum(c["strict"] is None for c in CASES.values()), "refused by Pillow,", sum(c["lenient"] is None for c in CASES.values()), "with LOAD_TRUNCATED_IMAGES")
