"""``python -m speedd``."""

from speedd.cli import main

if __name__ == "__main__":
    main()
