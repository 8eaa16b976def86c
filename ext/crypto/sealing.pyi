from typing import final

@final
class Sealer: ...
