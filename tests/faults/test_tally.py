"""The report of several processes is that of one."""

from __future__ import annotations

import json

from .tally import Tally


def test_report_of_several_processes_is_their_sum() -> None:
    tallies = [Tally(), Tally()]
    for tally in tallies:
        tally.count("outages", "killed", 2)
    tallies[0].count("crashes", "put")
    tallies[1].note("outages", "worst 500 ms")
    reported = Tally()
    for tally in tallies:
        reported.add(json.loads(json.dumps(tally.as_dict())))
    assert reported.lines() == [
        "crashes",
        "          1  put",
        "outages",
        "          4  killed",
        "    worst 500 ms",
    ]
