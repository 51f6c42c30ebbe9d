"""The second half of the resume proof, in a process of its own: `python -m picochat.stages.sanity.resumed FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from picochat.core.jsonio import canonical_json
from picochat.stages.sanity.resume import resume_here

if __name__ == "__main__":
    sys.stdout.write(canonical_json(resume_here(Path(sys.argv[1]))._asdict()).decode())
