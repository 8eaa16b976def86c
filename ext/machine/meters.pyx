"""What the hot path counts: the places of its series in the shared counters."""

from libc.stdlib cimport calloc, free
from switch.base.stats cimport STATS_DISCARD, stats_add, stats_observe

from switch.dialect.kinds import KINDS
from switch.dialect.reasons import REASONS

LISTENER_SERIES = (
    ("requests", "authswitch_requests_total", "Messages received from terminals."),
    ("answers", "authswitch_answers_total", "Messages sent to terminals."),
    ("format_errors", "authswitch_format_errors_total", "Terminals' messages that could not be read."),
    ("frame_errors", "authswitch_frame_errors_total", "Terminal connections closed because their framing broke."),
    ("unexpected", "authswitch_unexpected_messages_total", "Terminals' messages that are no request."),
    ("mac_failures", "authswitch_mac_failures_total", "Requests whose MAC was wrong or missing."),
    ("under_former_key", "authswitch_former_key_requests_total",
     "Requests that came under the terminal's former keys."),
    ("joined", "authswitch_duplicates_joined_total", "Repeats whose original was in flight: they got its one answer."),
    ("repeated", "authswitch_duplicates_repeated_total", "Repeats that got the stored answer."),
    ("conflicting", "authswitch_duplicates_conflicting_total", "Requests whose natural key belongs to another."),
    ("undelivered", "authswitch_undelivered_answers_total", "Answers whose connection was gone."),
    ("keep_alives", "authswitch_keep_alives_total", "Empty frames from terminals."),
)
LINK_SERIES = (
    ("requests", "authswitch_link_requests_total", "Requests sent to the issuer."),
    ("answers", "authswitch_link_answers_total", "Answers of the issuer that were matched to their request."),
    ("timeouts", "authswitch_link_timeouts_total", "Requests that the issuer did not answer in time."),
    ("late", "authswitch_link_late_answers_total", "Answers that came after their request had timed out."),
    ("unmatched", "authswitch_link_unmatched_answers_total", "Answers that belong to no request."),
    ("mismatched", "authswitch_link_mismatched_answers_total", "Answers with a number of ours, for another request."),
    (
        "mismatched_requests",
        "authswitch_link_mismatched_requests_total",
        "Requests and reversals that got no other answer in time than mismatched ones; they count as no time-outs.",
    ),
    ("unended", "authswitch_link_unended_requests_total",
     "Requests whose end could not be written down: the next start ends them, and reverses what may be charged."),
    ("mac_failures", "authswitch_link_mac_failures_total", "Answers whose MAC was wrong or missing."),
    ("under_former_key", "authswitch_link_former_key_answers_total",
     "Answers that were still under the key that was replaced."),
    ("format_errors", "authswitch_link_format_errors_total", "Issuer's messages that could not be read."),
    ("frame_errors", "authswitch_link_frame_errors_total", "Link connections closed because their framing broke."),
    ("unexpected", "authswitch_link_unexpected_messages_total", "Issuer's messages that the switch has no use for."),
    ("unknown_codes", "authswitch_link_unknown_codes_total",
     "Answers with a response code that the dialect does not list: taken for a decline."),
    ("network_failures", "authswitch_link_network_failures_total", "Sign-ons and echo tests refused or not answered."),
    ("reversals", "authswitch_reversals_total", "Reversals stored for the issuer."),
    ("reversal_attempts", "authswitch_reversal_attempts_total", "Reversals sent to the issuer, repeats included."),
    ("reversals_acknowledged", "authswitch_reversals_acknowledged_total", "Reversals that the issuer acknowledged."),
    ("reversals_unfound", "authswitch_reversals_unfound_total",
     "Answers that the original is not known, while it could still be booked: the reversal is sent again."),
    ("reversals_not_found", "authswitch_reversals_not_found_total",
     "Of the acknowledged, reversals whose original the issuer finally did not know."),
    ("promises_unfound", "authswitch_promised_reversals_not_found_total",
     "Reversals that a terminal was promised, and whose original the issuer did not find at first."),
    ("promises_withheld", "authswitch_promised_reversals_withheld_total",
     "Reversals that a terminal was promised, and that are not sent since a void, refund or completion stands."),
    ("reversals_closed", "authswitch_reversals_closed_total", "Reversals and advices that an operator gave up."),
    ("advices", "authswitch_advices_total", "Advices stored for the issuer, of terminals and of stand-in."),
    ("advice_attempts", "authswitch_advice_attempts_total", "Advices sent to the issuer, repeats included."),
    ("advices_acknowledged", "authswitch_advices_acknowledged_total", "Advices that the issuer acknowledged."),
    ("advices_declined", "authswitch_advices_declined_total", "Of these, advices that it acknowledged with a decline."),
    ("advices_cancelled", "authswitch_advices_cancelled_total", "Advices taken back before they were sent."),
)
LIMITS = ("transactions", "duplicates", "reversals", "stans", "late", "terminal_duplicates", "link_reversals",
          "terminal_reversals", "unknown_reversals", "numbers", "originals",
          "terminal_in_flight")
