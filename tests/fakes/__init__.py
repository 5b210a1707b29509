"""Small stand-ins behind our ports, for tests that need no real counterpart."""
