from __future__ import annotations

import pytest

from goldpress.mirror.transfer.fault import rest_seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 59.0),
        ("Fri, 31 Dec 1999 23:58:00 GMT", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-1", 0.0),
        ("1e9", 0.0),
    ],
)
def test_a_server_asks_to_be_left_alone(value: str, expected: float) -> None:
    assert rest_seconds(value, now=946684740.0) == expected
