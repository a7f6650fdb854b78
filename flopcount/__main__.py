"""`python -m flopcount` is the `flopcount` command."""

from .cli import main

main()
