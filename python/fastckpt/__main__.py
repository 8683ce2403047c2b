"""``python -m fastckpt``: the command, where its script is not on the PATH."""

from fastckpt.cli import main

if __name__ == "__main__":
    main()
