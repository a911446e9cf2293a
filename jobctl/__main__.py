"""``python -m jobctl``: the same as the console script."""

from jobctl.cli.main import main

if __name__ == "__main__":
    main()
