"""``python -m speedd``: the command, from a checkout.

Python looks for modules in the working directory then, and there first. That ends here. It cannot end earlier: a
``speedd.py`` that lies there is run, and so is an ``importlib.py``. The command ``speedd`` and the systemd unit do not
look there at all.
"""

import os
import sys

if __name__ == "__main__":
    # Nothing else may be imported before this.
    if sys.path[0] == os.getcwd() != os.path.dirname(os.path.dirname(__file__)):  # noqa: PTH109, PTH120
        del sys.path[0]
    from speedd.cli import main

    main()
