"""`python -m iseg3d_ros.commands`: the same as the `iseg3d` command, where that is not on the path."""

from __future__ import annotations

import sys

from iseg3d_ros.commands import main

sys.exit(main())
