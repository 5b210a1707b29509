"""Runs ``dj_site``: ``python dj_wsgi.py`` makes the tables and the endpoint and prints its id;
gunicorn serves ``dj_wsgi:application``. Environment: also STRIPE_WEBHOOK_SECRET, STRIPE_API_BASE.
"""

import os

import stripe
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "dj_site"
stripe.api_base = os.environ["STRIPE_API_BASE"]
application = get_wsgi_application()


def prepare() -> None:
    from djstripe.models import WebhookEndpoint

    call_command("migrate", verbosity=0)
    endpoint, _ = WebhookEndpoint.objects.get_or_create(
        id="we_benchmark",
        defaults={
            "secret": os.environ["STRIPE_WEBHOOK_SECRET"],
            "url": "http://127.0.0.1/stripe/webhook/",
            "enabled_events": ["*"],
            "livemode": False,
            "status": "enabled",
        },
    )
    print(f"endpoint {endpoint.djstripe_uuid}")


if __name__ == "__main__":
    prepare()
