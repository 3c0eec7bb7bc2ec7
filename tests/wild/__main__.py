"""`python -m tests.wild`."""

import sys

from tests.wild.run import main

sys.exit(main())
