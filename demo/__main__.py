"""`python -m demo`: the same as `manage.py demo_agent`."""

import sys

from demo.agent import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
