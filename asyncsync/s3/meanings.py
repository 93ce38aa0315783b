"""What the codes of S3's errors mean, and the next step: one table for all messages.

Here are those that have more to say than the server does. What an answer means without such a code
follows from its status (`refusals.py`).
"""

from dataclasses import dataclass
from typing import Final

from asyncsync.errors import AuthError, BucketError, SourceError

_PLACE: Final = (
    "check {bucket} and {endpoint_url} (a bucket with a jurisdiction has its own endpoint, such "
    "as <account>.eu.r2...)"
)
_RENEW: Final = (
    "get new ones, and set {access_key_id}, {secret_access_key} and {session_token}, which "
    "belong together"
)
REQUESTER_PAYS: Final = "where requesters pay for the bucket, it wants --request-payer"
"""Goes with 403 AccessDenied, which is all that AWS says then."""


def assignment(name: str, value: str) -> str:
    """Return how a setting is given a value: a variable, an option, or one of a profile."""
    return f"{name} to {value}" if " " in name else f"{name}={value}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means."""

    what: str
    advice: str
    """With the names of settings (`Names`) in braces."""
    kind: type[SourceError] = SourceError
    """What it is about, if it holds for all requests."""
    is_of_credentials: bool = False
    """Whether it is about the credentials alone, whatever was requested with them."""


DENIED: Final = Meaning(
    "the credentials are not accepted",
    "check {access_key_id} and {secret_access_key} (a new token may need up to a minute)",
    AuthError,
)
"""Also of a 401 without a code."""
NO_BUCKET: Final = Meaning("no such bucket", _PLACE, BucketError)
"""Also of a 404 that answers a listing."""
NO_LISTING: Final = Meaning(
    "the credentials do not allow listing the bucket",
    f"give the token the permission Object Read for it, and {_PLACE}; {REQUESTER_PAYS}",
    AuthError,
)
"""Of a 403 that answers a listing."""
_UNKNOWN_KEY: Final = Meaning(
    DENIED.what,
    f"{DENIED.advice}; temporary ones need {{session_token}} as well",
    AuthError,
    is_of_credentials=True,
)
OTHER_REGION: Final = Meaning(
    "the request is signed for another region than the bucket's", "set {region}", AuthError
)
_ACCOUNT: Final = Meaning(
    "the account may not use the service", "ask whoever pays for the account", AuthError
)
_KMS: Final = Meaning(
    "its key in KMS cannot be used",
    "enable the key, and let these credentials use it (kms:Decrypt)",
)

MEANINGS: Final = {
    "AccountProblem": _ACCOUNT,
    "AllAccessDisabled": _ACCOUNT,
    "AuthorizationHeaderMalformed": OTHER_REGION,
    "ExpiredRequest": Meaning(
        "the credentials have expired", _RENEW, AuthError, is_of_credentials=True
    ),
    "ExpiredToken": Meaning(
        "the session token has expired", _RENEW, AuthError, is_of_credentials=True
    ),
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidBucketName": Meaning("not the name of a bucket there", _PLACE, BucketError),
    "InvalidRegionName": Meaning(
        "not the name of a region there", "set {region} (R2's is auto)", AuthError
    ),
    "InvalidToken": Meaning(
        "the session token is not accepted", _RENEW, AuthError, is_of_credentials=True
    ),
    "KMS.DisabledException": _KMS,
    "KMS.KMSInvalidStateException": _KMS,
    "KMS.NotFoundException": _KMS,
    "NoSuchBucket": NO_BUCKET,
    "NotEntitled": _ACCOUNT,
    "NotSignedUp": _ACCOUNT,
    "SignatureDoesNotMatch": DENIED,
    "TokenRefreshRequired": Meaning(
        "the session token has expired", _RENEW, AuthError, is_of_credentials=True
    ),
    "Unauthorized": DENIED,
    "UserProjectMissing": Meaning(
        "requesters pay for the bucket", "it wants --request-payer", AuthError
    ),
}
"""By code."""
