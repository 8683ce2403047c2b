"""Conversion between checkpoints, safetensors and npz; one file a format."""

from fastckpt.tools.convert.conversion import FORMATS, Conversion, convert

__all__ = ["FORMATS", "Conversion", "convert"]
