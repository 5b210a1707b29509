"""JSON over HTTP: one file a resource; what all of them share is named for what it does."""
