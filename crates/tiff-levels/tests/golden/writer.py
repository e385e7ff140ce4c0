"""Writes TIFF files of the kinds that Pillow does not write, of random samples or of a picture's."""
import io
import random
import struct
import zlib

import numpy as np
from PIL import Image

def packbits(data):
    out, i = bytearray(), 0
    while i < len(data):
        run = 1
        while run < 128 and data[i + run:i + run + 1] == data[i:i + 1]:
            run += 1
        if run > 2:
            out += bytes([257 - run]) + data[i:i + 1]
            i += run
            continue
        end = i + 1
        while end < len(data) and end - i < 128 and data[end:end + 1] * 2 != data[end + 1:end + 3]:
            end += 1
        out += bytes([end - i - 1]) + data[i:end]
        i = end
    return bytes(out)


def lzw(data, old=False):
    """With the highest bit first and codes that grow one code early; `old` is how it was before TIFF 6."""
    bits, count, out = 0, 0, bytearray()

    def put(code, width):
        nonlocal bits, count
        if old:
            bits |= code << count
        else:
            bits = bits << width | code
        count += width
        while count >= 8:
            count -= 8
            if old:
                out.append(bits & 255)
                bits >>= 8
            else:
                out.append(bits >> count & 255)
                bits &= (1 << count) - 1

    early = 0 if old else 1
    table, width, word = {}, 9, b""
    put(256, 9)
    for byte in data:
        byte = bytes([byte])
        if len(word) == 0 or word + byte in table:
            word += byte
            continue
        put(table[word] if len(word) > 1 else word[0], width)
        table[word + byte] = 258 + len(table)
        # the decoder is one code behind
        if 258 + len(table) + early > 1 << width:
            width += 1
        if len(table) == 4094 - 258 - 1:
            put(256, min(width, 12))
            table, width = {}, 9
        word = byte
    if word:
        put(table[word] if len(word) > 1 else word[0], width)
        if 258 + len(table) + 1 + early > 1 << width:
            width += 1
    put(257, min(width, 12))
    if count:
        out.append(bits & 255 if old else bits << 8 - count & 255)
    return bytes(out)


CODERS = {1: bytes, 5: lzw, 8: zlib.compress, 32946: zlib.compress, 32773: packbits, "old lzw": lambda data: lzw(data, True)}


REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


def flip(data):
    return data.translate(REVERSED)


def pack(samples, bits, order):
    """Rows of samples to bytes, every row beginning with one of its own."""
    if samples.dtype.kind == "f":
        return samples.astype(order + "f4").tobytes()
    if bits in (8, 16, 32):
        return samples.astype(f"{order}{'i' if samples.dtype.kind == 'i' else 'u'}{bits // 8}").tobytes()
    out = b""
    for row in samples:
        text = "".join(f"{value:0{bits}b}" for value in row.ravel())
        text += "0" * (-len(text) % 8)
        out += int(text, 2).to_bytes(len(text) // 8, "big")
    return out


def differences(samples, predictor, order):
    if predictor == 2:
        out = samples.copy()
        out[:, 1:] = samples[:, 1:] - samples[:, :-1]
        return out
    return samples


def floats(samples):
    """Predictor 3, on one plane or several."""
    height, width, count = samples.shape
    out = b""
    for row in samples:
        planes = np.frombuffer(row.astype(">f4").tobytes(), "u1").reshape(-1, 4).T.ravel().astype("i2")
        planes[count:] = planes[count:] - planes[:-count].copy()
        out += (planes & 255).astype("u1").tobytes()
    return out


def directory(tags, big=False, order="<", data=b""):
    """A file of the tags (number: (type, values)) and of what stands before the directory."""
    kinds = {1: "B", 2: "c", 3: "H", 4: "I", 5: "II", 7: "B", 16: "Q", 11: "f"}
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    start = 16 if big else 8
    body = data + b"\0" * (len(data) % 2)
    entries, inside = [], 8 if big else 4
    for number, (kind, values) in sorted(tags.items()):
        packed = b"".join(struct.pack(order + kinds[kind], *(v if isinstance(v, tuple) else (v,))) for v in values)
        if len(packed) > inside:
            place = start + len(body)
            body += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(order + ("Q" if big else "I"), place)
        entries.append(struct.pack(order + ("HHQ" if big else "HHI"), number, kind, len(values)) + packed.ljust(inside, b"\0"))
    place = start + len(body)
    if big:
        head += struct.pack(order + "HHQ", 8, 0, place)
        return head + body + struct.pack(order + "Q", len(entries)) + b"".join(entries) + bytes(8)
    head += struct.pack(order + "I", place)
    return head + body + struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)


