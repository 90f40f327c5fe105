"""`python -m mjpegd` is the command `mjpegd`."""

import sys

from mjpegd.cli import main

sys.exit(main())
