"""``python -m enrgdaq``."""

import sys

from enrgdaq.cli import main

sys.exit(main())
