"""Covers become JPEGs, upright and in RGB; what is hostile harms nobody."""

import base64
import io
import struct
import zipfile
import zlib

import pytest
import resvg_py
from PIL import Image, ImageDraw

from speedd.errors import InputError
from speedd.model import Cover
from speedd.outbox import svg
from speedd.outbox.cover import to_jpeg

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '


def opened(jpeg):
    picture = Image.open(io.BytesIO(jpeg))
    picture.load()
    assert (picture.format, picture.mode) == ("JPEG", "RGB")
    return picture


def saved(picture, kind="PNG", **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def raster(data, **options):
    jpeg, warning = to_jpeg(Cover(data, "image/whatever"), **options)
    assert warning is None
    return opened(jpeg)


def drawing(text, **options):
    jpeg, warning = to_jpeg(Cover(text.encode(), "image/svg+xml"), **options)
    return opened(jpeg), warning


def is_near(pixel, colour, slack=12):
    return all(abs(got - wanted) <= slack for got, wanted in zip(pixel, colour, strict=True))


def data_link(colour, size=(64, 64)):
    return "data:image/png;base64," + base64.b64encode(saved(Image.new("RGB", size, colour))).decode()


# --- pictures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_pictures_of_all_common_kinds(kind):
    picture = raster(saved(Image.new("RGB", (300, 400), (200, 30, 30)), kind))
    assert picture.size == (300, 400)
    assert is_near(picture.getpixel((150, 200)), (200, 30, 30))


def test_large_ones_shrink_and_small_ones_stay():
    big = saved(Image.new("RGB", (3000, 4500), "navy"), "JPEG")
    assert raster(big).size == (933, 1400)
    assert raster(big, max_px=300).size == (200, 300)
    assert raster(saved(Image.new("RGB", (120, 90)))).size == (120, 90)


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("CMYK", (0, 255, 255, 0), (254, 0, 0)),
        ("L", 128, (128, 128, 128)),
        ("1", 1, (255, 255, 255)),
        ("YCbCr", (76, 85, 255), (254, 0, 0)),
    ],
)
def test_jpeg_and_tiff_in_other_colour_spaces(mode, colour, seen):
    assert is_near(raster(saved(Image.new(mode, (40, 40), colour), "TIFF")).getpixel((20, 20)), seen)
    if mode == "CMYK":
        assert is_near(raster(saved(Image.new(mode, (40, 40), colour), "JPEG")).getpixel((20, 20)), seen)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_what_is_transparent_becomes_white(mode):
    picture = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((40, 0, 79, 79), fill=(10, 10, 10, 255))
    flat = raster(saved(picture.convert(mode), "TIFF" if mode == "PA" else "PNG"))
    assert is_near(flat.getpixel((15, 40)), (255, 255, 255))
    assert is_near(flat.getpixel((65, 40)), (10, 10, 10))


def test_sixteen_bits_of_grey_are_scaled_not_clipped():
    grey = Image.new("I;16", (40, 40), 0x8000)
    assert is_near(raster(saved(grey)).getpixel((20, 20)), (128, 128, 128))


def test_a_photograph_is_turned_upright():
    picture = Image.new("RGB", (120, 80), "white")
    ImageDraw.Draw(picture).rectangle((0, 0, 20, 79), fill="red")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise: the left edge comes to the top
    upright = raster(saved(picture, "JPEG", exif=exif, quality=95))
    assert upright.size == (80, 120)
    assert is_near(upright.getpixel((40, 8)), (254, 0, 0), 20)
    assert not upright.getexif().get(0x0112)


def bomb(width, height):
    """A PNG of a few bytes that says it is huge."""

    def piece(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", header) + piece(b"IDAT", zlib.compress(b"")) + piece(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        bomb(8000, 8000),
        bomb(60_000, 60_000),
        bomb(2**31 - 1, 2**31 - 1),
        bomb(100, 100),
        saved(Image.new("RGB", (1, 1))),
        saved(Image.effect_noise((400, 400), 90), "JPEG")[:5000],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n",
        b"<html><svg></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'",
    ],
    ids=range(11),
)
def test_nonsense_is_refused_in_plain_words(data):
    with pytest.raises(InputError, match=r"^The cover is left out"):
        to_jpeg(Cover(data, "image/png"))


# --- drawings ------------------------------------------------------------------------------------------------------


def test_the_cover_of_the_time_machine(shared):
    """A painting with letters drawn as paths on a dark box."""
    with zipfile.ZipFile(shared / "books" / "the-time-machine.epub") as book:
        jpeg, warning = to_jpeg(Cover(book.read("epub/images/cover.svg"), "image/svg+xml"))
    picture = opened(jpeg)
    assert warning is None
    assert picture.size in {(933, 1400), (934, 1400)}
    assert len(jpeg) < 500_000
    title = picture.crop((130, 1150, 800, 1230)).convert("L").histogram()
    assert sum(title[235:]) > 8000, "white letters"
    assert sum(title[:60]) > 20_000, "on a dark box"
    painting = picture.crop((450, 300, 600, 500)).convert("L").histogram()
    assert sum(1 for count in painting if count) > 100, "over a painting"


def test_a_drawing_fills_the_size_asked_for():
    text = SVG + 'viewBox="0 0 2 1"><rect width="2" height="1" fill="#408020"/></svg>'
    picture, warning = drawing(text, max_px=600)
    assert (picture.size, warning) == ((600, 300), None)
    assert is_near(picture.getpixel((300, 150)), (64, 128, 32))


def test_a_drawing_is_known_by_its_content_too():
    jpeg, _ = to_jpeg(Cover(f'{SVG} viewBox="0 0 2 1"><rect width="1" height="1"/></svg>'.encode(), "image/jpeg"))
    assert opened(jpeg).size == (1400, 700)


