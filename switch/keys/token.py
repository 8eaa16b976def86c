"""The master key in a token: a hardware security module, or a smart card, behind PKCS#11. It never leaves it.

The token seals and unseals the data key of the key file by AES-256-GCM (CKM_AES_GCM). The module is loaded for each
such step and let go of afterwards, so that a process that forks later has nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from switch.keys.master import MASTER_KEY_BYTES, MasterKey, WrongMasterKeyError, read_credential, read_secret_file
from switch.keys.problems import KeyFileError

TAG_BITS = 128


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """A key in a token; it is a place of a master key, and works with it.

    Attributes:
        module: The library of the token's maker.
        token: Its label.
        key: The label of the key, which is of AES-256.
        pin_file: A private file with the user's PIN.
        pin_credential: Or the credential of systemd with it: exactly one of the two.
    """

    module: Path
    token: str
    key: str
    pin_file: Path | None = None
    pin_credential: str | None = None

    def __str__(self) -> str:
        return f"key {self.key} of token {self.token}"

    # --- as a place -----------------------------------------------------------------------------------------------

    def load(self) -> MasterKey:
        """This; the token is asked whether it has the key.

        Raises:
            KeyFileError: It has none, or cannot be asked.
        """
        if self.is_to_be_made():
            raise self._failing("the token has no such key; `authswitch keys init` makes one")
        return self

    def is_to_be_made(self) -> bool:
        """Whether the token has no such key.

        Raises:
            KeyFileError: The token cannot be asked.
        """
        api = self._api()
        wanted = {api.Attribute.CLASS: api.ObjectClass.SECRET_KEY, api.Attribute.LABEL: self.key}
        with self._session(api) as session:
            return not list(session.get_objects(wanted))

    def create(self) -> MasterKey:
        """Let the token make the key: nobody can read it there, and it seals and unseals, nothing else.

        Raises:
            KeyFileError: There is one, or the token does not make it.
        """
        if not self.is_to_be_made():
            raise self._failing("exists already; a master key is never replaced")
        api = self._api()
        with self._session(api, writes=True) as session:
            session.generate_key(
                api.KeyType.AES,
                8 * MASTER_KEY_BYTES,
                label=self.key,
                store=True,
                capabilities=api.MechanismFlag.ENCRYPT | api.MechanismFlag.DECRYPT,
                template={api.Attribute.SENSITIVE: True, api.Attribute.EXTRACTABLE: False},
            )
        return self

    # --- as a master key ------------------------------------------------------------------------------------------

    def seal(self, nonce: bytes, data_key: bytes, bound: bytes) -> bytes:
        """The data key under the token's key. It is opened once, so that no key file is left that nobody can open.

        Raises:
            KeyFileError: The token does not do that.
        """
        with self._key() as (api, key):
            how = {"mechanism": api.Mechanism.AES_GCM, "mechanism_param": api.GCMParams(nonce, bound, TAG_BITS)}
            sealed = bytes(key.encrypt(data_key, **how))
            if bytes(key.decrypt(sealed, **how)) != data_key:
                raise self._failing("the token does not open what it has sealed")
        return sealed

    def unseal(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        """The data key again.

        Raises:
            WrongMasterKeyError: It is not under the token's key. Tokens do not agree on how they say so.
            KeyFileError: The token cannot be asked.
        """
        with self._key() as (api, key):
            how = {"mechanism": api.Mechanism.AES_GCM, "mechanism_param": api.GCMParams(nonce, bound, TAG_BITS)}
            try:
                return bytes(key.decrypt(sealed, **how))
            except api.PKCS11Error as error:
                raise WrongMasterKeyError(type(error).__name__) from None

    # --- the token ------------------------------------------------------------------------------------------------

    @contextmanager
    def _key(self) -> Iterator[tuple[Any, Any]]:
        """The names of PKCS#11, and the key, while the token is open."""
        api = self._api()
        with self._session(api) as session:
            yield (
                api,
                session.get_key(object_class=api.ObjectClass.SECRET_KEY, key_type=api.KeyType.AES, label=self.key),
            )

    @contextmanager
    def _session(self, api: Any, *, writes: bool = False) -> Iterator[Any]:
        """The token, open for its user."""
        if self.pin_file is not None:
            pin = read_secret_file(self.pin_file)
        else:
            pin = read_credential(self.pin_credential or "")
        module = str(self.module)
        try:
            token = api.lib(module).get_token(token_label=self.token)
            with token.open(rw=writes, user_pin=pin.strip()) as session:
                yield session
        except api.PKCS11Error as error:
            said = f": {error}" if str(error) else ""
            raise self._failing(f"{self.module} says {type(error).__name__}{said}") from None
        finally:
            api.unload(module)

    def _api(self) -> Any:
        """What is installed only where it is wanted."""
        try:
            return import_module("pkcs11")
        except ImportError:
            raise self._failing("python-pkcs11 is not installed: it comes with `authswitch[pkcs11]`") from None

    def _failing(self, reason: str) -> KeyFileError:
        return KeyFileError(str(self), "", reason)
