"""Owns the start of the embedded cloud: ``python -m goldpress.emulator [--port N]``."""

from __future__ import annotations

import sys

from goldpress.emulator.server import main

sys.exit(main())
