class DuplicateWindow:
    room: int
    in_use: int
    untold: int
    age_max_ns: int
    forgotten_early: int
    def __init__(self, room: int, stored_bytes: int, age_max_seconds: float) -> None: ...
