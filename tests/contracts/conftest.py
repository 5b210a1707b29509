"""The contracts' own modules speak with ``assert`` too."""

import pytest

pytest.register_assert_rewrite(
    "tests.contracts.store_contract_commits",
    "tests.contracts.store_contract_queries",
    "tests.contracts.store_contract_work",
    "tests.contracts.store_contract_model",
    "tests.contracts.store_contract_rows",
    "tests.contracts.store_contract_unique",
)
