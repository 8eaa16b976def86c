"""Keys of terminals, taken up while the registry is looked up: the new ones, and with them what they replace."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from switch.crypto.mac cimport MacKey
from switch.crypto.pin_block cimport PIN_FORMAT_ISO_0, PIN_FORMAT_SM4, PinKey, set_pin_key
from switch.tables.former_keys cimport FORMER_UNTIL_SIGN_IN, FormerKeys
from switch.tables.identifiers cimport TERMINAL_ID_MAX
from switch.tables.registry cimport Registry, Terminal, attach_keys

from switch.crypto.mac import ALGORITHMS, KEY_SIZES
from switch.crypto.pin_block import PIN_FORMATS, PIN_KEY_SIZES

cdef extern from "string.h" nogil:
    void explicit_bzero(void *data, size_t size)


def terminal_key_uses(Registry registry not None, uint32_t first, uint32_t count):
    cdef uint32_t number
    cdef const Terminal *terminal
    uses = []
    for number in range(first, min(first + <uint64_t>count, <uint64_t>registry.terminal_count)):
        terminal = registry.terminal(number)
        id = terminal.id[:TERMINAL_ID_MAX].decode("ascii").rstrip()
        pin = "none" if terminal.derives_pin_keys else PIN_FORMATS[terminal.pin_format]     # no key of its own
        uses.append((id, ALGORITHMS[terminal.mac_key.algorithm], pin))
    return uses


def take_terminal_keys(Registry registry not None, keys, uint32_t first, uint32_t count):
    cdef uint32_t number, changed = 0
    cdef Terminal fresh
    cdef Terminal *terminal
    faults = []
    for number in range(first, min(first + <uint64_t>count, <uint64_t>registry.terminal_count)):
        terminal = <Terminal *>registry.terminal(number)
        id = terminal.id[:TERMINAL_ID_MAX].decode("ascii").rstrip()
        fresh = terminal[0]
        _forget_keys(&fresh)
        algorithm = ALGORITHMS[terminal.mac_key.algorithm]
        try:
            attach_keys(&fresh, keys, id, (0, 0, 0, terminal.mac_key.algorithm, 0, KEY_SIZES[algorithm]))
            changed += _take(registry, number, &fresh, _former_keys(keys, id, &fresh, algorithm))
        except ValueError as error:
            faults.append((id, str(error)))
        finally:
            explicit_bzero(&fresh, sizeof(fresh))
    return changed, faults


cdef void _forget_keys(Terminal *terminal) noexcept nogil:
    """Leave no key in a copy of a terminal; what kinds they are stays."""
    explicit_bzero(terminal.mac_key.key, sizeof(terminal.mac_key.key))
    terminal.mac_key.size = 0
    explicit_bzero(&terminal.pin_key, sizeof(PinKey))
    explicit_bzero(&terminal.master_key, sizeof(PinKey))
    explicit_bzero(&terminal.track_key, sizeof(PinKey))


cdef int _sort_of(const Terminal *terminal) noexcept nogil:
    """A format of PIN blocks under keys such as all of a terminal's are: of SM4, or of DES."""
    return PIN_FORMAT_SM4 if terminal.pin_format == PIN_FORMAT_SM4 else PIN_FORMAT_ISO_0


cdef tuple _former_keys(keys, str id, const Terminal *terminal, str algorithm):
    """MAC, PIN and track key that were replaced, None where one was not; ValueError where one is of another size."""
    cdef bytes mac = keys.get(f"terminal/{id}/former/tak") if terminal.mac_key.size else None
    cdef bytes pin = keys.get(f"terminal/{id}/former/tpk") if terminal.pin_key.size else None
    cdef bytes track = keys.get(f"terminal/{id}/former/tdk") if terminal.track_key.size else None
    if mac is not None and len(mac) not in KEY_SIZES[algorithm]:
        raise ValueError(f"the former tak has {len(mac)} bytes")
    if pin is not None and len(pin) not in PIN_KEY_SIZES[PIN_FORMATS[terminal.pin_format]]:
        raise ValueError(f"the former tpk has {len(pin)} bytes")
    if track is not None and len(track) not in PIN_KEY_SIZES[PIN_FORMATS[_sort_of(terminal)]]:
        raise ValueError(f"the former tdk has {len(track)} bytes")
    return mac, pin, track


cdef bint has_same_keys(const Terminal *one, const Terminal *other) noexcept nogil:
    return (memcmp(&one.mac_key, &other.mac_key, sizeof(MacKey)) == 0
            and memcmp(&one.pin_key, &other.pin_key, sizeof(PinKey)) == 0
            and memcmp(&one.master_key, &other.master_key, sizeof(PinKey)) == 0
            and memcmp(&one.track_key, &other.track_key, sizeof(PinKey)) == 0)


cdef bint _take(Registry registry, uint32_t number, const Terminal *fresh, tuple former_keys) except -1:
    """Put keys in force, and what they replace with them; whether anything has changed."""
    cdef Terminal *terminal = <Terminal *>registry.terminal(number)
    cdef bint is_changed = not has_same_keys(terminal, fresh)
    cdef FormerKeys *former
    cdef bytes mac, pin, track
    mac, pin, track = former_keys
    if mac is None and pin is None and track is None:
        is_changed = is_changed or terminal.has_former
        terminal[0] = fresh[0]
        registry.former.drop(number)
        terminal.has_former = False
        return is_changed
    if not is_changed and terminal.has_former:
        return False
    former = registry.former.put(number)
    former.until_ns = FORMER_UNTIL_SIGN_IN
    former.mac_key = fresh.mac_key
    former.pin_key = fresh.pin_key
    former.track_key = fresh.track_key
    if mac is not None:
        former.mac_key.size = len(mac)
        memcpy(former.mac_key.key, <const char *>mac, len(mac))
    if pin is not None:
        set_pin_key(&former.pin_key, pin, fresh.pin_format)
    if track is not None:
        set_pin_key(&former.track_key, track, _sort_of(fresh))
    terminal[0] = fresh[0]
    terminal.has_former = True
    return True
