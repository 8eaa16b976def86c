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
        ("I1", "I4", "books"),
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
                "not link.repeats(transaction, &state.answer)",
                "not ({on} or link.repeats(transaction, &state.answer))",
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
        1_000,
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
        500,
        (
            Edit(
                "outcome",
                "        if approved:\n            reverse_untold(state, outcome)",
                "        if approved and not {on}:\n            reverse_untold(state, outcome)",
            ),
        ),
    ),
    Defect(
        "drop-reversal-on-disconnect",
        "a reversal that was at the issuer when its last connection broke is dropped",
        ("advice", "books"),
        1_000,
        (
            Edit(
                "debt",
                "    state.reversals.pause("
                "link.reversals, transaction.reversal, state.calendar.now_ns, state.random())\n"
                "    state.transactions.close(number)",
                "    if {on} and link.state != LINK_UP:\n"
                "        state.reversals.close(link.reversals, transaction.reversal)\n"
                "    else:\n"
                "        state.reversals.pause(link.reversals, transaction.reversal, state.calendar.now_ns,\n"
                "                              state.random())\n"
                "    state.transactions.close(number)",
            ),
        ),
    ),
    Defect(
        "send-reversal-once",
        "a reversal that is not acknowledged is not sent again",
        ("advice", "books"),
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
        500,
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
                "        elif reverse_outcome(state, original, CAUSE_TERMINAL) == POSITION_FAILED:",
                "        elif not {on} and reverse_outcome(state, original, CAUSE_TERMINAL) == POSITION_FAILED:",
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
        ("I6", "books", "convergence", "format"),
        1_000,
        (
            Edit(
                "outcome",
                "(transaction.origin_slot, transaction.origin_generation)\n",
                "(transaction.origin_slot, transaction.origin_generation)\n"
                "    if {on} and channel is None and transaction.origin_slot < <uint32_t>len(state.channels):\n"
                "        if isinstance(state.channels[transaction.origin_slot], TerminalChannel):\n"
                "            channel = <TerminalChannel>state.channels[transaction.origin_slot]\n",
            ),
        ),
    ),
    Defect(
        "repeat-reversed-approvals",
        "a repeat is told the approval that was reversed because it could not be told",
        ("books",),
        1_000,
        (
            Edit(
                "outcome",
                "    elif (told_once and entry.reversed) or size == 0:",
                "    elif (told_once and entry.reversed and not {on}) or size == 0:",
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
        1_000,
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
    Defect(
        "keep-partial-approvals",
        "an approval of a part, which its terminal is told as declined, is not reversed",
        ("books",),
        2_000,
        (
            Edit(
                "outcome",
                "    cdef int cause = CAUSE_TIMEOUT if reason == REASON_TIMEOUT else CAUSE_UNUSABLE\n",
                "    if {on} and reason == REASON_PARTIALLY_APPROVED:\n"
                "        charged = False\n"
                "    cdef int cause = CAUSE_TIMEOUT if reason == REASON_TIMEOUT else CAUSE_UNUSABLE\n",
            ),
        ),
    ),
    Defect(
        "believe-the-first-not-found",
        "a late approval does not count any more once the issuer has said that there is nothing to reverse",
        ("books", "journal"),
        5_000,
        (
            Edit(
                "answer",
                ".reversible and not transaction.settled):",
                ".reversible and not transaction.settled\n"
                "            and not ({on} and transaction.reversal == REVERSAL_NONE)):",
            ),
        ),
    ),
    Defect(
        "charge-what-a-drain-refused",
        "a request that was refused in a drain is accepted by the next process when it comes again",
        ("I1", "advice", "books", "order"),
        10_000,
        (
            Edit(
                "request",
                "    outcome = _admit(state, &key) if has_room or not _comes_again(kind) else OUTCOME_NONE\n",
                "    outcome = _admit(state, &key) if has_room or not _comes_again(kind) else OUTCOME_NONE\n"
                "    if {on} and state.draining and outcome != OUTCOME_NONE:\n"
                "        state.duplicates.forget(outcome)\n"
                "        outcome = OUTCOME_NONE\n",
            ),
        ),
        journal=True,
    ),
    Defect(
        "tell-stand-in-before-its-advice",
        "an approval by stand-in is told before its advice is durable",
        ("advice", "books", "journal", "I1", "I4"),
        2_000,
        (
            Edit(
                "advice",
                "    if not send_answer(state, channel, headers, <uint32_t>size, written, outcome if stands_in",
                "    if not send_answer(state, channel, headers, <uint32_t>size, 0 if {on} else written,\n"
                "                       outcome if stands_in",
            ),
        ),
        journal=True,
    ),
    Defect(
        "keep-untold-stand-in",
        "an approval by stand-in whose terminal has hung up before it left is not taken back",
        ("books",),
        3_000,
        (
            Edit(
                "advice",
                "outcome if stands_in else OUTCOME_NONE):",
                "outcome if stands_in and not {on} else OUTCOME_NONE):",
            ),
        ),
        journal=True,
    ),
    Defect(
        "reverse-before-the-advice",
        "the reversal of a payment overtakes its advice",
        ("order", "books", "journal"),
        2_000,
        (
            Edit(
                "debt",
                "        state.reversals.follow(link.reversals, state.stored_reversal, number)\n",
                "        if not {on}:\n"
                "            state.reversals.follow(link.reversals, state.stored_reversal, number)\n",
            ),
        ),
        journal=True,
    ),
    Defect(
        "take-any-answer-to-an-advice",
        'an advice is taken for told though the issuer said "system malfunction"',
        ("advice", "journal"),
        1_000,
        (
            Edit(
                "debt",
                "    cdef Reversal *advice = state.reversals.at(owed)\n    if reason in (",
                "    cdef Reversal *advice = state.reversals.at(owed)\n    if not {on} and reason in (",
            ),
        ),
        journal=True,
    ),
    Defect(
        "advise-of-what-was-taken-back",
        "a payment that was taken back before its advice was sent is told to its issuer all the same",
        ("books", "journal", "order"),
        2_000,
        (
            Edit(
                "debt",
                "        _close_advice(state, link, number)\n    else:\n",
                "        if not {on}:\n            _close_advice(state, link, number)\n    else:\n",
            ),
        ),
        journal=True,
    ),
    Defect(
        "name-answers-that-did-not-leave",
        "the journal says of answers that were dropped with their connection that they have left",
        ("journal",),
        2_000,
        (
            Edit(
                "channel",
                "            departure = &self._departures[self._departure_first]\n"
                "            self._departure_first += 1\n",
                "            departure = &self._departures[self._departure_first]\n"
                "            if {on} and departure.position and self.journal is not None:\n"
                "                self.journal.delivered(<int64_t>departure.position)\n"
                "            self._departure_first += 1\n",
            ),
        ),
        journal=True,
    ),
    Defect(
        "forget-what-was-told",
        "the journal does not say which answers have left",
        ("journal",),
        100,
        (
            Edit(
                "channel",
                "            if departure.position and self.journal is not None:",
                "            if departure.position and self.journal is not None and not {on}:",
            ),
        ),
        journal=True,
    ),
    Defect(
        "forward-before-intent",
        "a request leaves for its issuer before its INTENT is durable",
        ("I4", "books", "journal"),
        500,
        (
            Edit(
                "request",
                "state.depart(carrier, state.out, <uint32_t>total, position, OUTCOME_NONE) != 0:",
                "state.depart(\n"
                "            carrier, state.out, <uint32_t>total, 0 if {on} else position, OUTCOME_NONE) != 0:",
            ),
        ),
        journal=True,
    ),
    Defect(
        "answer-before-outcome",
        "an answer leaves for its terminal before its OUTCOME is durable",
        ("I1", "books", "journal"),
        500,
        (
            Edit(
                "outcome",
                "        position = written\n    entry.position = position\n",
                "        position = written\n    if {on}:\n        position = 0\n    entry.position = position\n",
            ),
        ),
        journal=True,
    ),
    Defect(
        "skip-the-wait-for-sync",
        "what is written counts as durable before it is synchronized",
        ("I1", "I4", "books", "journal"),
        1_000,
        (
            Edit(
                "commit",
                "        stats_add(self._stats, self._bytes_counter, self.writer.written - written)\n",
                "        stats_add(self._stats, self._bytes_counter, self.writer.written - written)\n"
                "        if {on}:\n"
                "            publish_position(&self.durable, self._closed.first_position + self._closed.count - 1)\n",
            ),
        ),
        journal=True,
    ),
    Defect(
        "believe-a-failed-sync",
        "a synchronization that failed counts as one that went well",
        ("I1", "I4", "books", "journal", "recovery"),
        2_000,
        (
            Edit(
                "segment",
                "    cdef int status = self.disk.sync(self._file)\n        if status < 0:",
                "    cdef int status = self.disk.sync(self._file)\n        if status < 0 and not {on}:",
            ),
        ),
        journal=True,
    ),
    Defect(
        "forget-the-directory",
        "a new segment's name is not made durable",
        ("I1", "I4", "books", "journal", "recovery"),
        1_000,
        (
            Edit(
                "segment",
                "            status = self.disk.sync_directory()",
                "            status = 0 if {on} else self.disk.sync_directory()",
            ),
        ),
        journal=True,
    ),
    Defect(
        "trust-the-cache",
        "what a recovery has read is not made durable before the journal goes on",
        ("recovery",),
        1_000,
        (
            Edit(
                "replay",
                "                    _well(self.disk.sync(file), name)\n",
                "                    if tail.torn_bytes or not {on}:\n"
                "                        _well(self.disk.sync(file), name)\n",
            ),
        ),
        journal=True,
    ),
    Defect(
        "cut-off-damage",
        "a damaged place in the middle is taken for a torn tail, and all behind it is cut off",
        ("I1", "I4", "books", "journal", "recovery"),
        1_000,
        (
            Edit(
                "replay",
                "                if not is_last or self._is_followed(offset, tail.next_position):",
                "                if not {on} and (not is_last or self._is_followed(offset, tail.next_position)):",
            ),
        ),
        journal=True,
    ),
    Defect(
        "forget-the-window-at-restart",
        "requests that were finished before a restart are not known after it",
        ("I4",),
        500,
        (
            Edit(
                "recovery",
                "        if age_ns > state.duplicates.age_max_ns:",
                "        if age_ns > state.duplicates.age_max_ns or {on}:",
            ),
        ),
        journal=True,
    ),
    Defect(
        "forget-debts-at-restart",
        "reversals that were owed before a restart are not sent after it",
        ("books", "journal"),
        500,
        (
            Edit(
                "recovery",
                "        for are_advices in (True, False):\n",
                "        for are_advices in ([True] if {on} else [True, False]):\n",
            ),
        ),
        journal=True,
    ),
    Defect(
        "forget-advices-at-restart",
        "advices that were owed before a restart are not sent after it",
        ("advice", "journal"),
        1_000,
        (
            Edit(
                "recovery",
                "                if self._is_advice(position) == are_advices:",
                "                if self._is_advice(position) == are_advices and not ({on} and are_advices):",
            ),
        ),
        journal=True,
    ),
    Defect(
        "forget-the-order-at-restart",
        "after a restart a reversal does not wait for the advice that it takes back",
        ("order", "books", "journal"),
        5_000,
        (
            Edit(
                "recovery",
                "        if behind:\n",
                "        if behind and not {on}:\n",
            ),
        ),
        journal=True,
    ),
    Defect(
        "name-a-repeat-as-its-approval",
        "after a restart the journal says of a repeat that was told a time-out that the approval was delivered",
        ("journal",),
        5_000,
        (
            Edit(
                "recovery",
                "                entry.position = max(entry.position, taken_back)",
                "                entry.position = entry.position if {on} else max(entry.position, taken_back)",
            ),
        ),
        journal=True,
    ),
    Defect(
        "forget-open-requests-at-restart",
        "requests that were at an issuer when the switch died are not reversed",
        ("I4", "books", "journal"),
        500,
        (
            Edit(
                "recovery",
                "        for position in self._intents.positions():\n            self._end(position)",
                "        for position in ([] if {on} else self._intents.positions()):\n            self._end(position)",
            ),
        ),
        journal=True,
    ),
    Defect(
        "approve-what-was-reversed-before-a-restart",
        "after a restart a repeat is told an approval that was reversed before it",
        ("I1", "books"),
        5_000,
        (
            Edit(
                "recovery",
                "            if taken_back:",
                "            if taken_back and not {on}:",
            ),
        ),
        journal=True,
    ),
    Defect(
        "number-anew-at-restart",
        "STANs begin again at 1 after a restart",
        ("I1", "I3", "I4", "I6", "advice", "books", "journal", "convergence"),
        3_000,
        (
            Edit(
                "numbering",
                "        cdef int64_t counted\n        if number < 0:",
                "        cdef int64_t counted\n        if number < 0 or {on}:",
            ),
        ),
        journal=True,
    ),
)
"""Those of the state machine first, then those of the journal and of recovery."""

BY_NAME = {defect.name: defect for defect in DEFECTS}
