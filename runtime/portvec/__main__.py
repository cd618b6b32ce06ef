"""Entry point of `python -m portvec`."""

from portvec._cli.entry import main

if __name__ == "__main__":
    main()
