"""Checksums of two byte strings that follow each other, from their own."""

import numpy as np
import pytest

from fastckpt import _core


@pytest.mark.parametrize("size_a", [0, 1, 100, 65537])
@pytest.mark.parametrize("size_b", [0, 1, 16, 65536, 100_003])
def test_combine_is_the_checksum_of_both(size_a: int, size_b: int) -> None:
    data = np.random.default_rng(size_a + size_b).bytes(size_a + size_b)
    a, b = data[:size_a], data[size_a:]
    combined = _core.crc32c_combine(_core.crc32c(a), _core.crc32c(b), size_b)
    assert combined == _core.crc32c(data)
    assert combined == _core.crc32c(b, _core.crc32c(a))
