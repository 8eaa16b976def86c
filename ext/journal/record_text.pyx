"""The journal's records for people: their parts by name."""

from libc.stdint cimport int64_t, uint8_t
from switch.journal.records cimport (
    ADVICE_STAND_IN, FLAG_APPROVED, FLAG_REVERSED, FLAG_STAND_IN, RECORD_ADVICE, RECORD_ATTEMPT, RECORD_CANCELLED,
    RECORD_CLAIM, RECORD_CLAIM_STATE, RECORD_CLOSED, RECORD_DELIVERED, RECORD_INTENT, RECORD_LATE, RECORD_NUMBERS,
    RECORD_OUTCOME, RECORD_REFERS, RECORD_REVERSAL, RECORD_REVERSED, RECORD_RULED, RECORD_UNFOUND, REVERSAL_UNBOOKED,
    DetailPart, RulePart, positions_of,
)
from switch.machine.claims cimport claim_keeper, claim_position, is_claim
from switch.machine.request_record cimport MERCHANT_BYTES, PAN_PACKED_BYTES, TERMINAL_BYTES, unpack_digits
from switch.machine.saf_store cimport NO_LISTENER
from switch.wire.scan cimport Fault, fault_details

from switch.machine.claims import CLAIM_STATES
from switch.machine.saf_store import CAUSES

RECORD_NAMES = {
    RECORD_INTENT: "INTENT",
    RECORD_OUTCOME: "OUTCOME",
    RECORD_REVERSAL: "REVERSAL",
    RECORD_ATTEMPT: "ATTEMPT",
    RECORD_REVERSED: "REVERSED",
    RECORD_DELIVERED: "DELIVERED",
    RECORD_LATE: "LATE",
    RECORD_CLOSED: "CLOSED",
    RECORD_ADVICE: "ADVICE",
    RECORD_CANCELLED: "CANCELLED",
    RECORD_UNFOUND: "UNFOUND",
    RECORD_NUMBERS: "NUMBERS",
    RECORD_CLAIM: "CLAIM",
    RECORD_CLAIM_STATE: "CLAIM_STATE",
    RECORD_REFERS: "REFERS",
    RECORD_RULED: "RULED",
}


cdef str digits_of(const uint8_t *packed, int count):
    cdef uint8_t digits[2 * PAN_PACKED_BYTES]
    unpack_digits(packed, count, digits)
    return digits[:count].decode("ascii")


cdef dict describe_detail(const DetailPart *detail):
    cdef dict parts = {}
    cdef Fault fault
    if detail.code[0]:
        parts["issuer_code"] = detail.code[:4].decode("ascii", "replace").strip("\0")
    if detail.fault:
        fault.code, fault.field = detail.fault, detail.field
        fault.position, fault.needed, fault.available = detail.position, detail.needed, detail.available
        parts["fault"] = fault_details(&fault)
        parts["fault"]["of_link"] = bool(detail.of_link)
    return parts


cdef dict describe_rule(const RulePart *rule, const uint8_t *words):
    cdef const uint8_t *reason = words + rule.id_size
    cdef const uint8_t *source = reason + rule.reason_size
    return {
        "id": words[:rule.id_size].decode("utf-8", "replace"),
        "reason": reason[:rule.reason_size].decode("utf-8", "replace"),
        "source": source[:rule.source_size].decode("utf-8", "replace"),
    }


cdef void put_reference(dict parts, int64_t refers_to) noexcept:
    """What a request refers to: by its position, or by that of the claim in another partition's journal."""
    parts["refers_to"] = 0 if is_claim(refers_to) else refers_to
    if is_claim(refers_to):
        parts["keeper"] = claim_keeper(refers_to)
        parts["claim"] = claim_position(refers_to)


