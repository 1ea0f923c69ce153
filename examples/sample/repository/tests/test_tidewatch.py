"""One test for each mistake I have made on the water, and one from land."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tidewatch import find_windows, height_at, read_table
from tidewatch.cli import main
from tidewatch.curve import NoWaterKnown, cosine, twelfths
from tidewatch.readings import read_rows
from tidewatch.rounds import Job, Rounds

SKARVIK = Path(__file__).parent.parent / "data" / "skarvik.csv"
LOW, HIGH = datetime(2026, 6, 24, 0, 0), datetime(2026, 6, 24, 6, 0)
ROWS = ["time,kind,metres", "2026-06-24T00:00,low,0.2", "2026-06-24T06:00,high,1.8"]


def test_turns_are_exact_and_the_middle_is_the_middle():
    readings = read_rows(ROWS).readings
    assert height_at(readings, LOW) == pytest.approx(0.2)
    assert height_at(readings, HIGH) == pytest.approx(1.8)
    assert height_at(readings, LOW + timedelta(hours=3)) == pytest.approx(1.0)


def test_twelfths_agree_with_the_cosine_to_within_the_wash_of_the_ferry():
    assert max(abs(cosine(i / 60) - twelfths(i / 60)) for i in range(61)) < 0.03


def test_we_do_not_guess_past_the_last_line():
    with pytest.raises(NoWaterKnown):
        height_at(read_rows(ROWS).readings, HIGH + timedelta(minutes=1))


def test_a_bad_line_is_set_aside_with_a_reason():
    table = read_rows([*ROWS, "2026-06-24T12:00,high,1.7", "2026-06-24T12:10,low,0,3", "x,low,1"])
    assert [a.line for a in table.aside] == [4, 6]
    assert "missing" in table.aside[0].reason


def test_windows_close_before_the_keel_does():
    windows = find_windows(read_table(SKARVIK).readings, depth=0.6, draught=1.4)
    assert windows and all(w.most_spare > 0 for w in windows)


def test_five_hours_of_sleep_is_one_round():
    now, said = [0.0], []
    rounds = Rounds(clock=lambda: now[0])
    rounds.add(Job("water", 600, lambda: now[0], said.append))
    rounds.make_one()
    now[0] = 5 * 3600.0
    assert rounds.make_one() == 1
    assert rounds.make_one() == 0
    assert said == [0.0, 18000.0]


def test_the_same_news_is_not_news():
    now, said = [0.0], []
    rounds = Rounds(clock=lambda: now[0])
    rounds.add(Job("lamp", 1, lambda: "lit", said.append))
    for now[0] in (0.0, 1.0, 2.0):
        rounds.make_one()
    assert said == ["lit"]


def test_wednesday_is_not_thursday(capsys):
    assert main(["height", str(SKARVIK), "--at", "2026-06-24T14:30"]) == 0
    assert capsys.readouterr().out.startswith("WED")
