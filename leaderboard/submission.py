"""The old name of `python -m leaderboard.pack`, which took the word `pack` before its options."""

import sys

from leaderboard.pack import main

if __name__ == "__main__":
    print("pack: leaderboard.submission is now leaderboard.pack", file=sys.stderr)
    sys.exit(main(sys.argv[2:] if sys.argv[1:2] == ["pack"] else sys.argv[1:]))
