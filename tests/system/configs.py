"""Sample configurations as they are, but for the ports: a test must not depend on which are free."""

from __future__ import annotations

import re


def on_free_ports(config, endpoints):
    """Let a configuration listen on ports that the kernel chooses and log JSON; gives its path.

    Args:
        config: The file, which is changed.
        endpoints: Real ports of the issuers, by the address that stands in the file.
    """
    text = config.read_text()
    for address, port in endpoints.items():
        assert address in text
        text = text.replace(f'"{address}"', f'"127.0.0.1:{port}"')
    text = re.sub(r'(?m)^(scrape_)?bind = "127\.0\.0\.1:[0-9]+"', r'\1bind = "127.0.0.1:0"', text)
    text = re.sub(r'(?m)^bind = "unix:[^"]+"', 'bind = "unix:admin.sock"', text)
    text = text.replace('format = "console"', 'format = "json"')
    if "[admin]" not in text:
        text += '\n[admin]\nbind = "127.0.0.1:0"\n'
    config.write_text(text)
    return config
