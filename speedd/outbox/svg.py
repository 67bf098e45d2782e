"""Render a drawn cover (SVG), which anyone may have drawn.

resvg reads the files that a drawing links to, needs minutes for a few nested copies, and aborts the whole process when
a canvas is too large (all seen with 0.48). So links out of the drawing are cut first, and it is rendered in a
child process with bounds on memory and time: this module.
"""

from __future__ import annotations

import base64
import binascii
import copy
import resource
import sys
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from lxml import etree

from speedd.common.processes import run_child
from speedd.errors import InputError

RENDER_TIMEOUT_S = 60.0
RENDER_CPU_S = 30
RENDER_MEMORY_BYTES = 2 * 1024**3

_PICTURES = ("data:image/jpeg", "data:image/jpg", "data:image/png", "data:image/gif", "data:image/webp")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing that refers to nothing outside itself."""

    root: etree._Element
    pictures: tuple[bytes, ...]
    """The raster pictures inside it, as files."""
    outside_links: int
    """How many links out of it were cut."""


def looks_like_svg(data: bytes) -> bool:
    """Whether this is XML that speaks of SVG early on, whatever it calls itself."""
    return data.lstrip(b"\xef\xbb\xbf\r\n\t ").startswith(b"<") and b"<svg" in data[:4096]


def parse(data: bytes) -> Drawing:
    """Read a drawing and cut its links to anything but itself and pictures that it carries.

    Raises:
        InputError: if it is no SVG, or one that plays with entities.
    """
    # Entities of its own are common (Illustrator names its namespaces so) and libxml2 bounds how far they grow.
    parser = etree.XMLParser(
        resolve_entities="internal", no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InputError("The cover is left out: it is no proper SVG.") from error
    if etree.QName(root).localname != "svg":
        raise InputError("The cover is left out: it is no SVG.")
    pictures: list[bytes] = []
    outside_links = 0
    for element in root.iter("*"):
        for name, value in element.attrib.items():
            if etree.QName(name).localname != "href" or value.lstrip().startswith("#"):
                continue
            if value.lstrip().lower().startswith(_PICTURES):
                pictures.extend(_decoded(value))
            else:
                del element.attrib[name]
                outside_links += etree.QName(element).localname in ("image", "feImage", "use")
    return Drawing(root, tuple(pictures), outside_links)


def render(drawing: Drawing, max_px: int) -> bytes:
    """Render to PNG with the longer side at ``max_px``.

    Raises:
        InputError: if it cannot be rendered within bounds, or nothing is to be seen.
    """
    try:
        child = run_child(
            "speedd.outbox.svg",
            max_px,
            data=etree.tostring(drawing.root),
            timeout_s=RENDER_TIMEOUT_S,
            limits={
                resource.RLIMIT_AS: RENDER_MEMORY_BYTES,
                resource.RLIMIT_CPU: RENDER_CPU_S,
                resource.RLIMIT_CORE: 0,
            },
        )
    except TimeoutError as error:
        raise InputError("The cover is a drawing that takes too long to render.") from error
    if child.returncode != 0 or not child.stdout:
        raise InputError("The cover is a drawing that cannot be rendered.")
    return child.stdout


def lettering_is_missing(drawing: Drawing, png: bytes, max_px: int) -> bool:
    """Whether the drawing has text that left no trace, as on a machine without fonts."""
    bare = copy.deepcopy(drawing.root)
    texts = [element for element in bare.iter("{*}text") if "".join(element.itertext()).strip()]
    if not texts:
        return False
    for text in texts:
        text.clear()
    return render(Drawing(bare, (), 0), max_px) == png


def _decoded(link: str) -> list[bytes]:
    """The bytes in a data: link, if they can be had."""
    header, _, body = link.partition(",")
    raw = unquote_to_bytes(body)
    if not header.rstrip().lower().endswith(";base64"):
        return [raw]
    try:
        return [base64.b64decode(raw)]
    except binascii.Error:
        return []


def _main() -> int:
    import resvg_py  # noqa: PLC0415 - only here, where it is bounded

    max_px = int(sys.argv[1])
    try:
        png = resvg_py.svg_to_bytes(svg_string=sys.stdin.buffer.read().decode(), width=max_px, height=max_px)
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this process speaks by its standard streams
        return 1
    sys.stdout.buffer.write(png)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
