"""The simulation of docs/scale.md, where arithmetic says what has to come out."""

from __future__ import annotations

import statistics

import pytest

from benchmarks.simulation import DAY, WEEK, Author, Machines, collect_and_train, enough, needed, serve


def test_readers_are_answered_at_once_until_the_replica_is_full() -> None:
    machines = Machines(alone=0.06, busy=0.03)
    alone = serve(machines, readers=1, seconds=300)
    assert statistics.mean(alone) == pytest.approx(0.06, rel=0.02)
    many = serve(machines, readers=16, seconds=300)
    assert len(many) / 300 == pytest.approx(1 / 0.03, rel=0.02), "no more than it can"
    assert statistics.mean(many) == pytest.approx(16 * 0.03, rel=0.05), "Little's law"


def test_another_replica_takes_the_wait_away() -> None:
    one, two = (serve(Machines(replicas=count, alone=0.06, busy=0.03), rate=30, seconds=300) for count in (1, 2))
    assert statistics.mean(two) < 0.5 * statistics.mean(one)


def test_a_host_that_everybody_shares_reads_so_many_pages_a_week_and_no_more() -> None:
    everybody = Author(on_shared_host=1.0)
    few = collect_and_train(100, everybody, Machines(), weeks=8)
    assert few.requests == pytest.approx(8 * 100 * 61, rel=0.02)
    many = collect_and_train(1000, everybody, Machines(pause=30.0), weeks=8)
    assert many.requests * 30.0 == pytest.approx(8 * WEEK, rel=0.02), "the pause is kept"
    assert statistics.mean(many.ages) > 2 * statistics.mean(few.ages)


def test_what_is_published_is_read_and_enough_of_it_trains_once() -> None:
    seen = collect_and_train(200, Author(on_shared_host=0.0), Machines(), weeks=20)
    assert seen.documents == pytest.approx(200 * 20 * 3.5, rel=0.1)
    assert statistics.mean(seen.ages) == pytest.approx(WEEK / 2, rel=0.1), "visited once a week"
    assert seen.documents / 10 < seen.trained < seen.documents / 5


def test_the_fewest_that_are_enough() -> None:
    assert [enough(lambda count, wanted=wanted: count >= wanted) for wanted in (1, 2, 3, 100)] == [1, 2, 3, 100]
    with pytest.raises(ValueError, match="8 are not enough"):
        enough(lambda count: False, most=8)


def test_one_author_needs_one_of_each_and_many_need_more_of_all() -> None:
    one, many = needed(1, Author(), Machines()), needed(100_000, Author(), Machines())
    assert (one.addresses, one.trainers, one.replicas, one.most) == (1, 1, 1, "nothing")
    assert many.trainers > 10
    assert many.addresses > 2
    assert many.p95 < 0.4
    assert many.age < 1.5 * 7 * DAY
