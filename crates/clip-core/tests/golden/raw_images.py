"""Encoders for the kinds of image that Pillow reads but does not write: used by make_images.py, by nothing else.

Samples are numpy arrays [height, width] or [height, width, channels]; each function returns the bytes of a file.
"""
import struct
import zlib

import numpy as np


def pack(rows, depth):
    """Samples of 1, 2, 4, 8 or 16 bits to bytes, each row on its own, the first sample in the high bits."""
    rows = rows.reshape(rows.shape[0], -1)
    if depth == 16:
        return [r.astype(">u2").tobytes() for r in rows]
    if depth == 8:
        return [r.astype(np.uint8).tobytes() for r in rows]
    bits = (rows[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
    return [np.packbits(b.reshape(-1).astype(np.uint8)).tobytes() for b in bits]


# JPEG

def jpeg_by_component(grey):
    """A baseline YCbCr JPEG with three scans, out of three grey ones of the same size and tables."""
    def parts(data):
        frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
        size = data[frame + 5:frame + 9]
        rest = data[2:frame] + data[frame + 13:scan]      # tables; 13 bytes of frame header with one component
        return rest, size, data[scan + 10:-2]
    (tables, size, _), *_ = made = [parts(g) for g in grey]
    assert all(m[:2] == (tables, size) for m in made)
    frame = b"\xff\xc0\0\x11\x08" + size + b"\x03\x01\x11\0\x02\x11\0\x03\x11\0"
    scans = b"".join(b"\xff\xda\0\x08\x01" + bytes([i + 1]) + b"\0\0\x3f\0" + m[2] for i, m in enumerate(made))
    return b"\xff\xd8" + tables + frame + scans + b"\xff\xd9"


# PNG

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_filter(rows, pixel_bytes):
    """Row r with filter type r mod 5, so that every filter is used."""
    out, above = bytearray(), None
    for r, row in enumerate(rows):
        row = np.frombuffer(row, np.uint8).astype(int)
        up = np.zeros_like(row) if above is None else above
        left = np.concatenate([np.zeros(pixel_bytes, int), row])[:len(row)]
        corner = np.concatenate([np.zeros(pixel_bytes, int), up])[:len(row)]
        p = left + up - corner
        da, db, dc = abs(p - left), abs(p - up), abs(p - corner)
        paeth = np.where((da <= db) & (da <= dc), left, np.where(db <= dc, up, corner))
        guess = [0 * row, left, up, (left + up) // 2, paeth][r % 5]
        out += bytes([r % 5]) + ((row - guess) & 255).astype(np.uint8).tobytes()
        above = row
    return bytes(out)


def png(samples, depth, colour, *, palette=None, trns=None, interlaced=False, extra=b""):
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    pixel_bytes = max(1, channels * depth // 8)
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlaced else [samples]
    data = b"".join(png_filter(pack(p, depth), pixel_bytes) for p in passes if p.size)
    out = b"\x89PNG\r\n\x1a\n"
    out += png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced)))
    if palette is not None:
        out += png_chunk(b"PLTE", np.asarray(palette, np.uint8).tobytes())
    if trns is not None:
        out += png_chunk(b"tRNS", trns)
    packed = zlib.compress(data, 9)
    middle = len(packed) // 2       # two chunks, since many files have more than one
    return (out + extra + png_chunk(b"IDAT", packed[:middle]) + png_chunk(b"IDAT", packed[middle:])
            + png_chunk(b"IEND", b""))


# GIF

def lzw(indices, min_bits):
    """GIF's LZW, codes from the low bits up."""
    clear, end = 1 << min_bits, (1 << min_bits) + 1
    acc = used = 0
    out = bytearray()

    def put(code, bits):
        nonlocal acc, used
        acc |= code << used
        used += bits
        while used >= 8:
            out.append(acc & 255)
            acc >>= 8
            used -= 8

    def fresh():
        return {bytes([i]): i for i in range(clear)}, end + 1, min_bits + 1

    table, following, bits = fresh()
    put(clear, bits)
    word = b""
    for index in indices:
        longer = word + bytes([index])
        if longer in table:
            word = longer
            continue
        put(table[word], bits)
        table[longer] = following
        following += 1
        if following > 1 << bits:
            bits += 1
        word = bytes([index])
        if following > 4095:
            put(table[word], min(bits, 12))
            word = b""
            put(clear, min(bits, 12))
            table, following, bits = fresh()
    if word:
        put(table[word], bits)
    put(end, bits)
    out.append(acc & 255)
    blocks = (bytes(out[i:i + 255]) for i in range(0, len(out), 255))
    return bytes([min_bits]) + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0"


def gif_frame(indices, *, at=(0, 0), palette=None, transparent=None, interlaced=False, min_bits=8):
    height, width = indices.shape
    out = b""
    if transparent is not None:
        out += b"!\xf9\x04" + struct.pack("<BHBB", 1, 5, transparent, 0)
    flags = (0x40 if interlaced else 0) | (0 if palette is None else 0x80 | (len(palette).bit_length() - 2))
    out += b"," + struct.pack("<HHHHB", *at, width, height, flags)
    if palette is not None:
        out += np.asarray(palette, np.uint8).tobytes()
    if interlaced:
        indices = np.concatenate([indices[0::8], indices[4::8], indices[2::4], indices[1::2]])
    return out + lzw(indices.astype(np.uint8).reshape(-1).tolist(), min_bits)


def gif(canvas, frames, *, palette=None, background=0):
    flags = 0x70 | (0 if palette is None else 0x80 | (len(palette).bit_length() - 2))
    out = b"GIF89a" + struct.pack("<HHBBB", *canvas, flags, background, 0)
    if palette is not None:
        out += np.asarray(palette, np.uint8).tobytes()
    return out + b"".join(frames) + b";"


# BMP

def bmp(width, height, bits, data, *, compression=0, palette=None, masks=None, header=40, colours=0):
    """`height` negative: rows from the top. `masks` follow a header of 40 bytes, and are part of a longer one."""
    table = b"" if palette is None else b"".join(bytes([b, g, r, 0]) for r, g, b in palette)
    fields = b"" if masks is None else struct.pack(f"<{len(masks)}I", *masks)
    head = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(data), 2835, 2835, colours, 0)
    if header > 40:
        head += fields.ljust(header - 40, b"\0")
        fields = b""
    offset = 14 + len(head) + len(fields) + len(table)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + head + fields + table + data


