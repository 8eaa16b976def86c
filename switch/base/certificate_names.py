"""Whose a certificate is."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID


def common_name(certificate: x509.Certificate) -> str | None:
    """The common name of a certificate; None when it has none that can be read, or more than one."""
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return None
    if len(names) != 1:
        return None
    value = names[0].value
    return value if isinstance(value, str) else None


def bears_name(certificate: x509.Certificate, name: str) -> bool:
    """Whether a name is the certificate's common name or one of its DNS names, upper case or lower; no wildcards."""
    own = common_name(certificate)
    try:
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = others.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
    return name.lower() in {each.lower() for each in (own, *names) if each is not None}
