"""The HTTP API over real HTTP: uvicorn, the real workflows and SQLite; Stripe is a fake."""
