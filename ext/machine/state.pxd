"""What the state machine knows: tables, what is under way, and the moment. Its steps are in the rooms above."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.base.calendar cimport Calendar
from switch.crypto.dukpt cimport BaseKeys
from switch.crypto.mac cimport MacEngine, MacKey
from switch.dialect.tables cimport DialectTables
from switch.machine.channel cimport Channel, StateOwner
from switch.machine.channel_table cimport ChannelTable
from switch.machine.claims cimport Claims
from switch.machine.duplicate cimport DuplicateWindow
from switch.machine.journal_interface cimport Detail, Journal
from switch.machine.link cimport Link
from switch.machine.link_connections cimport LinkChannel
from switch.machine.listener cimport Listener, TerminalChannel
from switch.machine.meters cimport Meters
from switch.machine.note_queue cimport NoteEvent, NoteQueue
from switch.machine.numbering cimport Numbering
from switch.machine.originals cimport Inquiries
from switch.machine.request_context cimport Inbound
from switch.machine.saf_store cimport SafStore
from switch.machine.terminal_counts cimport TerminalCounts
from switch.machine.transaction cimport TransactionTable
from switch.tables.registry cimport Registry, Terminal
from switch.tables.risk cimport Risk
from switch.tables.rules cimport RuleWords
from switch.tables.routes cimport Route, RouteTable
from switch.wire.framing cimport Framing
from switch.wire.scan cimport Fault, MessageIndex
from switch.wire.translate cimport Composer, Slots

cdef enum:
    SCRATCH_BYTES = 131072    # one composed frame; above every limit that a framing may set
    LATE_SHARES = 4           # a link may hold one of so many shares of the transactions for late answers

cdef class State:
    cdef readonly uint32_t partition
    cdef readonly Calendar calendar
    cdef readonly Registry registry
    cdef readonly RouteTable routes
    cdef readonly Risk risk                   # None: no risk control
    cdef readonly Journal journal
    cdef readonly Meters meters
    cdef readonly list listeners
    cdef readonly list links
    cdef uint32_t link_count
    cdef readonly TransactionTable transactions
    cdef readonly DuplicateWindow duplicates
    cdef readonly SafStore saf
    cdef readonly Inquiries inquiries
    cdef readonly Claims claims
    cdef uint32_t stored_reversal             # entry that was added last; SAF_NONE when that failed
    cdef readonly Numbering numbering
    cdef readonly bytes acquirer_id           # ASCII digits, field 32
    cdef const uint8_t *acquirer_text         # the same
    cdef int acquirer_digits
    cdef public bint draining
    cdef readonly NoteQueue notes             # what an operator should read; of all partitions of the worker
    cdef readonly MacEngine macs              # of all partitions of the worker
    cdef readonly BaseKeys base_keys          # of terminals whose PIN keys are derived
    cdef uint64_t random_state
    cdef uint64_t fingerprint_secret

    cdef readonly ChannelTable channels       # of all who speak to this worker
    cdef StateOwner owner                     # of the frames that this state machine sends on them
    cdef readonly TerminalCounts terminals    # of all partitions of the worker
    cdef list unreversed                      # outcomes, with serials: never told, and no room yet for their reversal
    cdef int64_t unended                      # the lowest INTENT whose OUTCOME could not be written: a restart ends it

    # Scratch space of the message that is being handled. One thread, one message at a time.
    cdef Inbound inbound                      # what is known of the terminal's request
    cdef MessageIndex request                 # the terminal's
    cdef MessageIndex answer                  # the issuer's
    cdef MessageIndex composed                # what was written last
    cdef MessageIndex sent                    # what the issuer was asked
    cdef Slots slots
    cdef Fault fault
    cdef Detail detail                        # of the next OUTCOME, when ``has_detail``
    cdef bint has_detail
    cdef uint8_t *out
    cdef uint8_t *aside                       # a message that is composed or copied to be kept
    cdef uint8_t *opened                      # a request whose tracks were enciphered, in clear
    cdef uint32_t opened_size                 # 0: nothing is there
    cdef uint8_t *kept                        # the terminal's answer, where it is kept otherwise than it is told
    cdef const uint8_t *stored_answer         # what is kept of the answer that was composed last
    cdef uint32_t stored_size
    cdef uint8_t rrn[12]
    cdef uint8_t stan_text[6]
    cdef uint8_t mti_text[4]
    cdef uint8_t code[4]
    cdef uint8_t authorization_code[6]        # zeros: none

    cdef uint64_t random(self) noexcept nogil
    cdef void reserve_numbers(self) noexcept
    cdef void tell(self, NoteEvent event, int place, int64_t first=*, int64_t second=*, int64_t third=*,
                   int64_t fourth=*) noexcept nogil
    cdef void tell_of(self, NoteEvent event, int place, const uint8_t *rrn, int64_t first=*, int64_t second=*,
                      int64_t third=*) noexcept nogil
    cdef void tell_fault(self, NoteEvent event, int place, const uint8_t *terminal=*, int64_t first=*) noexcept nogil
    cdef void tell_text(self, NoteEvent event, int place, const uint8_t *text, int size, int64_t first,
                        int64_t second=*, int64_t third=*) noexcept nogil
    cdef int deliver_notes(self) except -1
    cdef void leave_open(self, int64_t intent, int link) noexcept nogil
    cdef void keep_fault(self, bint of_link) noexcept nogil
    cdef void note_code(self, const uint8_t *code, int size) noexcept nogil
    cdef void note_rule(self, const RuleWords *rule) noexcept nogil
    cdef const Detail *take_detail(self) noexcept nogil
    cdef void enlist(self, Channel channel)
    cdef inline Link link_of(self, LinkChannel channel):
        """The link that a connection belongs to."""
        return <Link>self.links[channel.connections.number]

    cdef void clear_slots(self) noexcept nogil
    cdef void set_mti(self, uint32_t mti) noexcept nogil
    cdef int depart(self, Channel channel, const uint8_t *frame, uint32_t size, int64_t position,
                    uint32_t outcome) noexcept
