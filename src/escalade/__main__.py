"""``python -m escalade``: the command line."""

from escalade.cli import main

if __name__ == "__main__":
    main()
