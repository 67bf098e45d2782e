"""A checkpoint's file: its tensors by name, read one at a time, and an error in plain words for what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from speedd.errors import EngineError

MAPPED_BYTES = 200_000_000
"""What is read from a file before it is mapped anew."""
HINT = "Check [engines.chatterbox] model, or get the file again."


class TensorFile(Mapping[str, Tensor]):
    """The tensors of a checkpoint's file by name; read from the disk when they are asked for, each into its own memory.

    A gigabyte of weights is never in memory as a whole: what was read through a mapping counts as this process's own
    until the mapping ends, so the file is mapped anew every so often.

    Raises:
        EngineError: if it cannot be read. A tensor that is missing or of a wrong shape raises one too, and is named.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._read = self._mapped()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise EngineError(
                f"{self._path} holds no tensor {name}: it belongs to another model, or is damaged.", hint=HINT
            )
        if self._read_bytes > MAPPED_BYTES:
            self._read_bytes = 0
            self._read = self._mapped()
        tensor = self._read(name).clone()
        self._read_bytes += tensor.nbytes
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def shaped(self, name: str, *shape: int | None, least: int = 0) -> Tensor:
        """Return a tensor that must be of a shape.

        Args:
            name: of the tensor.
            shape: its sizes; None where any will do.
            least: rows that it must have at least.
        Raises:
            EngineError: if it is of another shape, or missing.
        """
        tensor = self[name]
        fits = tensor.ndim == len(shape) and all(
            wanted in {size, None} for size, wanted in zip(tensor.shape, shape, strict=True)
        )
        if not fits or (least and len(tensor) < least):
            told = ", ".join("any" if size is None else str(size) for size in shape)
            told = f"({told})" + f" with at least {least} rows" * bool(least)
            raise EngineError(
                f"{self._path} does not fit: its tensor {name} is of shape {tuple(tensor.shape)} instead of {told}."
                " It belongs to another model, or is damaged.",
                hint=HINT,
            )
        return tensor

    def fill(self, module: Any, prefix: str = "", *, may_lack: Collection[str] = ()) -> None:
        """Copy the tensors below a prefix into a module one by one, so that they are not there twice.

        Args:
            module: a torch module; its tensors have the rest of their names.
            prefix: of the names.
            may_lack: names of tensors that the module keeps as they are where the file has none.
        Raises:
            EngineError: if another one is missing, or is of another shape than in the module.
        """
        for name, own in module.state_dict().items():
            if name not in may_lack or prefix + name in self:
                own.copy_(self.shaped(prefix + name, *own.shape))

    def _mapped(self) -> Callable[[str], Tensor]:
        """Map the file and note the names of its tensors; returns what reads one."""
        from safetensors import SafetensorError, safe_open

        try:
            if self._path.suffix == ".safetensors":
                file = safe_open(self._path, "pt").__enter__()  # it ends with the last tensor that was read from it
                self._names = frozenset(file.keys())
                read: Callable[[str], Tensor] = file.get_tensor
                return read
            tensors = torch.load(self._path, map_location="cpu", weights_only=True, mmap=True)
            self._names = frozenset(tensors.keys())
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise EngineError(f"{self._path} cannot be read: {error}.", hint="Fetch it again.") from error
        except (AttributeError, LookupError, TypeError, UnpicklingError) as error:
            raise EngineError(
                f"{self._path} cannot be read: it holds something else than tensors.", hint="Fetch it again."
            ) from error
        return lambda name: tensors[name]
