"""What people do with payments: a file for each thing the service can do.

A story is a coroutine over a ``Teller``. ``history.STORIES`` says which are told for whom, and
how often: a capability that the service gains adds a file here and a line there.
"""
