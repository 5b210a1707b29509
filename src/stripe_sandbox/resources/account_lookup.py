"""Finding the account that a request names."""

from stripe_sandbox.errors import StripeError
from stripe_sandbox.records import Account
from stripe_sandbox.world import World


def find_account(world: World, account_id: str) -> Account:
    """Raises StripeError (403) as Stripe does for an account that is none of the caller's."""
    account = world.accounts.get(account_id)
    if account is None:
        raise no_access(account_id)
    return account


def no_access(account_id: str) -> StripeError:
    return StripeError(
        403,
        "invalid_request_error",
        f"The provided key does not have access to account '{account_id}' (or that account does "
        "not exist). Application access may have been revoked.",
        code="account_invalid",
    )
