"""Images that are damaged, cut off or lie about their size. Each generator gives a name, the bytes, and what may come of
them: SQLSTATEs, or None for a vector."""
import base64
import os
import random
import struct
import zlib

from pg import ROOT, png

DAMAGED, TOO_LARGE, UNSUPPORTED = "22P03", "54000", "0A000"
# 16 x 24 pixels in each format
SMALL = {name: base64.b64decode(text) for name, text in {
    "JPEG": "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAYABADAREAAhEBAxEB/8QAFwAAAwEAAAAAAAAAAAAAAAAABwkKCP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/xAAXAQEBAQEAAAAAAAAAAAAAAAAJBggH/8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/aAAwDAQACEQMRAD8Azo4YVMAjjB0UtisXBc7D44ib24COqWhVLh//2Q==",
    "PNG": "iVBORw0KGgoAAAANSUhEUgAAABAAAAAYCAIAAAB8wupbAAAALklEQVR42mP8z4AdMDJgl2FiIBGMaiAGsDD8xx0To6FENw2MuCRwRc9osNJEAwB55gYtBl45PAAAAABJRU5ErkJggg==",
    "WebP": "UklGRkIAAABXRUJQVlA4TDYAAAAvD8AFAC8gEEjaH3qN+RcQFPk/2vwHskXCZjAISUoKKaSQQgr5A73AXUT/49RWcw8MkCtg1Rw=",
    "WebP lossy": "UklGRlQAAABXRUJQVlA4IEgAAADQAQCdASoQABgAAUAmJaACdLoABTnUAAD9s//ujn/+Tl//9X27/zYH/6OF39Gf/6XBRC/8p+/Df//54NP/6jP/9NNBFWAAAAA=",
    "GIF": "R0lGODdhEAAYAIIAAP//////AAD/AP8AAAAA/wAAAAAAAAAAACwAAAAAEAAYAEAIaAAHCBwokIDBgwYBKFyoUIDDhw4LSJwoMYDFixYJEkSIkCFDiBApUsSIUeNAjgdNFkRJwONCkA9dNoQpQOREkhdtVsQZQOUAlgR8AhXKkihKmQBoCkCqlClNpzB1FuAZQCpVqzyx4gwIADs=",
    "BMP": "Qk3OAQAAAAAAAE4AAAAoAAAAEAAAABgAAAABAAgAAAAAAIABAADEDgAAxA4AAAYAAAAGAAAA////AAD//wAA/wAAAAD/AP8AAAAAAAAABQUFBQUFBQUBAQEBAQEBAQUFBQUFBQUFAQEBAQEBAQEFBQUFBQUFBQEBAQEBAQEBBQUFBQUFBQUBAQEBAQEBAQUFBQUFBQUFAQEBAQEBAQEFBQUFBQUFBQEBAQEBAQEBBQUFBQUFBQUBAQEBAQEBAQUFBQUFBQUFAQEBAQEBAQEAAAAAAAAAAAICAgICAgICAAAAAAAAAAACAgICAgICAgAAAAAAAAAAAgICAgICAgIAAAAAAAAAAAICAgICAgICAAAAAAAAAAACAgICAgICAgAAAAAAAAAAAgICAgICAgIAAAAAAAAAAAICAgICAgICAAAAAAAAAAACAgICAgICAgMDAwMDAwMDBAQEBAQEBAQDAwMDAwMDAwQEBAQEBAQEAwMDAwMDAwMEBAQEBAQEBAMDAwMDAwMDBAQEBAQEBAQDAwMDAwMDAwQEBAQEBAQEAwMDAwMDAwMEBAQEBAQEBAMDAwMDAwMDBAQEBAQEBAQDAwMDAwMDAwQEBAQEBAQE",
    "TIFF": "SUkqAK4AAACAP8AACBQSBwWEQeFQODQ2Ew6Fv+HxOIwuKxCMQiKRmLxeNxOPx6LRySRqRSWGSiSyGVSeWRKXSeYyuZxuax6JTmdTueTqVSGe0GhT+RUKjTuiRyj0uBS+i0yjUmKVCo06lVSg1KK1is1abSmwWGxTCyU2zQSzzCxWu2WW0W+3W62XOwXG03e33S9XC8Xa83u537BWfAYG+4e/4Wx4jB4q24zEQEAACgAAAQMAAQAAABAAAAABAQMAAQAAABgAAAACAQMAAwAAACwBAAADAQMAAQAAAAUAAAAGAQMAAQAAAAIAAAARAQQAAQAAAAgAAAAVAQMAAQAAAAMAAAAWAQMAAQAAABgAAAAXAQQAAQAAAKUAAAAcAQMAAQAAAAEAAAAAAAAACAAIAAgA",
}.items()}


def truncated():
    files = dict(SMALL)
    for name in ("horse", "ox"):
        with open(os.path.join(ROOT, "models", "demo", "pictures", name + ".png"), "rb") as file:
            files[name + ".png"] = file.read()
    files["large PNG"] = png_of_rows(4000, 3000, 3000)
    for name, data in files.items():
        lengths = range(0, len(data), 2) if name in SMALL else sorted(random.sample(range(len(data)), 20))
        for length in lengths:
            # the last bytes follow the pixels
            yield f"{name} cut to {length}", data[:length], (DAMAGED,) if length < len(data) - 25 else (DAMAGED, None)


