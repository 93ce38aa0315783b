"""The certificate with which the parts of the demo's server know each other."""

import datetime
import os
from pathlib import Path

from asyncsync.errors import ConfigError, missing

_NAME = "asyncsync demo"
_DAY = datetime.timedelta(days=1)
_VALID = 365 * _DAY


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a new private key and its self-signed certificate, and return their paths.

    Only this user can read the key, so only this user's processes can show the certificate.

    Returns:
        The certificate and the key, both PEM.

    Raises:
        ConfigError: the package `cryptography` is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise ConfigError(missing("cryptography", "demo")) from error

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _NAME)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _VALID)
        .sign(private, hashes.SHA256())
    )
    certificate, key = folder / "internal.crt", folder / "internal.key"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.unlink(missing_ok=True)
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return certificate, key
