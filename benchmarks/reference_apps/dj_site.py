"""dj-stripe in the smallest Django site that its documentation asks for.

Settings; ``dj_wsgi.py`` runs it. Environment: DATABASE_URL, STRIPE_API_KEY.
"""

import os
from urllib.parse import parse_qs, urlsplit

_database = urlsplit(os.environ["DATABASE_URL"])

SECRET_KEY = "benchmark"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "djstripe"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "dj_urls"
USE_TZ = True
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database.path.lstrip("/"),
        "USER": _database.username,
        "HOST": parse_qs(_database.query)["host"][0],
        "CONN_MAX_AGE": None,
    }
}
STRIPE_TEST_SECRET_KEY = os.environ["STRIPE_API_KEY"]
STRIPE_LIVE_MODE = False
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
