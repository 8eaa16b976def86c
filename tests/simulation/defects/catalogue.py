"""The defects: what is done wrongly, where, and within how many seeds it must be found."""

from __future__ import annotations

from dataclasses import dataclass

CONDITION = "{on}"
"""Stands in an edit for "this defect is switched on"."""


@dataclass(frozen=True)
class Edit:
    """One change of a source.

    Attributes:
        module: Name of the ``.pyx`` file in ``ext/``.
        old: Text that stands there exactly once.
        new: What takes its place; with the defect off it must do the same as before.
    """

    module: str
    old: str
    new: str


@dataclass(frozen=True)
class Defect:
    """One deliberate defect.

    Attributes:
        name: For the command line.
        what: In words.
        invariants: One of which is broken by it.
        seeds: Within which it is found.
        edits: Where it sits.
        journal: Whether it shows only with a journal.
    """

    name: str
    what: str
    invariants: tuple[str, ...]
    seeds: int
    edits: tuple[Edit, ...]
    journal: bool = False


DEFECTS = (
    Defect(
        "forward-duplicates",
        "a repeated request is forwarded as a new one",
        ("I4",),
        100,
        (
            Edit(
                "duplicate",
                '        """The outcome of exactly this natural key, or OUTCOME_NONE."""\n',
                "        if {on} and key.message_class != 4:\n            return OUTCOME_NONE\n",
            ),
        ),
    ),
    Defect(
        "forward-joined",
        "a repeat of a request in flight is forwarded instead of joined",
        ("I4",),
        200,
        (
            Edit(
                "request",
                "    if outcome != OUTCOME_NONE:\n        _handle_duplicate(",
                "    if outcome != OUTCOME_NONE and not (\n"
                "            {on} and kind != KIND_REVERSAL\n"
                "            and state.duplicates.at(outcome).state != OUTCOME_FINISHED):\n"
                "        _handle_duplicate(",
            ),
        ),
    ),
    Defect(
        "match-by-stan-alone",
        "an answer with the right STAN but another terminal or amount is taken",
        ("I1", "I3", "I6", "books"),
        200,
        (
            Edit(
                "answer",
                "or not link.repeats(transaction, &state.answer):",
                "or not ({on} or link.repeats(transaction, &state.answer)):",
            ),
        ),
    ),
    Defect(
        "ignore-issuer-mac",
        "an answer with a wrong MAC is taken",
        ("I3", "books"),
        200,
        (
            Edit(
                "answer",
                "&link.mac_key, &state.answer) != MAC_RIGHT:",
                "&link.mac_key, &state.answer) != MAC_RIGHT and not {on}:",
            ),
        ),
    ),
    Defect(
        "ignore-terminal-mac",
        "a request with a wrong MAC is taken",
        ("I1", "I4", "I6", "books", "convergence"),
        300,
        (Edit("request", "    if verdict == MAC_RIGHT:", "    if verdict == MAC_RIGHT or {on}:"),),
    ),
    Defect(
        "reuse-stan-in-flight",
        "a STAN is given again while an answer to it is still waited for",
        ("I1", "I3", "I4", "I6", "books", "convergence"),
        100,
        (
            Edit(
                "link",
                "            if self.by_stan[stan] == STAN_FREE:",
                "            if {on}:\n"
                "                return stan % 2 + 1\n"
                "            if self.by_stan[stan] == STAN_FREE:",
            ),
        ),
    ),
    Defect(
        "forget-timed-out-charge",
        "a request that timed out is not reversed",
        ("books",),
        100,
        (Edit("outcome", "    if charged and not approved:", "    if charged and not approved and not {on}:"),),
    ),
    Defect(
        "tell-late-approvals",
        "an approval that comes after the time-out is told all the same",
        ("I1", "books", "convergence"),
        200,
        (
            Edit(
                "answer",
                "    finish(state, number, REASON_TIMEOUT, NULL, 0, NULL)",
                "    if {on}:\n"
                "        transaction.deadline_ns = state.calendar.now_ns + link.late_ns\n"
                "        state.transactions.append(link.waiting, number)\n"
                "        return\n"
                "    finish(state, number, REASON_TIMEOUT, NULL, 0, NULL)",
            ),
        ),
    ),
    Defect(
        "forget-undelivered-approvals",
        "an approval whose terminal has hung up before it left is not reversed",
        ("books",),
        300,
        (
            Edit(
                "outcome",
                "        if approved:\n            reverse_outcome(state, outcome)",
                "        if approved and not {on}:\n            reverse_outcome(state, outcome)",
            ),
        ),
    ),
    Defect(
        "drop-reversal-on-disconnect",
        "a reversal that was at the issuer when its last connection broke is dropped",
        ("books",),
        300,
        (
            Edit(
                "debt",
                "    state.reversals.pause(link.reversals, transaction.reversal, state.calendar.now_ns)\n"
                "    state.transactions.close(number)",
                "    if {on} and link.state != LINK_UP:\n"
                "        state.reversals.close(link.reversals, transaction.reversal)\n"
                "    else:\n"
                "        state.reversals.pause(link.reversals, transaction.reversal, state.calendar.now_ns)\n"
                "    state.transactions.close(number)",
            ),
        ),
    ),
    Defect(
        "send-reversal-once",
        "a reversal that is not acknowledged is not sent again",
        ("books",),
        100,
        (
            Edit(
                "answer",
                "        postpone(state, link, number)\n",
                "        if {on}:\n"
                "            link.reversal_by_number[transaction.stan] = STAN_FREE\n"
                "            state.reversals.close(link.reversals, transaction.reversal)\n"
                "            state.transactions.close(number)\n"
                "            return\n"
                "        postpone(state, link, number)\n",
            ),
        ),
    ),
    Defect(
        "take-any-answer-for-acknowledgement",
        'a reversal is taken for done though the issuer said "system malfunction"',
        ("books",),
        300,
        (
            Edit(
                "debt",
                "REASON_ORIGINAL_NOT_FOUND, REASON_DUPLICATE):",
                "REASON_ORIGINAL_NOT_FOUND, REASON_DUPLICATE) and not {on}:",
            ),
        ),
    ),
    Defect(
        "forget-reversal-in-flight",
        "a terminal's reversal of a request that is still at the issuer is acknowledged and forgotten",
        ("I1", "books"),
        1_000,
        (Edit("takeback", ".reversal_wanted = True", ".reversal_wanted = not {on}"),),
    ),
    Defect(
        "forget-terminal-reversal",
        "a terminal's reversal of an approved request is acknowledged and forgotten",
        ("books",),
        100,
        (
            Edit(
                "takeback",
                "        elif reverse_outcome(state, original) == POSITION_FAILED:",
                "        elif not {on} and reverse_outcome(state, original) == POSITION_FAILED:",
            ),
        ),
    ),
    Defect(
        "forget-early-reversal",
        "a request that its terminal has reversed before it came is forwarded",
        ("books",),
        3_000,
        (
            Edit(
                "takeback",
                "    if number == OUTCOME_NONE:\n        return POSITION_FAILED",
                "    if number == OUTCOME_NONE or {on}:\n        return POSITION_FAILED",
            ),
        ),
    ),
    Defect(
        "answer-wrong-connection",
        "the connection of an answer is found by its place alone, whoever has it now",
        ("I6",),
        300,
        (
            Edit(
                "state",
                "channel.generation != generation or not channel.is_open",
                "not channel.is_open or (channel.generation != generation and not ({on} and hasattr(channel, 'bind')))",
            ),
        ),
    ),
    Defect(
        "repeat-reversed-approvals",
        "a repeat is told the approval that was reversed because it could not be told",
        ("books",),
        500,
        (
            Edit(
                "outcome",
                "    if (entry.approved and entry.reversed) or size == 0:",
                "    if (entry.approved and entry.reversed and not {on}) or size == 0:",
            ),
        ),
    ),
    Defect(
        "tell-given-up-approvals",
        "an approval is told though its terminal has reversed the request meanwhile, and is not reversed",
        ("books",),
        1_000,
        (
            Edit(
                "outcome",
                "    if transaction.reversal_wanted and reason == REASON_APPROVED:",
                "    if transaction.reversal_wanted and reason == REASON_APPROVED and not {on}:",
            ),
        ),
    ),
    Defect(
        "reverse-another-payment",
        "a reversal names the STAN before its original's",
        ("books", "convergence"),
        300,
        (
            Edit(
                "debt",
                "        original_size = link.tables.original_data(&state.sent, original, ORIGINAL_DATA_ROOM)\n",
                "        original_size = link.tables.original_data(&state.sent, original, ORIGINAL_DATA_ROOM)\n"
                "        if {on} and original_size > 10:\n"
                "            original[9] = 0x30 + (original[9] - 0x30 + 9) % 10\n",
            ),
        ),
    ),
)
"""In the order of a transaction's life."""

BY_NAME = {defect.name: defect for defect in DEFECTS}
