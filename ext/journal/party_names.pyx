"""What the numbers of links and listeners mean: the batch with which each segment of the journal begins."""

NAMED_LINK = 1
NAMED_LISTENER = 2
NAMED_NUMBER = 3                  # of older versions: the last reference number
NAMED_CLOCK = 4
NAMED_RESERVED = 5
RESERVED_KEYS = ("reserved_to", "day_max", "day_floor", "stan")


def write_names(list links not None, list listeners not None, dict numbers not None, tuple clock=None):
    """What the numbers of links and listeners mean: the content of a batch of names.

    Args:
        links: Names, in order of their numbers.
        listeners: The same.
        numbers: What is reserved: ``reserved_to``, ``day_max`` and ``day_floor`` as in NUMBERS, ``stan`` the last one
            that was given, and the ``instance``.
        clock: What the journal's own time goes by: which start of which machine, what must be added to the nanoseconds
            since then, and the time now, in nanoseconds.
    """
    written = bytearray()
    entries = [(NAMED_LINK, number, name) for number, name in enumerate(links)]
    entries += [(NAMED_LISTENER, number, name) for number, name in enumerate(listeners)]
    entries.append((NAMED_RESERVED, numbers["instance"], " ".join(str(numbers[key]) for key in RESERVED_KEYS)))
    entries += [(NAMED_CLOCK, number, str(part)) for number, part in enumerate(clock or ())]
    for kind, number, name in entries:
        text = name.encode()
        written += bytes((kind, len(text))) + number.to_bytes(2, "little") + text
    return bytes(written)


def read_names(bytes content not None):
    """The other way round: names of links by number, of listeners by number, what is known of numbers, and the clock,
    or None.

    Older versions wrote no more of numbers than the last reference number: of that only ``stan`` is known.

    Raises:
        ValueError: it is no batch of names.
    """
    found = {NAMED_LINK: {}, NAMED_LISTENER: {}, NAMED_NUMBER: {}, NAMED_CLOCK: {}, NAMED_RESERVED: {}}
    at = 0
    while at < len(content):
        if at + 4 > len(content) or at + 4 + content[at + 1] > len(content):
            raise ValueError("the batch of names is cut short")
        if content[at] not in found:
            raise ValueError(f"the batch of names has an entry of unknown kind {content[at]}")
        number = int.from_bytes(content[at + 2:at + 4], "little")
        found[content[at]][number] = content[at + 4:at + 4 + content[at + 1]].decode()
        at += 4 + content[at + 1]
    clock = None
    if found[NAMED_CLOCK]:
        try:
            clock = (found[NAMED_CLOCK][0], int(found[NAMED_CLOCK][1]), int(found[NAMED_CLOCK][2]))
        except KeyError:
            raise ValueError("the batch of names has half a clock") from None
    return found[NAMED_LINK], found[NAMED_LISTENER], _numbers(found[NAMED_NUMBER], found[NAMED_RESERVED]), clock


def _numbers(last, reserved):
    for instance, text in reserved.items():
        parts = [int(part) for part in text.split(" ")]
        if len(parts) != len(RESERVED_KEYS):
            raise ValueError(f"the batch of names has {len(parts)} parts of what is reserved")
        return {"instance": instance, **dict(zip(RESERVED_KEYS, parts))}
    rrn = last.get(0, "")
    return {"stan": int(rrn[-6:])} if rrn[-6:].isdecimal() else {}
