"""Certificates for one test run, and the TLS contexts of those who hold them."""

from __future__ import annotations

import ssl

from switch.samples import certificates


class Authority(certificates.Authority):
    """An authority that also knows how its clients and servers are set up."""

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
