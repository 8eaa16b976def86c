"""Keys of terminals that others have replaced: taken until their terminal has the new ones, and a while longer."""

class FormerKeyTable:
    """By number of the terminal in the registry."""

    in_use: int
    """Terminals whose former keys are known."""
    keep_ns: int
    """So long after the first use of the new ones former keys are taken, in nanoseconds."""
