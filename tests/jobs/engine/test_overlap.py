"""Work shared between threads: every item once, in order, whoever does it."""

from __future__ import annotations

import threading
import time
from collections.abc import Container, Iterator

import pytest

from jobs.engine.overlap import Overlap


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order_and_once(threads: int) -> None:
    done: list[int] = []

    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        done.append(number)
        return number * number

    assert list(Overlap(threads, depth=4).map(work, range(50))) == [n * n for n in range(50)]
    assert sorted(done) == list(range(50))


def test_items_are_made_by_the_caller_who_lends_a_hand() -> None:
    """Decoding stays in the main thread, where its time limit holds; answering is shared."""
    made, worked = set[str](), set[str]()

    def items() -> Iterator[int]:
        for number in range(30):
            made.add(threading.current_thread().name)
            yield number

    def work(_: int) -> None:
        worked.add(threading.current_thread().name)
        time.sleep(0.002)

    list(Overlap(1, depth=2).map(work, items()))
    here = threading.current_thread().name
    assert made == {here}
    assert here in worked
    assert len(worked) == 2


@pytest.mark.parametrize("threads", [0, 2])
def test_a_failure_comes_at_its_items_turn(threads: int) -> None:
    def work(number: int) -> int:
        if number == 7:
            raise ValueError("seven is not served")
        return number

    found = []
    with pytest.raises(ValueError, match="seven"):
        for number in Overlap(threads, depth=3).map(work, range(20)):
            found.append(number)
    assert found == list(range(7))


@pytest.mark.parametrize("slow", [range(0), range(40), (0,), (7, 20)])
def test_no_more_is_made_than_can_wait(slow: Container[int]) -> None:
    """Pictures in memory are bounded, however slow the answers are, or one of them."""
    begun, most = 0, 0

    def items() -> Iterator[int]:
        nonlocal begun, most
        for number in range(40):
            begun += 1
            most = max(most, begun - finished)
            yield number

    finished = 0
    for _ in Overlap(1, depth=3).map(lambda number: time.sleep(0.05 if number in slow else 0.001), items()):
        finished += 1
    assert finished == 40
    assert most <= 3 + 2 + 1
