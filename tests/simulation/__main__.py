"""See ``command.py``: what runs in processes of its own must be found by its module's name."""

from tests.simulation.command import main

if __name__ == "__main__":
    main()
