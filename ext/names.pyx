"""What the numbers of links and listeners mean: the batch with which each segment of the journal begins."""

NAMED_LINK = 1
NAMED_LISTENER = 2
NAMED_NUMBER = 3
NAMED_CLOCK = 4


def write_names(list links not None, list listeners not None, str rrn not None, tuple clock=None):
    """What the numbers of links and listeners mean: the content of a batch of names.

    Args:
        links: Names, in order of their numbers.
        listeners: The same.
        rrn: The last retrieval reference number that was given.
        clock: What the journal's own time goes by: which start of which machine, what must be added to the nanoseconds
            since then, and the time now, in nanoseconds.
    """
    written = bytearray()
    entries = [(NAMED_LINK, number, name) for number, name in enumerate(links)]
    entries += [(NAMED_LISTENER, number, name) for number, name in enumerate(listeners)]
    entries.append((NAMED_NUMBER, 0, rrn))
    entries += [(NAMED_CLOCK, number, str(part)) for number, part in enumerate(clock or ())]
    for kind, number, name in entries:
        text = name.encode()
        written += bytes((kind, len(text))) + number.to_bytes(2, "little") + text
    return bytes(written)


def read_names(bytes content not None):
    """The other way round: names of links by number, of listeners by number, the reference number, and the clock, or
    None.

    Raises:
        ValueError: it is no batch of names.
    """
    found = {NAMED_LINK: {}, NAMED_LISTENER: {}, NAMED_NUMBER: {0: ""}, NAMED_CLOCK: {}}
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
    return found[NAMED_LINK], found[NAMED_LISTENER], found[NAMED_NUMBER][0], clock
