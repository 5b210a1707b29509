"""Stripe behind the ``Gateway`` port: the only room that knows Stripe's API."""
