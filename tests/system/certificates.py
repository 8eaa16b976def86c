"""Certificates for one test run, and the TLS contexts of those who hold them."""

from __future__ import annotations

import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from switch.samples import certificates


class Authority(certificates.Authority):
    """An authority that also knows how its clients and servers are set up."""

    def issue_to_both(self, file, *common_names):
        """Sign a certificate whose subject has several common names."""
        pair = self.issue(file, common_names[0])
        issued = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        builder = x509.CertificateBuilder(
            issuer_name=issued.issuer,
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names]),
            public_key=issued.public_key(),
            serial_number=issued.serial_number,
            not_valid_before=issued.not_valid_before_utc,
            not_valid_after=issued.not_valid_after_utc,
            extensions=list(issued.extensions),
        )
        own_key = serialization.load_pem_private_key(self._authority.private_key_pem.bytes(), None)
        certificate = builder.sign(own_key, hashes.SHA256())
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return pair

    def client_context(self, certificate=None):
        """The context of somebody who trusts this authority, with a certificate of his own where one is given."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return context

    def server_context(self, certificate, client_authority=None):
        """The context of a server with this certificate, that asks for one of ``client_authority`` where given."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        if client_authority is not None:
            context.load_verify_locations(client_authority.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
