"""What one case came to."""
from dataclasses import dataclass, field

from program import Finished


@dataclass
class Outcome:
    name: str
    # The exit code; None where there is none to count.
    code: int | None
    faults: list = field(default_factory=list)
    finished: Finished | None = None