@pytest.mark.parametrize("link", ["{path}", "file://{path}", "secret.png", "../x/secret.png", "http://127.0.0.1:9/a"])
@pytest.mark.parametrize("attribute", ["href", "xlink:href"])
def test_no_file_outside_the_drawing_is_read(tmp_path, monkeypatch, link, attribute):
    secret = tmp_path / "secret.png"
    secret.write_bytes(saved(Image.new("RGB", (64, 64), "red")))
    monkeypatch.chdir(tmp_path)
    image = f'<image {attribute}="{link.format(path=secret)}" width="100" height="100"/>'
    text = f'{SVG} viewBox="0 0 200 100">{image}<rect x="100" width="100" height="100" fill="blue"/></svg>'
    if link == "secret.png":  # the danger is real: unguarded, it is read
        unguarded = Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=text)))
        assert unguarded.getpixel((50, 50)) == (255, 0, 0, 255)
    picture, warning = drawing(text)
    assert is_near(picture.getpixel((300, 300)), (255, 255, 255))
    assert is_near(picture.getpixel((1100, 300)), (0, 0, 255))
    assert "outside" in warning
    with pytest.raises(InputError, match="nothing of it would be seen"):
        drawing(f'{SVG} viewBox="0 0 200 100">{image}</svg>')


def test_a_drawing_inside_a_drawing_is_not_followed(tmp_path):
    inner = f'{SVG} viewBox="0 0 1 1"><rect width="1" height="1" fill="red"/></svg>'
    link = "data:image/svg+xml;base64," + base64.b64encode(inner.encode()).decode()
    with pytest.raises(InputError, match="nothing of it would be seen"):
        drawing(f'{SVG} viewBox="0 0 1 1"><image href="{link}" width="1" height="1"/></svg>')


def test_entities_of_a_file_or_of_a_billion_laughs(tmp_path):
    (tmp_path / "secret").write_text("secret")
    outside = f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>{SVG}><text>&x;</text></svg>'
    with pytest.raises(InputError, match="no proper SVG"):
        drawing(outside)
    jokes = [f"&l{n};" * 10 for n in range(9)]
    laughs = "".join(f'<!ENTITY l{n + 1} "{jokes[n]}">' for n in range(9))
    with pytest.raises(InputError, match="no proper SVG"):
        drawing(f'<!DOCTYPE svg [<!ENTITY l0 "ha">{laughs}]>{SVG}><text>&l9;</text></svg>')
    namespaces = SVG.replace('"http://www.w3.org/2000/svg"', '"&ns;"')
    picture, _ = drawing(
        f'<!DOCTYPE svg [<!ENTITY ns "http://www.w3.org/2000/svg">]>{namespaces} viewBox="0 0 2 1">'
        '<rect width="2" height="1" fill="red"/></svg>'
    )
    assert is_near(picture.getpixel((9, 9)), (254, 0, 0))


def copies_upon_copies(*, extra=""):
    """A drawing that takes minutes: ten copies of ten copies of ten …"""
    copies = [f'<use href="#g{n}"/>' * 10 for n in range(8)]
    layers = "".join(f'<g id="g{n + 1}">{copies[n]}</g>' for n in range(8))
    shape = '<g id="g0"><rect width="9" height="9"/></g>'
    return f'{SVG} viewBox="0 0 9 9">{extra}<defs>{shape}{layers}</defs><use href="#g8"/></svg>'


def test_a_drawing_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(svg, "RENDER_TIMEOUT_S", 1.0)
    with pytest.raises(InputError, match="render"):
        drawing(copies_upon_copies())


def test_where_a_drawing_fails_the_largest_picture_in_it_serves(monkeypatch):
    monkeypatch.setattr(svg, "RENDER_TIMEOUT_S", 1.0)
    small, large = data_link("red", (32, 32)), data_link("teal", (640, 960))
    picture, warning = drawing(copies_upon_copies(extra=f'<image href="{small}"/><image href="{large}"/>'))
    assert picture.size == (640, 960)
    assert is_near(picture.getpixel((9, 9)), (0, 128, 128))
    assert "Only the picture" in warning


@pytest.mark.parametrize(
    "attributes",
    ['width="1e9" height="1e9"', 'width="1" height="1e30"', 'viewBox="0 0 1e-30 1e30"', 'width="-1" height="0"', ""],
)
def test_absurd_sizes_end_in_a_picture_or_a_reason(attributes):
    blur = '<filter id="f"><feGaussianBlur stdDeviation="1e9"/></filter>'
    text = f'{SVG} {attributes}>{blur}<rect width="5" height="5" filter="url(#f)"/></svg>'
    try:
        picture, _ = drawing(text)
    except InputError:
        return
    assert max(picture.size) <= 1400


def test_a_picture_inside_that_is_too_large_kills_only_the_child():
    link = "data:image/png;base64," + base64.b64encode(bomb(60_000, 60_000)).decode()
    text = f'{SVG} viewBox="0 0 9 9"><image href="{link}" width="9" height="9"/><rect width="4" height="4"/></svg>'
    try:
        picture, _ = drawing(text)
    except InputError:
        return
    assert picture.size == (1400, 1400)


def test_lettering_without_fonts_is_said(monkeypatch):
    text = f'{SVG} viewBox="0 0 90 90"><rect width="40" height="90" fill="red"/><text y="60">EMMA</text></svg>'
    parsed = svg.parse(text.encode())
    bare = resvg_py.svg_to_bytes(svg_string=text, width=300, height=300, skip_system_fonts=True)
    assert svg.lettering_is_missing(parsed, bare, 300)
    monkeypatch.setattr(svg, "render", lambda *_: bare)
    _, warning = drawing(text, max_px=300)
    assert "fonts" in warning
