"""What Pillow makes of a file: size and RGB levels, or its error."""
import io

from PIL import Image, ImageFile

Image.MAX_IMAGE_PIXELS = None
# Its arithmetic decoder cannot wait for further bytes of a file.
ImageFile.MAXBLOCK = 1 << 28


def pillow_levels(data, lenient=False, divisor=1):
    """With a divisor of 2, 4 or 8 what `Image.draft` makes of it, whatever its size."""
    ImageFile.LOAD_TRUNCATED_IMAGES = lenient
    try:
        im = Image.open(io.BytesIO(data), formats=["JPEG"])
        if im.format not in ("JPEG", "MPO"):
            return None, f"format {im.format}"
        if divisor > 1:
            (tile,) = im.tile
            im._size = tuple(-(-n // divisor) for n in im.size)
            im.tile = [tile._replace(extents=(0, 0, *im.size))]
            im.decoderconfig = (divisor, 0)
        return im.size, im.convert("RGB").tobytes()
    except Exception as e:
        return None, f"{type(e).__name__}: {e}"
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