def write(samples, photometric, bits, compression=1, order="<", big=False, fill=1, planes=False, tile=None, rows=None,
          predictor=1, extra=(), tags=None, jpeg=None):
    """`samples`: height × width × count. `jpeg`: a function from a chunk to its stream."""
    height, width, count = samples.shape
    chunks = []
    for plane in range(count if planes else 1):
        part = samples[:, :, plane:plane + 1] if planes else samples
        across, down = (tile[0], tile[1]) if tile else (width, rows or height)
        for y in range(0, height, down):
            for x in range(0, width, across):
                chunk = part[y:y + down, x:x + across]
                if tile:
                    chunk = np.pad(chunk, ((0, down - chunk.shape[0]), (0, across - chunk.shape[1]), (0, 0)), mode="edge")
                if jpeg:
                    chunks.append(jpeg(chunk))
                    continue
                data = floats(chunk) if predictor == 3 else pack(differences(chunk, predictor, order), bits, order)
                if fill == 2 and compression == 1:
                    chunks.append(flip(data))
                else:
                    coded = CODERS[compression](data)
                    chunks.append(flip(coded) if fill == 2 else coded)
    start, data, offsets = 16 if big else 8, b"", []
    for chunk in chunks:
        offsets.append(start + len(data))
        data += chunk + b"\0" * (len(chunk) % 2)
    all_tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * count), 262: (3, [photometric]), 277: (3, [count]),
                259: (3, [5 if compression == "old lzw" else compression]), 284: (3, [2 if planes else 1])}
    if tile:
        all_tags |= {322: (4, [tile[0]]), 323: (4, [tile[1]]), 324: (4, offsets), 325: (4, [len(c) for c in chunks])}
    else:
        all_tags |= {273: (4, offsets), 279: (4, [len(c) for c in chunks]), 278: (4, [rows or height])}
    if fill != 1:
        all_tags[266] = (3, [fill])
    if predictor != 1:
        all_tags[317] = (3, [predictor])
    if extra:
        all_tags[338] = (3, list(extra))
    if samples.dtype.kind in "if":
        all_tags[339] = (3, [3 if samples.dtype.kind == "f" else 2] * count)
    return directory(all_tags | (tags or {}), big, order, data)


def blocks(samples, across, down):
    """YCbCr with subsampled chroma, as blocks of luma with their chroma behind."""
    height, width, _ = samples.shape
    padded = np.pad(samples, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
    out = b""
    for y in range(0, padded.shape[0], down):
        for x in range(0, padded.shape[1], across):
            block = padded[y:y + down, x:x + across]
            out += block[:, :, 0].tobytes() + bytes([block[0, 0, 1], block[0, 0, 2]])
    return out


def subsampled(samples, across, down, compression, order="<", tile=None, rows=None, tags=None):
    """As `write`, of YCbCr."""
    height, width, _ = samples.shape
    chunks, step = [], tile or (width, rows or height)
    for y in range(0, height, step[1]):
        for x in range(0, width, step[0]):
            chunk = samples[y:y + step[1], x:x + step[0]]
            if tile:
                chunk = np.pad(chunk, ((0, step[1] - chunk.shape[0]), (0, step[0] - chunk.shape[1]), (0, 0)), mode="edge")
            chunks.append(CODERS[compression](blocks(chunk, across, down)))
    data, offsets = b"", []
    for chunk in chunks:
        offsets.append(8 + len(data))
        data += chunk + b"\0" * (len(chunk) % 2)
    all_tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8] * 3), 259: (3, [compression]), 262: (3, [6]), 277: (3, [3]),
                530: (3, [across, down])}
    if tile:
        all_tags |= {322: (4, [tile[0]]), 323: (4, [tile[1]]), 324: (4, offsets), 325: (4, [len(c) for c in chunks])}
    else:
        all_tags |= {273: (4, offsets), 279: (4, [len(c) for c in chunks]), 278: (4, [step[1]])}
    return directory(all_tags | (tags or {}), False, order, data)


def jpeg_stream(chunk, **options):
    """A chunk of 1, 3 or 4 samples as a JPEG stream without conversion of colours, or with: mode RGB."""
    out = io.BytesIO()
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[chunk.shape[2]]
    image = Image.fromarray(chunk[:, :, 0] if mode == "L" else chunk, mode=mode)
    image.save(out, "JPEG", **options)
    return out.getvalue()


def split_tables(stream):
    """Tables of a stream as one of their own, and the rest."""
    tables, rest, at = b"\xff\xd8", b"\xff\xd8", 2
    while True:
        length = struct.unpack(">H", stream[at + 2:at + 4])[0]
        segment = stream[at:at + 2 + length]
        at += 2 + length
        if segment[1] in (0xdb, 0xc4):
            tables += segment
        elif segment[1] not in (0xe0, 0xee):
            rest += segment
        if segment[1] == 0xda:
            return tables + b"\xff\xd9", rest + stream[at:]


