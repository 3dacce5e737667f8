"""`python -m booper`: the same as the command `booper`."""

from booper.cli import main

if __name__ == "__main__":
    main()
