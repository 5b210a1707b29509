"""run, demo: the service and a Stripe sandbox on this machine, and two payments through them."""
