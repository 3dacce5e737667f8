"""`python -m booper`, and the single executable: the same as the command `booper`."""

from booper.executable import unpacked

if __name__ == "__main__":
    with unpacked():
        from booper.cli import main  # slow to import, and the folder must be kept before

        main()