def picture(rng, height, width, count, top=255):
    """Smooth, with noise and a plain part: something for every compression."""
    y, x = np.mgrid[:height, :width]
    planes = [(np.sin(x / rng.uniform(3, 30) + i) + np.cos(y / rng.uniform(3, 30))) / 4 + 0.5 for i in range(count)]
    out = np.stack(planes, -1) + np.random.default_rng(rng.randrange(1 << 30)).normal(0, 0.02, (height, width, count))
    out[: height // 3, : width // 3] = rng.random()
    return np.clip(np.round(out * top), 0, top)


def made(seed, count):
    """(name, bytes) of random files."""
    rng = random.Random(seed)
    for number in range(count):
        height, width = rng.choice([(1, 1), (5, 7), (16, 16), (33, 50), (64, 100), (129, 65)])
        kind = rng.choice(["grey", "grey", "palette", "rgb", "rgb", "cmyk", "wide", "float", "ycbcr", "subsampled", "jpeg", "lab"])
        order, big = rng.choice("<>"), rng.random() < 0.1
        compression = rng.choice([1, 5, 8, 32773, 32946, "old lzw"])
        compression = {"jpeg": 7, "subsampled": 5 if compression == "old lzw" else compression}.get(kind, compression)
        tile = rng.choice([None, None, (16, 16), (48, 32), (64, 128)])
        rows = rng.choice([None, 1, 7, 16])
        common = dict(compression=compression, order=order, big=big and order == "<", tile=tile, rows=rows)
        name = f"{number:05}-{kind}-{compression}-{'MM' if order == '>' else 'II'}"
        if kind == "grey":
            bits, fill = rng.choice([1, 2, 4, 8]), rng.choice([1, 1, 2])
            samples = picture(rng, height, width, 1, (1 << bits) - 1).astype("u4" if bits > 8 else "u1")
            predictor = 2 if bits == 8 and compression not in (1, 32773) and rng.random() < 0.5 else 1
            yield name, write(samples, rng.choice([0, 1]), bits, fill=fill, predictor=predictor, **common)
        elif kind == "palette":
            bits, fill = rng.choice([1, 2, 4, 8]), rng.choice([1, 1, 2])
            samples = picture(rng, height, width, 1, (1 << bits) - 1).astype("u1")
            size = rng.choice([1 << bits, 1 << bits, rng.randrange(1, 257)])
            colours = [rng.randrange(65536) for _ in range(3 * size)]
            yield name, write(samples, 3, bits, fill=fill, tags={320: (3, colours)}, **common)
        elif kind in ("rgb", "cmyk"):
            bits, count = rng.choice([8, 16]), 3 if kind == "rgb" else 4
            extra = rng.choice([(), (), (0,), (1,), (2,), (2, 0), (1, 0), (0, 0)])
            if kind == "cmyk":
                extra = rng.choice([(), (), (0,), (0, 0)])
            samples = picture(rng, height, width, count + len(extra), (1 << bits) - 1).astype(f"u{bits // 8}")
            predictor = 2 if compression not in (1, 32773) and rng.random() < 0.5 else 1
            planes = rng.random() < 0.4
            fill = rng.choice([1, 1, 1, 2]) if kind == "rgb" and bits == 8 and not extra else 1
            yield f"{name}-{bits}-{len(extra)}{'-planes' if planes else ''}", write(
                samples, 2 if kind == "rgb" else 5, bits, extra=extra, planes=planes, predictor=predictor, fill=fill, **common)
        elif kind == "wide":
            bits, sign = rng.choice([(12, "u"), (16, "u"), (16, "i"), (32, "i"), (32, "u")])
            top = rng.choice([300, 4000])
            samples = picture(rng, height, width, 1, top)
            samples = (samples - rng.choice([0, 100]) if sign == "i" else samples).astype(f"{sign}{4 if bits == 32 else 2}")
            predictor = 2 if bits != 12 and compression not in (1, 32773) and rng.random() < 0.5 else 1
            if bits == 12 and tile:
                common["tile"] = (16, 16)
            yield f"{name}-{sign}{bits}", write(samples, 1, bits, predictor=predictor, **common)
        elif kind == "float":
            samples = (picture(rng, height, width, 1, 300) - 20).astype("f4")
            predictor = rng.choice([1, 3]) if compression not in (1, 32773) else 1
            yield name, write(samples, rng.choice([0, 1]), 32, predictor=predictor, **common)
        elif kind == "ycbcr":
            samples = picture(rng, height, width, 3).astype("u1")
            planes = compression != 1 and rng.random() < 0.3
            yield name, write(samples, 6, 8, planes=planes, tags={530: (3, [1, 1])}, **common)
        elif kind == "subsampled":
            if tile and rng.random() < 0.5:
                tile = (16, 16)
            across, down = rng.choice([(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4)])
            samples = picture(rng, max(height, down), max(width, across), 3).astype("u1")
            tags = rng.choice([{}, {532: (5, [(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)])},
                               {529: (5, [(2126, 10000), (7152, 10000), (722, 10000)])}])
            rows = rng.choice([None, 8, 4 * down])
            yield f"{name}-{across}x{down}", subsampled(samples, across, down, compression, order, tile, rows, tags)
        elif kind == "lab":
            samples = picture(rng, height, width, 3).astype("u1")
            yield name, write(samples, 8, 8, **common)
        else:
            count = rng.choice([1, 3, 3, 4])
            samples = picture(rng, height, width, count).astype("u1")
            planes = count > 1 and rng.random() < 0.2
            options = dict(quality=rng.choice([30, 75, 95]), optimize=rng.random() < 0.3, progressive=rng.random() < 0.2)
            photometric, tags, subsampling = {1: 1, 3: 2, 4: 5}[count], {}, None
            if count == 3 and not planes and rng.random() < 0.7:
                photometric, subsampling = 6, rng.choice([0, 1, 2])
                options["subsampling"] = subsampling
                tags[530] = (3, [[1, 1], [2, 1], [2, 2]][subsampling])
            elif count == 3 and not planes:
                options["keep_rgb"] = True
            shared = rng.random() < 0.5 and not options["optimize"] and not options["progressive"]
            if tile is None and rows and rows < height:
                rows = 16
            chunk = (lambda c: split_tables(jpeg_stream(c, **options))[1]) if shared else (lambda c: jpeg_stream(c, **options))
            if shared:
                first = samples[:1, :1, :1] if planes else samples[:1, :1]
                tags[347] = (7, list(split_tables(jpeg_stream(first, **options))[0]))
            name += f"-{count}{'-tables' if shared else ''}{'-planes' if planes else ''}"
            yield name, write(samples, photometric, 8, 7, order, big and order == "<", 1, planes, tile, rows, tags=tags, jpeg=chunk)


COMPRESSIONS = [None, "tiff_ccitt", "group3", "group4", "tiff_lzw", "jpeg", "tiff_adobe_deflate", "tiff_deflate", "packbits", "lzma",
                "zstd"]


def saved(seed):
    """(name, bytes) of what Pillow itself writes: every mode by every compression that takes it."""
    rng = random.Random(seed)
    for mode in ["1", "L", "LA", "P", "PA", "I", "I;16", "I;16B", "F", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "LAB"]:
        for height, width in [(1, 1), (9, 7), (20, 31), (257, 333)]:
            rgb = Image.fromarray(picture(rng, height, width, 3).astype("u1"))
            if mode.startswith("I;16"):
                image = Image.fromarray(picture(rng, height, width, 1, 500)[:, :, 0].astype("<u2"))
                if mode == "I;16B":
                    image = image.convert("I;16B") if hasattr(image, "convert") else image
            elif mode in ("I", "F"):
                image = Image.fromarray((picture(rng, height, width, 1, 400)[:, :, 0] - 50).astype("i4" if mode == "I" else "f4"))
            elif mode == "LAB":
                image = Image.frombytes("LAB", rgb.size, rgb.tobytes())
            else:
                image = rgb.convert("P").convert("PA") if mode == "PA" else rgb.convert(mode)
            for compression in COMPRESSIONS:
                variants = [{}, {"big_tiff": True}]
                if compression in ("tiff_lzw", "tiff_adobe_deflate", "zstd", "lzma") and mode not in ("1", "P", "PA"):
                    variants.append({"tiffinfo": {317: 2}})
                if compression == "group3":
                    variants += [{"tiffinfo": {292: n}} for n in (1, 4, 5)]
                if compression in ("group3", "group4", "tiff_ccitt"):
                    variants.append({"tiffinfo": {266: 2}})
                if compression is not None:
                    variants.append({"tiffinfo": {278: 8}})
                if compression == "jpeg":
                    variants += [{"quality": 20}, {"quality": 100}]
                for i, options in enumerate(variants):
                    out = io.BytesIO()
                    try:
                        image.save(out, "TIFF", compression=compression, **options)
                    except Exception:
                        continue
                    yield f"pillow-{mode}-{width}x{height}-{compression}-{i}", out.getvalue()
