"""Valid pictures that are large, in few bytes: what costs memory and time."""
import struct
import zlib
from pathlib import Path

EXIF = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # turned by 90 degrees


def png(width, height, depth=8, colour=2, chunks=(), interlaced=0):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    pack = zlib.compressobj(1)
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)) if interlaced else ((0, 0, 1, 1),)
    packed = b""
    for x, y, across, down in passes:
        row = bytes(1 + (-(-(width - x) // across) * channels * depth + 7) // 8)
        packed += b"".join(pack.compress(row) for _ in range(-(-(height - y) // down)))
    packed += pack.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*c) for c in chunks)
            + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def turned_png(width, height):
    return png(width, height, colour=0, chunks=[(b"eXIf", EXIF)])


def jpeg(width, height, progressive=False, components=3, sampling=0x11, turned=False):
    """All grey: one bit a block, and of a progressive one a second scan, whose blocks end in runs of 2^14."""
    def segment(marker, body):
        return struct.pack(">BBH", 0xff, marker, len(body) + 2) + body
    ids = range(1, components + 1)
    across, down = sampling >> 4, sampling & 15
    units = -(-width // (8 * across)) * -(-height // (8 * down))
    blocks = units * (across * down + components - 1)
    tables = segment(0xdb, b"\0" + b"\1" * 64) + segment(0xc4, b"\0" + b"\1" + bytes(15) + b"\0")
    tables += segment(0xc4, b"\x10" + b"\1" + bytes(15) + (b"\xe0" if progressive else b"\0"))
    frame = struct.pack(">BHHB", 8, height, width, components)
    frame += b"".join(bytes([i, sampling if i == 1 and components > 1 else 0x11, 0]) for i in ids)
    scan = bytes([components]) + b"".join(bytes([i, 0]) for i in ids) + (b"\0\0\0" if progressive else b"\0\x3f\0")
    bits = blocks * (1 if progressive else 2)
    data = bytes(bits // 8) + (bytes([0xff >> bits % 8]) if bits % 8 else b"")
    app = segment(0xe1, b"Exif\0\0" + EXIF) if turned else b""
    if components == 4:
        app += segment(0xee, b"Adobe\0\x64\0\0\0\0\0")
    if progressive:
        runs = -(-(-(-width // 8) * -(-height // 8)) >> 14)
        bits = 15 * runs
        ends = bytes(bits // 8) + (bytes([0xff >> bits % 8]) if bits % 8 else b"")
        data += segment(0xda, b"\1\1\0\1\x3f\0") + ends
    return (b"\xff\xd8" + app + tables + segment(0xc2 if progressive else 0xc0, frame) + segment(0xda, scan) + data + b"\xff\xd9")


def tiff(width, height, bits=8, samples=3, photometric=2):
    pack = zlib.compressobj(1)
    row = b"\1" * (width * samples * bits // 8)
    data = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    depths = struct.pack(f"<{samples}H", *([bits] * samples))
    inside, at = len(depths) <= 4, 8 + len(data)
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, samples, int.from_bytes(depths, "little") if inside else at),
            (259, 3, 1, 8), (262, 3, 1, photometric), (273, 4, 1, 8), (277, 3, 1, samples), (278, 3, 1, height), (279, 4, 1, len(data))]
    directory = at + (0 if inside else len(depths))
    return (b"II*\0" + struct.pack("<I", directory) + data + (b"" if inside else depths) + struct.pack("<H", len(tags))
            + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4))


def bmp_runs(width, height):
    """RLE8; the palette is 256 greys."""
    row = bytes([255, 7]) * (width // 255) + (bytes([width % 255, 7]) if width % 255 else b"") + b"\0\0"
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    header = struct.pack("<IiiHHIIIIII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + header + palette + row * height + b"\0\1"


def gif(width, height):
    """Without compression: codes of eight bits, and the table cleared before it makes them longer."""
    codes = bytearray()
    for _ in range(-(-width * height // 120)):
        codes += b"\x80" + b"\5" * 120
    codes += b"\x81"
    blocks = b"".join(bytes([len(codes[i:i + 255])]) + codes[i:i + 255] for i in range(0, len(codes), 255))
    size = struct.pack("<HH", width, height)
    return b"GIF89a" + size + b"\xf6\0\0" + bytes(384) + b"," + bytes(4) + size + b"\0\7" + blocks + b"\0;"


def webp(width=9400, height=9400):
    """Lossless, one colour: 38 bytes. (Other sizes: the header's 14 bits each.)"""
    data = bytearray.fromhex("524946461e000000574542505650384c110000002fb7e42d0907508f6a15b9ff8188e87f0000")
    bits = int.from_bytes(data[21:25], "little") & 0xf0000000
    data[21:25] = (bits | (width - 1) | (height - 1) << 14).to_bytes(4, "little")
    return bytes(data)


def avif():
    """42 MP, one colour: 1,211 bytes, which an encoder made."""
    return (Path(__file__).parents[2] / "crates/avif-levels/tests/large/flat.avif").read_bytes()


def of_this_build(session, images):
    """The same without AVIFs, where those were left out of the build. It says so."""
    absent = session.fails(f"SELECT clip_image_hash('\\x{avif()[:64].hex()}')") == "0A000"
    kept = {name: data for name, data in images.items() if not (absent and data[4:12] == b"ftypavif")}
    for name in images.keys() - kept.keys():
        print(f"{name}: left out of this build")
    return kept


def tiff_that_declares(length):
    """Two hundred bytes with an entry of so many values."""
    tags = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, length // 4, 8), (277, 3, 1, 1),
            (278, 4, 1, 16), (279, 4, 1, 64)]
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
            + bytes(4 + 64))
