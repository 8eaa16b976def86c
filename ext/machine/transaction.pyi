class DeadlineList:
    count: int

class TransactionTable:
    room: int
    in_use: int
    def __init__(self, room: int) -> None: ...
