"""
Run the benchmark: `python -m tests.bench`.

Processes that multiprocessing spawns import this file again, so it imports nothing by itself.
"""

import sys

if __name__ == "__main__":
    from tests.bench.run import main

    sys.exit(main())
