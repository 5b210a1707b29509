"""Where commits go: one adapter of the ``Store`` port for each database."""
