"""How much torch remembers of the shapes that it has computed on a CPU.

oneDNN compiles every product and convolution for the very shape it has, and keeps what it compiled: 1,024 of them, some
300 KB each whatever the model's size, and as many again in torch's own layer above it, either of which keeps them all
alive. Texts and takes have thousands of lengths, so few are ever of use again; left alone a worker grows by 0.6 GB in
its first hundreds of chunks.
"""

from __future__ import annotations

from collections.abc import MutableMapping

SHAPES_KEPT = 128
"""What a chunk comes back to, with room to spare: a step of T3 has 5, a prompt 14, S3Gen at one length 70."""
CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""oneDNN's, and torch's above it. Both are read once, at the first product of the process."""


def keep_few_shapes(environ: MutableMapping[str, str]) -> None:
    """Bound both caches, unless the environment does; to be called before torch computes anything.

    Args:
        environ: of this process.
    """
    for name in CACHES:
        environ.setdefault(name, str(SHAPES_KEPT))
