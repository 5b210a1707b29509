"""A stateful, offline Stripe for tests and demonstrations; it knows nothing of the service."""
