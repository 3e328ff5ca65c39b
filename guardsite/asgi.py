"""The ASGI entry: long waits go to a small app beside Django, everything else is Django's."""

from __future__ import annotations

import os
import warnings
from typing import cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardsite.settings")
# WhiteNoise hands files over as synchronous iterators; Django reads them whole, which is what we want of small files.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
django_application = get_asgi_application()

from guardsite.waits import App, WaitApp  # noqa: E402  # needs the apps, which the line above has loaded

application = WaitApp(cast(App, django_application))
