"""What containerd names streams by."""

from urllib.parse import quote_plus, unquote_plus

from hypothesis import given
from hypothesis import strategies as st

from pyoci.containerd.streams import _unquote


@given(st.text(alphabet="ab%2F+\u00e9 0x"))
def test_queries_are_read_as_everywhere(text: str) -> None:
    assert _unquote(text) == unquote_plus(text)
    assert _unquote(quote_plus(text)) == text
