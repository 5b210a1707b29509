"""Use cases, one family a file. They see domain, journal, commit and ports only."""