def flipped():
    for name, data in SMALL.items():
        for _ in range(100):
            at, damaged = random.randrange(len(data)), bytearray(data)
            damaged[at] ^= random.randrange(1, 256)
            yield f"{name} with another byte {at}", bytes(damaged), (None, DAMAGED, TOO_LARGE, UNSUPPORTED)


def garbage():
    yield "nothing", b"", (DAMAGED,)
    for size in (1, 7, 1000, 1 << 20):
        yield f"{size} zeros", bytes(size), (DAMAGED,)
        yield f"{size} bytes of text", b"x" * size, (DAMAGED,)
        yield f"{size} random bytes", bytes(random.randrange(1, 256) for _ in range(size)), (DAMAGED,)
    for name, data in SMALL.items():
        start = data[:16] if name.startswith("WebP") else data[:8] if name in ("PNG", "TIFF") else data[:6]
        yield f"{name} and then nothing but 0xff", start + b"\xff" * 5000, (DAMAGED, TOO_LARGE, UNSUPPORTED)
        yield f"{name} and then random bytes", start + random.randbytes(5000), (DAMAGED, TOO_LARGE, UNSUPPORTED)


def png_of_rows(width, height, rows, chunks=b""):
    """A PNG that declares `height` rows and brings `rows`, all black."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    pack = zlib.compressobj(1)
    packed = b"".join(pack.compress(bytes(1 + 3 * width)) for _ in range(rows)) + pack.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunks + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def text_bomb(kind, head):
    body = kind + head + zlib.compress(bytes(300 << 20), 9)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def gif(screen, frame):
    return b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\2\2\x44\1\0;"


def tiff(width, height, strip=8, strips=1, samples=1):
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, strips, 200),
               (277, 3, 1, samples), (278, 4, 1, height), (279, 4, strips, strip)]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(200)


def bmp(width, height, bits=24, compression=0, data=bytes(64)):
    return b"BM" + struct.pack("<IIIIiiHHIIIIII", 0, 0, 54, 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0) + data


def jpeg(width, height):
    data = SMALL["JPEG"]
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4:]


def webp(width, height):
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bombs():
    yield "PNG of 30,000 x 30,000", png(1, 1, declared=(30000, 30000)), (TOO_LARGE,)
    yield "PNG of 2^31 x 2^31", png(1, 1, declared=(2**31 - 1, 2**31 - 1)), (TOO_LARGE,)
    yield "PNG of no width", png(1, 1, declared=(0, 5)), (DAMAGED,)
    yield "PNG of 7000 x 7000 with one row", png_of_rows(7000, 7000, 1), (DAMAGED,)
    yield "PNG of 4 x 4 with 300 MB of rows", png_of_rows(4, 4, 300 << 20 >> 4), (None, DAMAGED)
    for kind, head in ((b"zTXt", b"x\0\0"), (b"iCCP", b"x\0\0"), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0")):
        yield f"PNG with 300 MB in {kind.decode()}", png_of_rows(4, 4, 4, text_bomb(kind, head)), (None, DAMAGED, TOO_LARGE)
    yield "GIF of 65,535 x 65,535", gif((65535, 65535), (65535, 65535)), (TOO_LARGE,)
    yield "GIF with a screen of 65,535 x 65,535", gif((65535, 65535), (1, 1)), (TOO_LARGE,)
    yield "GIF with a frame larger than its screen", gif((1, 1), (65535, 65535)), (DAMAGED, TOO_LARGE)
    yield "TIFF of 30,000 x 30,000", tiff(30000, 30000), (TOO_LARGE,)
    yield "TIFF of 2^31 x 2^31", tiff(2**31, 2**31), (TOO_LARGE,)
    yield "TIFF of no height", tiff(5, 0), (DAMAGED,)
    yield "TIFF of 9000 x 9000 without its strips", tiff(9000, 9000), (DAMAGED, TOO_LARGE)  # more than clip.max_memory
    yield "TIFF with a strip of 4 GB", tiff(4, 4, strip=2**32 - 1), (None,)  # it lies in the file, whatever its size says, as for Pillow
    yield "TIFF with a billion strips", tiff(4, 4, strips=10**9), (DAMAGED, TOO_LARGE)
    yield "TIFF with 65,535 samples a pixel", tiff(1000, 1000, samples=65535), (DAMAGED, TOO_LARGE, UNSUPPORTED)
    yield "BMP of 2^31 x 2^31", bmp(2**31 - 1, 2**31 - 1), (TOO_LARGE,)
    yield "BMP of 9000 x 9000 without its rows", bmp(9000, 9000), (DAMAGED,)
    yield "BMP of negative width", bmp(-5, 5), (DAMAGED, TOO_LARGE)
    yield "JPEG of 65,535 x 65,535", jpeg(65535, 65535), (TOO_LARGE,)
    yield "JPEG of 7000 x 7000 with a block or two", jpeg(7000, 7000), (DAMAGED,)
    yield "WebP of 2^24 x 2^8", webp(2**24, 2**8), (DAMAGED, TOO_LARGE)
