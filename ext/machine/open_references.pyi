from typing import final

@final
class OpenReferences:
    def __init__(self, room: int) -> None: ...