def bmp_rows(rows):
    """Rows padded to a multiple of four bytes, in the order given."""
    return b"".join(r + bytes(-len(r) % 4) for r in rows)


def rle(indices, four_bits=False):
    """Run-length coded rows, bottom row first: runs of a level, and literal stretches of levels that do not repeat."""
    out = bytearray()

    def halves(values):
        values = values + [0] * (len(values) % 2)
        return bytes(a << 4 | b for a, b in zip(values[::2], values[1::2]))

    for row in indices[::-1].tolist():
        x = 0
        while x < len(row):
            run = 1
            while x + run < len(row) and row[x + run] == row[x] and run < 255:
                run += 1
            literal = row[x:x + 9]
            if run < 3 and len(literal) >= 3:
                data = halves(literal) if four_bits else bytes(literal)
                out += bytes([0, len(literal)]) + data + bytes(len(data) % 2)
                x += len(literal)
            else:
                out += bytes([run, row[x] * 17 if four_bits else row[x]])
                x += run
        out += b"\0\0"
    return bytes(out) + b"\0\1"


# TIFF

BYTE, SHORT, LONG, LONG8 = 1, 3, 4, 16


def tiff(width, height, tags, parts, *, big_endian=False, big=False):
    """One directory; `tags` number -> (type, values); `parts` are the strips, or the tiles where `tags` has 322."""
    e = ">" if big_endian else "<"
    letter = {BYTE: "B", SHORT: "H", LONG: "I", LONG8: "Q"}
    pointer = LONG8 if big else LONG
    offsets_tag, counts_tag = (324, 325) if 322 in tags else (273, 279)
    start = 16 if big else 8
    offsets = [start + sum(map(len, parts[:i])) for i in range(len(parts))]
    tags = tags | {256: (LONG, [width]), 257: (LONG, [height]), offsets_tag: (pointer, offsets),
                   counts_tag: (pointer, [len(p) for p in parts])}
    body = b"".join(parts)
    body += bytes(-len(body) % 8)
    directory = start + len(body)
    room, entries, tail = (8, b"", b"") if big else (4, b"", b"")
    size = len(tags) * (20 if big else 12) + (16 if big else 6)
    for tag, (kind, values) in sorted(tags.items()):
        data = struct.pack(f"{e}{len(values)}{letter[kind]}", *values)
        if len(data) > room:
            where = directory + size + len(tail)
            tail += data + bytes(len(data) % 2)
            data = struct.pack(e + ("Q" if big else "I"), where)
        entries += struct.pack(e + ("HHQ" if big else "HHI"), tag, kind, len(values)) + data.ljust(room, b"\0")
    head = b"MM" if big_endian else b"II"
    if big:
        head += struct.pack(e + "HHHQ", 43, 8, 0, directory)
        return head + body + struct.pack(e + "Q", len(tags)) + entries + struct.pack(e + "Q", 0) + tail
    head += struct.pack(e + "HI", 42, directory)
    return head + body + struct.pack(e + "H", len(tags)) + entries + struct.pack(e + "I", 0) + tail


def tiff_tags(photometric, bits, *, compression=1, **more):
    """`more`: the tags by number, as `t317=(SHORT, [2])`."""
    return {258: (SHORT, bits), 259: (SHORT, [compression]), 262: (SHORT, [photometric]),
            277: (SHORT, [len(bits)])} | {int(k[1:]): v for k, v in more.items()}


def tiles(samples, side):
    """The picture cut into squares, the ones at the edges filled up with zeros."""
    height, width = samples.shape[:2]
    padding = [(0, -height % side), (0, -width % side)] + [(0, 0)] * (samples.ndim - 2)
    samples = np.pad(samples, padding)
    return [np.ascontiguousarray(samples[y:y + side, x:x + side])
            for y in range(0, height, side) for x in range(0, width, side)]
