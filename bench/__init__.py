"""What Forebay costs, as ratios of two things measured side by side: `python -m bench [NAME …]`."""

import sys
from pathlib import Path

# The real Kafka, the ClickHouse behind HTTP and the fleet's processes are those of the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
