"""An environment that has all settings, and what is loaded from it."""

from collections.abc import Mapping

from asyncsync.settings import Options, load

ENDPOINT = "https://account.r2.cloudflarestorage.com"
SECRET = "s3cr3t/+="
REQUIRED = {
    "R2_ACCESS_KEY_ID": "AKID",
    "R2_SECRET_ACCESS_KEY": SECRET,
    "R2_ENDPOINT_URL": ENDPOINT,
    "R2_BUCKET": "sensor-data",
}
"""The variables that must be set."""


def options(environ: Mapping[str, str] | None = None, **given: object) -> Options:
    """Return the options of an environment with these variables added, and of these arguments."""
    return load(environ={**REQUIRED, **(environ or {})}, given=given)[1]
