"""Terminals lose their answers behind HAProxy and come back on whichever node: nobody pays twice, nothing is lost."""

import shutil

import pytest

from .losing_answers import Loss, Settings, lose_answers

pytestmark = [
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy"),
    pytest.mark.timeout(120),
]


async def test_nobody_pays_twice_on_two_nodes_behind_the_balancer(installation, new_installation):
    report = await lose_answers(Settings(payments=3), installation, new_installation())
    assert (report.differences, report.doubled, report.swallowed) == ([], 0, 0)
    assert all(report.figures[f"lost {loss}"] for loss in Loss), report.figures
    assert report.figures["answered by the other node"] > 0


async def test_nobody_pays_twice_while_nodes_and_workers_are_killed(installation, new_installation):
    settings = Settings(payments=6, at_once=20, node_kills=2, workers=2, worker_kills=2)
    report = await lose_answers(settings, installation, new_installation())
    assert (report.differences, report.doubled, report.swallowed) == ([], 0, 0)
    assert report.figures["not answered and asked again"] > 0


async def test_two_switches_that_are_no_nodes_are_found_out(installation, new_installation):
    report = await lose_answers(Settings(apart=1, balancer_kills=0), installation, new_installation())
    assert report.doubled > 0
    assert any("was forwarded 2 times" in one for one in report.differences)