cdef dict describe(const Record *record):
    cdef dict parts = {
        "position": record.position,
        "type": RECORD_NAMES[record.head.type],
        "wall_us": record.head.wall_us,
    }
    if record.has_request:
        parts["occasion"] = record.request.occasion
        parts["stan"] = record.request.stan
        parts["message_class"] = record.request.message_class
        parts["listener"] = record.request.listener
        parts["currency"] = record.request.currency
        parts["kind"] = record.request.kind
        parts["amount_minor"] = record.request.amount_minor
        parts["pan"] = digits_of(record.request.pan, record.request.pan_digits)
        parts["terminal"] = record.request.terminal[:TERMINAL_BYTES].decode("ascii", "replace").rstrip()
        parts["merchant"] = record.request.merchant[:MERCHANT_BYTES].decode("ascii", "replace").rstrip()
        parts["named_at"] = record.request.named_at
        parts["entry_mode"] = record.request.entry_mode
        put_reference(parts, record.request.refers_to)
    if record.head.type == RECORD_INTENT:
        parts["link"] = record.intent.link
        parts["link_stan"] = record.intent.stan
        parts["rrn"] = record.intent.rrn[:12].decode("ascii", "replace")
        parts["transmission_time"] = record.intent.transmission_time[:10].decode("ascii", "replace")
    elif record.head.type == RECORD_OUTCOME:
        parts["intent"] = record.outcome.intent
        parts["reason"] = record.outcome.reason
        parts["approved"] = bool(record.outcome.flags & FLAG_APPROVED)
        parts["reversed"] = bool(record.outcome.flags & FLAG_REVERSED)
        parts["stand_in"] = bool(record.outcome.flags & FLAG_STAND_IN)
        if record.outcome.intent:
            parts["link"] = record.outcome.link
        if record.approved_minor:
            parts["approved_minor"] = record.approved_minor
        if record.outcome.mismatch:
            parts["mismatch"] = record.outcome.mismatch
        if record.outcome.rrn[0]:
            parts["rrn"] = record.outcome.rrn[:12].decode("ascii", "replace")
        parts["authorization_code"] = record.outcome.authorization_code[:6].decode("ascii", "replace").strip("\0")
        if record.has_detail:
            parts.update(describe_detail(&record.detail))
        if record.has_rule:
            parts["rule"] = describe_rule(&record.rule, record.rule_words)
    elif record.head.type == RECORD_REVERSAL:
        parts["original"] = record.reversal.original
        parts["replaces"] = record.reversal.replaces
        parts["link"] = record.reversal.link
        parts["link_stan"] = record.reversal.stan
        parts["attempts"] = record.reversal.attempts
        parts["cause"] = CAUSES.get(record.reversal.cause)
        parts["unbooked"] = bool(record.reversal.flags & REVERSAL_UNBOOKED)
        parts["not_found"] = record.reversal.unfound
        put_reference(parts, record.reversal_refers_to)
        parts["listener"] = None if record.reversal.listener == NO_LISTENER else record.reversal.listener
        parts["pan"] = digits_of(record.reversal.pan, record.reversal.pan_digits)
        parts["rrn"] = record.reversal.rrn[:12].decode("ascii", "replace")
        parts["authorization_code"] = record.reversal.authorization_code[:6].decode("ascii", "replace").strip("\0")
    elif record.head.type == RECORD_ATTEMPT:
        parts |= {"reversal": record.attempt.reversal, "attempts": record.attempt.attempts}
    elif record.head.type == RECORD_REVERSED:
        parts |= {"reversal": record.reversed.reversal, "original": record.reversed.original}
        parts["reason"] = record.reversed.reason
    elif record.head.type == RECORD_DELIVERED:
        parts["positions"] = positions_of(record)
        return parts
    elif record.head.type == RECORD_LATE:
        parts |= {"intent": record.late.intent, "reason": record.late.reason}
        parts["authorization_code"] = record.late.authorization_code[:6].decode("ascii", "replace").strip("\0")
        if record.approved_minor:
            parts["approved_minor"] = record.approved_minor
    elif record.head.type == RECORD_CLOSED:
        parts["reversal"] = record.closed.reversal
        parts["original"] = record.closed.original
        parts["operator"] = record.message[:record.closed.operator_size].decode("utf-8", "replace")
        parts["why"] = record.message[record.closed.operator_size:record.message_size].decode("utf-8", "replace")
        return parts
    elif record.head.type == RECORD_ADVICE:
        parts["original"] = record.advice.original
        parts["replaces"] = record.advice.replaces
        parts["link"] = record.advice.link
        parts["link_stan"] = record.advice.stan
        parts["attempts"] = record.advice.attempts
        parts["stand_in"] = bool(record.advice.flags & ADVICE_STAND_IN)
        parts["rrn"] = record.advice.rrn[:12].decode("ascii", "replace")
        parts["authorization_code"] = record.advice.authorization_code[:6].decode("ascii", "replace").strip("\0")
    elif record.head.type == RECORD_CANCELLED:
        parts["advice"] = record.cancelled.advice
        parts["original"] = record.cancelled.original
        parts["cause"] = CAUSES.get(record.cancelled.cause)
    elif record.head.type == RECORD_UNFOUND:
        parts |= {"reversal": record.unfound.reversal, "original": record.unfound.original}
        parts |= {"times": record.unfound.times, "left_seconds": record.unfound.left_s}
    elif record.head.type == RECORD_NUMBERS:
        parts["reserved_to"] = record.numbers.reserved_to
        parts["instance"] = record.numbers.instance
    elif record.head.type == RECORD_CLAIM:
        parts["original"] = record.claimed.original
        parts["claimant"] = record.claim.partition
        parts["terminal"] = record.claim.terminal[:TERMINAL_BYTES].decode("ascii", "replace").rstrip()
        parts["stan"] = record.claim.stan
        parts["message_class"] = record.claim.message_class
        parts["kind"] = record.claim.kind
        parts["amount_minor"] = record.claim.amount_minor
        parts["currency"] = record.claim.currency
    elif record.head.type == RECORD_CLAIM_STATE:
        parts |= {"claimed_at": record.claim_state.claim, "original": record.claim_state.original}
        parts["state"] = CLAIM_STATES[record.claim_state.state]
        if record.claim_state.approved_minor:
            parts["approved_minor"] = record.claim_state.approved_minor
    elif record.head.type == RECORD_REFERS:
        parts["request"] = record.refers.request
        put_reference(parts, record.refers.refers_to)
    elif record.head.type == RECORD_RULED:
        parts["request"] = record.ruled.request
        parts["rule"] = describe_rule(&record.rule, record.rule_words)
    if record.message != NULL:
        parts["message"] = <bytes>record.message[:record.message_size]
    return parts
