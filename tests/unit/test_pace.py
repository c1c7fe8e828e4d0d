"""How long work will take, and how far it is, by a clock of our own."""

from __future__ import annotations

import logging

import pytest

from hybridq.utils.pace import Pace, in_words


@pytest.fixture
def said(caplog):
    """Do `total` steps of a duration each, and get the lines that are said."""

    def do(total, seconds, *, lines=True, first=None):
        now = [0.0]
        caplog.clear()
        with caplog.at_level(logging.INFO, "hybridq"):
            pace = Pace(total, "steps", lines=lines, clock=lambda: now[0])
            for step in range(total):
                now[0] += seconds if step or first is None else first
                pace.done(step + 1, "epoch 1/2")
        return [record.getMessage() for record in caplog.records]

    return do


def test_short_work_is_not_spoken_of(said):
    assert said(20, 1.0) == []
    assert said(1, 600.0) == []  # it is over


def test_long_work_is_told_beforehand_and_now_and_then(said):
    first, *others = said(1000, 1.0)
    assert first == "994 steps to go take about 17 min"
    assert len(others) == 33  # every half minute
    assert others[0] == "epoch 1/2, 30 of 1000 steps, about 16 min left"
    assert said(1000, 1.0, lines=False) == [first]


def test_a_slow_first_step_alone_tells_of_the_others(said):
    assert said(10, 100.0)[0] == "9 steps to go take about 15 min"


def test_a_first_step_that_warms_up_is_no_measure(said):
    assert said(1000, 1.0, first=10.0)[0] == "994 steps to go take about 17 min"
    assert "998 steps to go take about 17 min" in said(1000, 1.0, first=30.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (89, "89 s"),
        (600, "10 min"),
        (5390, "1 h 30 min"),
        (12_000, "3 h 20 min"),
        (14_400, "4 h"),
        (190_800, "2 days 5 h"),
    ],
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words
