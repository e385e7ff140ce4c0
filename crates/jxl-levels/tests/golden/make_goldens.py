"""Makes the files of this directory again: made pictures as JPEG XL, and the levels that Pillow gets of them.

    python make_goldens.py DIRECTORY

Needs Pillow, pillow-jxl-plugin, numpy, and cjxl 0.7 (Debian's libjxl-tools) on the path. The reference is
`ImageOps.exif_transpose(Image.open(file)).convert("RGB")`; where it is another one, `EXPECTED` says why.
"""

import io
import pathlib
import subprocess
import sys
import tempfile

import numpy
import pillow_jxl  # noqa: F401
from PIL import Image, ImageCms, ImageOps

out = pathlib.Path(sys.argv[1])
temporary = pathlib.Path(tempfile.mkdtemp())
manifest = []


def scene(width, height, seed=1, channels=3):
    """Slopes, an edge, a disc and some noise."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    planes = []
    for c in range(channels):
        plane = 40 + 150 * x / max(width, 1) * (c != 1) + 120 * y / max(height, 1) * (c != 0)
        plane = plane + 60 * ((x - width / 3) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2) * (c == 2)
        plane[:, width * 3 // 4 :] = 255 - plane[:, width * 3 // 4 :]
        planes.append(plane + random.integers(-6, 7, (height, width)))
    return numpy.stack(planes, 2).clip(0, 255).astype(numpy.uint8)


def levels(data):
    image = Image.open(io.BytesIO(data))
    if image.mode == "I;16":
        return "grey16", image.size, numpy.asarray(image).astype("<u2").tobytes()
    if image.mode == "F":
        # `convert("RGB")` takes 0.0 to 1.0 for levels, and makes all of it black. As of colours of floats.
        grey = (numpy.asarray(image) * numpy.float32(255)).clip(0, 255).astype(numpy.uint8)
        return "rgb", image.size, numpy.repeat(grey[..., None], 3, 2).tobytes()
    image = ImageOps.exif_transpose(image).convert("RGB")
    return "rgb", image.size, image.tobytes()


def keep(name, data, how, reference=None):
    """`how`: `same` (within a level) or `near` (lossy)."""
    kind, size, expected = levels(reference or data)
    (out / f"{name}.jxl").write_bytes(data)
    (out / f"{name}.raw").write_bytes(expected)
    manifest.append(f"{name} {size[0]} {size[1]} {kind} {how}")
    print(manifest[-1], len(data))


def saved(image, **options):
    file = io.BytesIO()
    image.save(file, "JXL", **options)
    return file.getvalue()


def cjxl(suffix, data, *arguments):
    source, target = temporary / f"in.{suffix}", temporary / "out.jxl"
    source.write_bytes(data)
    subprocess.run(["cjxl", source, target, "--quiet", *arguments], check=True, stderr=subprocess.DEVNULL)
    return target.read_bytes()


def as_file(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


rgb = Image.fromarray(scene(37, 29))
grey = Image.fromarray(scene(33, 30, 2, 1)[..., 0])
rgba = Image.fromarray(numpy.dstack([scene(31, 28, 3), scene(31, 28, 4, 1)]))
png = as_file(rgb, "PNG")

keep("lossless", saved(rgb, lossless=True), "same")
keep("lossless-box", saved(rgb, lossless=True, use_container=True), "same")
keep("lossless-e1", saved(rgb, lossless=True, effort=1), "same")
keep("lossless-e9", saved(rgb, lossless=True, effort=9), "same")
for quality in [95, 85, 50]:
    keep(f"lossy-{quality}", saved(rgb, quality=quality), "near")
keep("lossy-e3", saved(rgb, quality=80, effort=3), "near")
keep("grey-lossless", saved(grey, lossless=True), "same")
keep("grey-lossy", saved(grey, quality=85), "near")
keep("grey-alpha", saved(rgba.convert("LA"), lossless=True), "same")
keep("alpha-lossless", saved(rgba, lossless=True), "same")
keep("alpha-lossy", saved(rgba, quality=85), "near")
wide = (numpy.asarray(grey).astype(numpy.uint16) * 255 + 17).astype(numpy.uint16)
keep("grey-16", saved(Image.fromarray(wide), lossless=True), "same")
keep("grey-float", saved(Image.fromarray((wide / 65535).astype(numpy.float32), "F"), lossless=True), "same")
for width, height in [(1, 1), (1, 9), (9, 1), (7, 5), (520, 6), (3, 270)]:
    keep(f"size-{width}x{height}", saved(Image.fromarray(scene(width, height, 5)), lossless=True), "same")
keep("size-300x14-lossy", saved(Image.fromarray(scene(300, 14, 6)), quality=85), "near")

keep("progressive", cjxl("png", png, "-d", "1", "-p"), "near")
keep("progressive-dc", cjxl("png", png, "-d", "2", "--progressive_dc=1"), "near")
keep("squeeze", cjxl("png", png, "-d", "0", "-m", "1", "-R", "1"), "same")
keep("modular-lossy", cjxl("png", png, "-d", "1.5", "-m", "1"), "near")
keep("noise", cjxl("png", png, "-d", "3", "--photon_noise=ISO6400"), "near")
keep("epf-3", cjxl("png", png, "-d", "4", "--epf=3"), "near")
text = scene(64, 24, 8)
text[:] = 250
for x in range(2, 60, 8):
    text[4:18, x : x + 2] = 10
    text[4:6, x : x + 5] = 10
keep("patches", cjxl("png", as_file(Image.fromarray(text), "PNG"), "-d", "1", "--patches=1", "-e", "8"), "near")
palette = Image.fromarray((scene(40, 24, 9) // 86 * 86).astype(numpy.uint8))
keep("palette", cjxl("png", as_file(palette, "PNG"), "-d", "0"), "same")
sixteen = scene(30, 22, 10).astype(numpy.uint16) * 257 + 3
ppm = b"P6\n30 22\n65535\n" + sixteen.astype(">u2").tobytes()
keep("rgb-16", cjxl("ppm", ppm, "-d", "0"), "same")
keep("rgb-16-lossy", cjxl("ppm", ppm, "-d", "1"), "near")
ten = b"P6\n30 22\n1023\n" + (sixteen >> 6).astype(">u2").tobytes()
keep("rgb-10", cjxl("ppm", ten, "-d", "0"), "same")
floats = scene(24, 20, 11)[::-1].astype("<f4") / 255
keep("rgb-float", cjxl("pfm", b"PF\n24 20\n-1.0\n" + floats.tobytes(), "-d", "0"), "same")
srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
keep("icc", cjxl("png", as_file(rgb, "PNG", icc_profile=srgb), "-d", "0"), "same")
keep("display-p3", cjxl("png", png, "-d", "1", "-x", "color_space=RGB_D65_DCI_Rel_SRG"), "near")
keep("linear", cjxl("png", png, "-d", "1", "-x", "color_space=RGB_D65_SRG_Rel_Lin"), "near")
keep("gamma", cjxl("png", png, "-d", "0", "-x", "color_space=RGB_D65_SRG_Rel_g0.4545"), "same")

small = Image.fromarray(scene(23, 17, 12))
for orientation in range(2, 9):
    exif = Image.Exif()
    exif[0x112] = orientation
    # cjxl puts the orientation of a picture's EXIF data into the codestream.
    data = cjxl("jpg", as_file(small, "JPEG", quality=95, exif=exif.tobytes()), "-j", "0", "-d", "1", "--container=0")
    keep(f"orientation-{orientation}", data, "near")
exif = Image.Exif()
exif[0x112] = 6
keep("exif-alone", saved(small, lossless=True, exif=exif.tobytes()), "same")

frames = [Image.fromarray(scene(26, 18, seed)) for seed in (20, 21, 22)]
gif = as_file(frames[0].quantize(16), "GIF", save_all=True, append_images=[f.quantize(16) for f in frames[1:]], duration=80)
first = cjxl("png", as_file(Image.open(io.BytesIO(gif)).convert("RGB"), "PNG"), "-d", "0")
# The plugin gives the last frame of an animation; Pillow's own plugins, of other formats, the first.
keep("animation", cjxl("gif", gif, "-d", "0"), "same", first)

for name, options in {"jpeg-420": {}, "jpeg-444": {"subsampling": 0}, "jpeg-progressive": {"progressive": True}}.items():
    keep(name, cjxl("jpg", as_file(Image.fromarray(scene(41, 31, 13)), "JPEG", quality=85, **options)), "jpeg")

(out / "manifest.txt").write_text("\n".join(manifest) + "\n")
