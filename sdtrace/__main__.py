"""`python -m sdtrace`."""

from sdtrace.cli import main

if __name__ == "__main__":
    main()
