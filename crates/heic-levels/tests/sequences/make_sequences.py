#!/usr/bin/env python3
"""Makes this directory's files: small HEIC sequences by x265 and ffmpeg, and in expected.tsv what libheif makes of them.

    make_sequences.py

Needs: ffmpeg with libx265 (apt-get install ffmpeg), pillow-heif (pip), whose libheif reads the tracks.
"""
import ctypes
import glob
import pathlib
import subprocess
import tempfile

import pillow_heif

HERE = pathlib.Path(__file__).parent
MOVING = "testsrc2=s={size}:r=10"
TURNING = MOVING + ",rotate=a=n/20:c=gray"

# Name, major brand, size, pixels, pictures, ffmpeg's filters, arguments of x265, others of ffmpeg.
SEQUENCES = [
    ("b", b"msf1", "98x66", "yuv420p", 9, TURNING, "bframes=3", []),
    ("intra", b"hevc", "50x34", "yuv420p", 4, TURNING, "keyint=1", []),
    ("full-range", b"hevc", "98x66", "yuvj420p", 6, TURNING, "range=full:colormatrix=bt709:colorprim=bt709:transfer=bt709", []),
    ("ten", b"hevx", "98x66", "yuv420p10le", 6, TURNING, "", []),
    ("full", b"msf1", "64x64", "yuv444p", 5, TURNING, "range=full:colormatrix=smpte170m", []),
    ("narrow", b"msf1", "64x64", "yuv422p", 5, TURNING, "", []),
    ("grey", b"msf1", "64x64", "gray", 5, TURNING, "", []),
    ("times", b"msf1", "64x64", "yuv420p", 8, MOVING + ",setpts='if(gt(N,3),3*N-6,N)/10/TB'", "bframes=3",
     ["-fps_mode", "vfr", "-enc_time_base", "1/1000"]),
    ("hev1", b"hevc", "64x64", "yuv420p", 6, MOVING, "keyint=3:min-keyint=3:open-gop=1:bframes=2:scenecut=0", ["-tag:v", "hev1"]),
]


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("subcode", ctypes.c_int), ("message", ctypes.c_char_p)]


HEIF = ctypes.CDLL(glob.glob(f"{pillow_heif.__path__[0]}/../pillow_heif.libs/libheif*")[0])
POINTER, RGB, INTERLEAVED_RGB = ctypes.c_void_p, 1, 10
for name, result, arguments in (
    ("heif_context_alloc", POINTER, []),
    ("heif_context_read_from_memory", Error, [POINTER, ctypes.c_char_p, ctypes.c_size_t, POINTER]),
    ("heif_context_get_track", POINTER, [POINTER, ctypes.c_uint32]),
    ("heif_track_decode_next_image", Error, [POINTER, ctypes.POINTER(POINTER), ctypes.c_int, ctypes.c_int, POINTER]),
    ("heif_image_get_plane_readonly", POINTER, [POINTER, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]),
    ("heif_image_get_primary_width", ctypes.c_int, [POINTER]),
    ("heif_image_get_primary_height", ctypes.c_int, [POINTER]),
):
    function = getattr(HEIF, name)
    function.restype, function.argtypes = result, arguments


def pictures(data):
    """Width, height and levels of each. libheif 1.23 ends with an error before the last one, which is left out."""
    context = HEIF.heif_context_alloc()
    if HEIF.heif_context_read_from_memory(context, data, len(data), None).code:
        return
    track = HEIF.heif_context_get_track(context, 0)
    while True:
        image, stride = POINTER(), ctypes.c_int()
        if HEIF.heif_track_decode_next_image(track, ctypes.byref(image), RGB, INTERLEAVED_RGB, None).code:
            return
        start = HEIF.heif_image_get_plane_readonly(image, INTERLEAVED_RGB, ctypes.byref(stride))
        width, height = HEIF.heif_image_get_primary_width(image), HEIF.heif_image_get_primary_height(image)
        yield width, height, b"".join(ctypes.string_at(start + y * stride.value, 3 * width) for y in range(height))


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return value


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=60).stdout


def durations(path):
    """From when each is shown to when the next one is, in milliseconds; the last one as long as its sample lasts."""
    rows = run("ffprobe", "-v", "error", "-show_entries", "packet=pts_time,dts_time,duration_time", "-of", "csv=p=0", path)
    samples = [tuple(float(part) for part in row.split(",")[:3]) for row in rows.decode().split()]
    decoded = [start for _, start, _ in samples[1:]] + [sum(samples[-1][1:])]
    times = sorted((shown, end - start) for (shown, start, _), end in zip(samples, decoded))
    ends = [start for start, _ in times[1:]] + [sum(times[-1])]
    return [int(1000 * (end - start) + 1e-6) for (start, _), end in zip(times, ends)]


def main():
    for old in HERE.glob("*.heics"):
        old.unlink()
    versions = run("ffmpeg", "-version").decode().split()[2], pillow_heif.libheif_info()["libheif"]
    lines = ["# ffmpeg {}, libheif {}: name, width, height, milliseconds, FNV-1a of libheif's levels as RGB".format(*versions)]
    with tempfile.TemporaryDirectory() as folder:
        film = pathlib.Path(folder) / "film.mp4"
        for name, brand, size, pixels, count, source, arguments, others in SEQUENCES:
            arguments = ":".join(filter(None, ("log-level=none:pools=1:frame-threads=1:info=0", arguments)))
            run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source.format(size=size), "-frames:v", count, "-pix_fmt", pixels,
                "-c:v", "libx265", "-crf", "36", "-x265-params", arguments, "-tag:v", "hvc1", *others, film)
            data = film.read_bytes()
            # The file's own brands, in a box of the same size.
            size = int.from_bytes(data[:4], "big")
            brands = b"ftyp" + brand + bytes(4) + b"msf1hevciso8"
            data = size.to_bytes(4, "big") + brands.ljust(size - 4, b"\0") + data[size:]
            (HERE / f"{name}.heics").write_bytes(data)
            # libheif reads no hev1 tracks: there the parameter sets may be with the pictures.
            known = list(pictures(data.replace(b"hev1", b"hvc1")))
            fields = [name, *known[0][:2], ",".join(map(str, durations(film))), ",".join(f"{fnv(rgb):016x}" for _, _, rgb in known)]
            lines.append("\t".join(map(str, fields)))
    (HERE / "expected.tsv").write_text("\n".join(lines) + "\n")


main()
