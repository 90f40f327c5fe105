"""What the daemon and its encoder process say to each other."""

import pytest

from mjpegd.encoding import orders
from mjpegd.encoding.orders import ANSWER, FORGET, ORDER, Answer, Order, Outcome

MOST = 2**32 - 1


@pytest.mark.parametrize(
    "order",
    [
        Order(1, 2, 1920, 1080, 640, 360, 80, bars=True, length=100_000),
        Order(2**64 - 1, MOST, MOST, MOST, MOST, MOST, 100, bars=False, length=MOST),
        Order(FORGET, 7),
    ],
)
def test_order(order: Order) -> None:
    """An order comes out as it went in, whatever its size."""
    packed = ORDER.pack(*order)

    assert Order._make(ORDER.unpack(packed)) == order
    assert len(packed) == ORDER.size == 34


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_answer(outcome: Outcome, kind: type) -> None:
    """An answer comes out as it went in, from whatever it was read into."""
    given = Answer(2**64 - 1, outcome, 0.125, MOST)
    read = orders.answer(kind(ANSWER.pack(*given)))

    assert read == given
    assert read.outcome is outcome
    assert ANSWER.size == 21


def test_no_answer() -> None:
    """What is no answer is not taken for one."""
    with pytest.raises(ValueError, match="77"):
        orders.answer(ANSWER.pack(1, 77, 0.0, 0))
