"""Pages of lengths that are written as differences: Arrow takes memory for as many as their beginning claims.

Encodings DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY of https://github.com/apache/parquet-format, `Encodings.md`.
"""

from __future__ import annotations

import io

from rnnsent.data.thrift import read_varint

BY_LENGTH, BY_PREFIX = 6, 7
MAX_VALUES = 1 << 24  # of a page; writers aim at one MiB
_CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}


def unpacked(content: bytes, codec: int, size: int) -> bytes:
    """Return what a page of `size` bytes holds.

    Raises:
        ValueError: if it is packed in another way than such pages are.
    """
    if not codec:
        return content
    if codec not in _CODECS:
        raise ValueError("it is packed in a way that is not known")
    import pyarrow as arrow

    found: bytes = arrow.Codec(_CODECS[codec]).decompress(content, size, asbytes=True)
    return found


def require_true_counts(content: bytes, levels: int, encoding: int, values: int) -> None:
    """Require that a page holds no more lengths than it has values.

    Args:
        content: of the page, unpacked.
        levels: how many lists of levels stand before the values, each after its size.
        encoding: `BY_LENGTH` or `BY_PREFIX`.
        values: of the page, by its header.

    Raises:
        ValueError: if it claims more, or ends before that is known.
    """
    stream = io.BytesIO(content)
    for _ in range(levels):
        stream.seek(int.from_bytes(stream.read(4), "little"), 1)
    for _ in range(2 if encoding == BY_PREFIX else 1):  # of the beginnings in common, and of what is new
        _pass_over_lengths(stream, min(values, MAX_VALUES))


def _pass_over_lengths(stream: io.BytesIO, most: int) -> None:
    block, parts, left, _ = (read_varint(stream) for _ in range(4))
    if left > most:
        raise ValueError(f"it claims {left:,} values, and {most:,} can be there")
    if not parts or block % parts or block // parts % 8:
        raise ValueError("its values are in parts that cannot be")
    each = block // parts
    left -= 1  # the first one stands at the beginning
    while left > 0:
        read_varint(stream)
        widths = stream.read(parts)
        if len(widths) < parts:
            raise ValueError("it ends too early")
        for width in widths:
            if left > 0:
                stream.seek(width * each // 8, 1)
                left -= each
