"""Make the cover a JPEG that players and servers show: upright, in RGB, not too large.

Covers come from strangers. Pictures are measured before they are decoded; drawings (SVG) are rendered by `svg`.
"""

from __future__ import annotations

import io
import struct

from PIL import Image, ImageOps, ImageStat

from speedd.errors import InputError
from speedd.model import Cover
from speedd.outbox import svg

MAX_COVER_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000
"""A poster scanned at 600 dpi has 35 million. Decoding takes 4 bytes for each."""
MIN_SIDE_PX = 16
"""What is smaller is a spacer or a tracking pixel."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_MAX_PROFILE_BYTES = 32 * 1024

# What Pillow raises on damaged files, by its documentation and by experiment.
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def to_jpeg(cover: Cover, *, max_px: int = 1400) -> tuple[bytes, str | None]:
    """Turn a cover into a JPEG.

    Args:
        cover: as it was found; its media type is only believed for SVG.
        max_px: the longer side, at most. Pictures are never enlarged; drawings are rendered at this size.
    Returns:
        The JPEG, and a warning if it is not quite what the book shows.
    Raises:
        InputError: if it is no picture, is damaged or far too large. The book can do without.
    """
    if len(cover.data) > MAX_COVER_BYTES:
        raise InputError(f"The cover is left out: its file is larger than {MAX_COVER_BYTES >> 20} MB.")
    if cover.media_type.partition("+")[0].strip().lower() == "image/svg" or svg.looks_like_svg(cover.data):
        return _drawing(cover.data, max_px)
    return _raster(cover.data, max_px), None


def _drawing(data: bytes, max_px: int) -> tuple[bytes, str | None]:
    drawing = svg.parse(data)
    try:
        png = svg.render(drawing, max_px)
    except InputError as error:
        if not drawing.pictures:
            raise
        picture = max(drawing.pictures, key=len)
        return _raster(picture, max_px), f"{error.message} Only the picture inside it is used, without lettering."
    jpeg = _raster(png, max_px)
    warning = None
    if drawing.outside_links:
        warning = "The cover refers to files outside itself; they are left out of it."
    elif svg.lettering_is_missing(drawing, png, max_px):
        warning = "The cover's lettering is missing: this machine has no fonts. Install some, e.g. fonts-dejavu-core."
    if warning and _is_blank(jpeg):
        raise InputError(f"The cover is left out, for nothing of it would be seen. {warning}")
    return jpeg, warning


def _is_blank(jpeg: bytes) -> bool:
    with Image.open(io.BytesIO(jpeg)) as picture:
        return all(low == high for low, high in ImageStat.Stat(picture).extrema)


def _raster(data: bytes, max_px: int) -> bytes:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise InputError(f"The cover is left out: {width} × {height} pixels are too many.")
            if min(width, height) < MIN_SIDE_PX:
                raise InputError(f"The cover is left out: it has only {width} × {height} pixels.")
            picture.draft(None, (max_px, max_px))  # a JPEG can be decoded at an 8th of its size
            upright = ImageOps.exif_transpose(picture)
            profile = picture.info.get("icc_profile") if picture.mode == "RGB" else None
            flat = _rgb(upright)
    except _DAMAGED as error:
        raise InputError("The cover is left out: it is damaged or no picture that speedd knows.") from error
    flat.thumbnail((max_px, max_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    if not profile or len(profile) > _MAX_PROFILE_BYTES:
        profile = None
    flat.save(out, "JPEG", quality=90, optimize=True, icc_profile=profile)
    return out.getvalue()


def _rgb(picture: Image.Image) -> Image.Image:
    """Convert any mode to RGB; what is transparent becomes white."""
    if picture.mode.startswith(("I", "F")):  # 16 bits of grey
        return picture.convert("I").point(lambda grey: grey * (1 / 256)).convert("L").convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, picture).convert("RGB")
    return picture.convert("RGB")
