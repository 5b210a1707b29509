"""The settings reference as it should read.

To renew it: `.venv/bin/python -m tests.settings_reference > docs/settings.md`
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import get_args

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from roadcall_payments.config import Settings

HEAD = """# Settings

Read once, from the environment, when a process starts; `roadcall-payments settings` shows what
they are now. A name's last part is its unit: `_S` seconds, `_MS` milliseconds, `_CENTS` minor
units of the currency, `_PERCENT` percent. A setting that cannot be stops the start with its name
and the reason. Secrets are never printed or logged.

| variable | default | bounds | meaning |
|---|---|---|---|
"""

CREDENTIALS = """
## Stripe's credentials

Not settings: they are read when first needed, again when they change or Stripe refuses them, and
need no restart. From `ROADCALL_STRIPE_SECRETS_FILE` where that is set, else from:

| variable | meaning |
|---|---|
| `STRIPE_API_KEY` | secret or restricted key, `sk_...` or `rk_...` |
| `STRIPE_WEBHOOK_SECRET` | `whsec_...`; several, comma-separated, while one is rolled |
| `STRIPE_CONNECT_ENABLED` | `false` refuses transfers before anything is written; default `true` |

The file has the same three:

```json
{"apiKey": "sk_test_...", "webhookSecret": ["whsec_..."], "connectEnabled": true}
```

## Approvals by amount

`ROADCALL_APPROVAL_BANDS` is JSON. Each currency has its own bands, since minor units of different
currencies do not compare; `*` serves those that are not named. In a band, `approvals` people must
approve, at least one of them with one of `roles`; the last band has no `upToCents`.

```json
{"*": [{"upToCents": 500000, "approvals": 1, "roles": ["dispatcher", "admin"]},
       {"approvals": 2, "roles": ["admin"]}],
 "jpy": [{"upToCents": 750000, "approvals": 1, "roles": ["dispatcher", "admin"]},
         {"approvals": 2, "roles": ["admin"]}]}
```
"""


def reference() -> str:
    """The whole page."""
    rows = (_row(name, field) for name, field in Settings.model_fields.items())
    return HEAD + "\n".join(rows) + "\n" + CREDENTIALS


def _row(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    variable = alias if isinstance(alias, str) else f"ROADCALL_{name.upper()}"
    cells = (f"`{variable}`", _default(field), _bounds(field), field.description or "")
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _default(field: FieldInfo) -> str:
    match field.default:
        case None | ():
            return ""
        case dict() as table:
            return f"`{json.dumps(_plain(table))}`"
        case value:
            return f"`{value}`"


def _plain(value: object) -> object:
    match value:
        case BaseModel():
            return value.model_dump(exclude_none=True)
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case tuple():
            return [_plain(item) for item in value]
    return value


def _bounds(field: FieldInfo) -> str:
    words = " or ".join(f"`{word}`" for word in get_args(field.annotation) if isinstance(word, str))
    return words or " to ".join(_limits(field))


def _limits(field: FieldInfo) -> Iterator[str]:
    for limit in field.metadata:
        if isinstance(limit, Ge):
            yield str(limit.ge)
        elif isinstance(limit, Le):
            yield str(limit.le)


if __name__ == "__main__":
    sys.stdout.write(reference())
