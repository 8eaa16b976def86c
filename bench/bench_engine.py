"""The state machine without sockets: purchases from a terminal's bytes to the issuer's and back to the terminal's.

AES-CMAC, or none, is verified and made on both legs. A round carries 4,000 purchases of as many terminals as the case
says; the time of one, without what makes requests and answers, is in ``extra_info``.
"""

from __future__ import annotations

import pytest

from bench.engine_load import EngineLoad

PURCHASES_A_ROUND = 4_000
ROUNDS = 5
CASES = {
    "aes-cmac": {"connections": 200, "mac": "aes-cmac"},
    "x9.19": {"connections": 200, "mac": "x9.19"},
    "no MAC": {"connections": 200, "mac": None},
    "5,000 connections": {"connections": 5_000, "mac": "aes-cmac"},
}


@pytest.mark.parametrize("name", CASES)
def test_state_machine(benchmark, tmp_path, name):
    benchmark.group = "state machine, request in to answer out"
    case = dict(CASES[name])
    connections = case.pop("connections")
    load = EngineLoad(tmp_path, connections, **case)
    load.run(connections)
    spent = []
    benchmark.pedantic(lambda: spent.append(load.run(PURCHASES_A_ROUND)), rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["ns_a_purchase"] = round(min(spent))
    assert load.engine.in_flight == 0
