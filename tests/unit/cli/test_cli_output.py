"""Text goes out whole and as it came in."""

import os
import threading

import pytest

from pyoci.cli.output import encode, write


@pytest.mark.parametrize(
    ("text", "data"), [("a\u00e9", b"a\xc3\xa9"), ("a\udcff", b"a\xff"), ("a\ud800", b"a\\ud800"), ("", b"")]
)
def test_text_becomes_bytes(text, data):
    assert encode(text) == data


def test_a_full_non_blocking_pipe_is_waited_for():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = "x" * 1_000_000  # many times what a pipe holds
    got = []
    reader = threading.Thread(target=lambda: got.append(open(reading, "rb").read()))
    reader.start()
    try:
        write(writing, text)
    finally:
        os.close(writing)
        reader.join()
    assert got == [text.encode()]