ORIGINALS = ("found", "not_found", "uncertain")
NO_LINK = "none"


cdef enum:
    REFUSALS_MAX = 8          # of new series for want of room; after so many no more are asked for


cdef class Meters:
    """Registers every series and hands out its place.

    Series of single transactions (by listener, link, kind and response code) are registered when the first such
    transaction ends, since few of the combinations occur.

    Args:
        stats: The shared counters.
        listeners: (name, response codes by reason) of each listener, in the configuration's order.
        link_names: Names of the links, in the configuration's order.
    """

    def __init__(self, Stats stats, list listeners, list link_names):
        if len(listeners) > METER_LISTENERS_MAX or len(link_names) > METER_LINKS_MAX:
            raise ValueError("too many listeners or links to count")
        self.stats = stats
        self.listener_names = [name for name, _ in listeners]
        self._codes = [codes for _, codes in listeners]
        self.link_names = link_names
        self._link_count = len(link_names)
        combinations = len(listeners) * (len(link_names) + 1) * KIND_COUNT * REASON_COUNT
        self.link = <LinkMeters *>calloc(max(1, len(link_names)), sizeof(LinkMeters))
        self._transactions = <uint32_t *>calloc(max(1, combinations), sizeof(uint32_t))
        self._durations = <uint32_t *>calloc(max(1, combinations), sizeof(uint32_t))
        if self.link == NULL or self._transactions == NULL or self._durations == NULL:
            raise MemoryError
        for number, name in enumerate(self.listener_names):
            self._register_listener(number, {"listener": name})
        for number, name in enumerate(link_names):
            self._register_link(number, {"link": name})
        for number, limit in enumerate(LIMITS):
            self.refused_at_limit[number] = stats.counter(
                "authswitch_refused_at_limit_total", "Requests refused because a table was full.", {"limit": limit})

        for number, result in enumerate(ORIGINALS):
            self.originals[number] = stats.counter(
                "authswitch_originals_looked_up_total", "Look-ups of what a request or reversal refers to.",
                {"result": result})

    def __dealloc__(self):
        free(self.link)
        free(self._transactions)
        free(self._durations)

    def _register_listener(self, int number, dict labels):
        indices = {field: self.stats.counter(name, help, labels) for field, name, help in LISTENER_SERIES}
        self.listener[number] = indices

    def _register_link(self, int number, dict labels):
        indices = {field: self.stats.counter(name, help, labels) for field, name, help in LINK_SERIES}
        indices["answer_seconds"] = self.stats.histogram(
            "authswitch_link_answer_seconds", "From a request's sending to the issuer's answer.", labels)
        self.link[number] = indices

    cdef size_t _place(self, int listener, int link, int kind, int reason) noexcept nogil:
        if link < 0:
            link = self._link_count
        return ((<size_t>listener * (self._link_count + 1) + link) * KIND_COUNT + kind) * REASON_COUNT + reason

    cdef void transaction(self, int listener, int link, int kind, int reason, uint64_t duration_ns) noexcept:
        """Count one final outcome. ``link`` is -1 when no issuer was asked."""
        cdef size_t place = self._place(listener, link, kind, reason)
        if self._transactions[place] == STATS_DISCARD and self.uncounted < REFUSALS_MAX:
            self._register_transaction(listener, link, kind, reason)
        stats_add(self.stats, self._transactions[place], 1)
        stats_observe(self.stats, self._durations[place], duration_ns)

    cdef void _register_transaction(self, int listener, int link, int kind, int reason) noexcept:
        cdef size_t place = self._place(listener, link, kind, reason)
        try:
            labels = {
                "listener": self.listener_names[listener],
                "link": NO_LINK if link < 0 else self.link_names[link],
                "kind": KINDS[kind],
                "response_code": self._codes[listener][reason],
                "reason": REASONS[reason],
            }
            self._transactions[place] = self.stats.counter(
                "authswitch_transactions_total", "Final outcomes of terminals' requests.", labels)
            self._durations[place] = self.stats.histogram(
                "authswitch_transaction_seconds", "From a terminal's request to its answer.", labels)
        except Exception:
            self.uncounted += 1               # no room in the shared counters, or no memory: the payment goes on
