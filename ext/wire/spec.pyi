from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, final

CONTENT_CLASSES: dict[str, int]
KNOWN_KEYS: frozenset[str]

class SpecProblem(NamedTuple):
    field: str
    key: str
    reason: str

class SpecError(ValueError):
    problems: tuple[SpecProblem, ...]
    def __init__(self, problems: Iterable[SpecProblem]) -> None: ...

@final
class CodePage:
    name: str
    agrees_with_ascii: bool
    holds_ascii: bool
    def __init__(self, name: str) -> None: ...

@final
class Spec:
    source: dict[str, dict[str, Any]]

def code_page(name: str) -> CodePage: ...
def compile_spec(spec: Spec | Mapping[str, Mapping[str, Any]]) -> Spec: ...
