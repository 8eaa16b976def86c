"""The terminal side: what a listener expects of those who speak to it, and one terminal connection."""

from libc.string cimport memcpy, memset
from switch.wire.framing cimport FrameStream
from switch.wire.kept_copy cimport fill_fields

MAC_POLICIES = {"none": MAC_POLICY_NONE, "optional": MAC_POLICY_OPTIONAL, "required": MAC_POLICY_REQUIRED}

PARTIAL_POLICIES = {"never": PARTIAL_NEVER, "marked": PARTIAL_MARKED, "always": PARTIAL_ALWAYS}


cdef class Listener:
    """One listening address: dialect, MAC policy and limits.

    Args:
        number: Its place in the configuration; bit ``number`` of a terminal's ``listeners_allowed``.
        name: As the configuration calls it.
        tables: The dialect.
        framing: How frames are marked; usually the dialect's own.
        answer_composer: Composes answers that no issuer had a part in.
        unsigned_answer_composer: The same without a MAC, for those whom no key belongs to.
        network_answer_composer: Composes answers to sign-on, echo test and their like.
        mac_policy: ``none``, ``optional`` or ``required``.
        unkept: Numbers of the fields of a request that are not kept until it is answered.
        partial_approval: Who is told of the approval of a part: ``never`` anybody, ``marked``: terminals whose request
            says that they can take it, or ``always`` everybody.
        binds_identity: Whether field 41 or 42 must be what the client's certificate says.
        first_message_timeout_ms: Silence after which a connection is closed that never sent a whole frame.
        idle_timeout_ms: Silence after which a connection is closed; 0 for none.
        partial_timeout_ms: How long the rest of a begun frame may take.
        in_flight_max: Requests of one connection under way before its reading pauses.
        connections_max: Connections at one time.
        downloads: What terminals may load (``switch.dialect.downloads.DownloadAnswers``); None: nothing.
    """

    def __init__(self, uint16_t number, str name, DialectTables tables, Framing framing, Composer answer_composer,
                 Composer unsigned_answer_composer, Composer network_answer_composer, *, str mac_policy,
                 unkept, str partial_approval, bint binds_identity, int64_t first_message_timeout_ms,
                 int64_t idle_timeout_ms,
                 int64_t partial_timeout_ms, uint32_t in_flight_max, uint32_t connections_max, downloads=None):
        self.number = number
        self.name = name
        self.tables = tables
        fill_fields(self.request_unkept, unkept)
        self.framing = framing
        self.answer_composer = answer_composer
        self.unsigned_answer_composer = unsigned_answer_composer
        self.network_answer_composer = network_answer_composer
        self.mac_policy = MAC_POLICIES[mac_policy]
        self.partial_policy = PARTIAL_POLICIES[partial_approval]
        self.binds_identity = binds_identity
        self.first_message_timeout_ns = first_message_timeout_ms * 1_000_000
        self.idle_timeout_ns = idle_timeout_ms * 1_000_000
        self.partial_timeout_ns = partial_timeout_ms * 1_000_000
        self.in_flight_max = in_flight_max
        self.connections_max = connections_max
        self.downloads = downloads


cdef class TerminalChannel(Channel):
    """One terminal connection. ``called_from`` says whose, ``bind`` fixes who may speak where certificates say so."""

    def __init__(self, Listener listener):
        self.listener = listener
        self.is_of_terminal = True
        self.stream = FrameStream(listener.framing)

    def called_from(self, str address not None):
        """The terminal's IP address, for what operators read."""
        cdef bytes text = address.encode("ascii", "replace")[:NOTE_PEER_BYTES - 1]
        memset(self.peer, 0, NOTE_PEER_BYTES)
        memcpy(self.peer, <const char *>text, len(text))

    def bind(self, str certificate_name):
        """Only terminals whose registered certificate has this common name may speak here."""
        self.certificate_name = certificate_name.encode()
