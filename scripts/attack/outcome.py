"""The outcome of one case."""
from dataclasses import dataclass, field

from program import Finished


@dataclass
class Outcome:
    name: str
    # The exit code; None if there is none.
    code: int | None
    faults: list = field(default_factory=list)
    finished: Finished | None = None
