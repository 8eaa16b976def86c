"""The master key in a token: a hardware security module, or a smart card, behind PKCS#11. It never leaves it.

The token seals and unseals the data key of the key file by AES-256-GCM (CKM_AES_GCM). The module is loaded for each
such step and let go of afterwards, so that a process that forks later has nothing of it. One thread of a process is in
a module at a time, since letting go of it would take it from the others; and a fork waits for whoever is.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from switch.keys.master import MASTER_KEY_BYTES, MasterKey, WrongMasterKeyError, read_credential, read_secret_file
from switch.keys.problems import KeyFileError, RefusedPinError

TAG_BITS = 128
NOT_UNDER_THIS_KEY = frozenset(
    {
        "EncryptedDataInvalid",
        "EncryptedDataLenRange",
        "GeneralError",
        "FunctionFailed",
        "DataInvalid",
        "SignatureInvalid",
    }
)
"""How tokens say that a tag does not fit; they do not agree on it."""

PIN_LOCKED = "the token has locked its user's PIN: unlock it with the tool of the token's maker"
WORDS = {
    "PinLocked": PIN_LOCKED,
    "PinExpired": "the user's PIN has expired: give the token another one",
    "UserPinNotInitialized": "the token's user has no PIN yet: give it one with the tool of the token's maker",
    "NoSuchToken": "no token with that label is there: it is not plugged in, not reached, or called otherwise",
    "TokenNotPresent": "the token is not there: it is not plugged in, or not reached",
    "TokenNotRecognised": "what is plugged in is no token that the module knows",
    "DeviceRemoved": "the token was taken out, or is not reached any more",
    "NoSuchKey": "the token is there, and has no AES key with that label",
    "MultipleObjectsReturned": "the token has several keys with that label: none must share it",
    "MultipleTokensReturned": "several tokens have that label: none must share it",
    "MechanismInvalid": "the token does no AES-256-GCM (CKM_AES_GCM) with a nonce that it is given",
}
"""What an operator is told, by the name of the module's answer."""

PIN_TROUBLE = frozenset(("PinIncorrect", "PinInvalid", "PinLenRange", "PinLocked", "PinExpired"))

_module_in_use = threading.Lock()
os.register_at_fork(
    before=_module_in_use.acquire,
    after_in_parent=_module_in_use.release,
    after_in_child=_module_in_use.release,
)


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

    @property
    def how_to_change(self) -> str:
        """Name the right one."""
        return "name the right key of the right token in the configuration; that is seen without a restart"

    # --- as a place -----------------------------------------------------------------------------------------------

    def load(self) -> MasterKey:
        """This; the token is asked whether it has the key.

        Raises:
            KeyFileError: It has none, or cannot be asked.
        """
        if self.is_to_be_made():
            raise self._failing("the token has no such key; `authswitch keys init` makes one")
        return self

    def load_to_seal(self) -> MasterKey:
        """As ``load``: what a token has it keeps."""
        return self.load()

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
                if type(error).__name__ not in NOT_UNDER_THIS_KEY:
                    raise
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
        if not os.path.exists(module):  # noqa: PTH110 - says no where it may not look
            raise self._failing(f"there is no module {module}: install what the token's maker gives for PKCS#11")
        with _module_in_use:
            try:
                token = self._library(api).get_token(token_label=self.token)
                with token.open(rw=writes, user_pin=pin.strip()) as session:
                    yield session
            except api.PKCS11Error as error:
                raise self._told(error) from None
            finally:
                api.unload(module)

    def _library(self, api: Any) -> Any:
        try:
            return api.lib(str(self.module))
        except api.PKCS11Error as error:
            raise self._failing(f"the module {self.module} cannot be used: {error}") from None

    def _told(self, error: Exception) -> KeyFileError:
        """What the module answered, in words for who has to do something."""
        name = type(error).__name__
        said = f": {error}" if str(error) else ""
        answered = f"({self.module} says {name}{said})"
        if name in PIN_TROUBLE:
            where = self.pin_file or f"credential {self.pin_credential}"
            words = WORDS.get(name, f"the token refuses the PIN of {where}: put the right one there")
            return RefusedPinError(str(self), "", f"{words}; each further attempt may lock it {answered}")
        words = WORDS.get(name, "the token, or the way to it, does not work")
        return self._failing(f"{words} {answered}")

    def _api(self) -> Any:
        """What is installed only where it is wanted."""
        try:
            return import_module("pkcs11")
        except ImportError:
            raise self._failing("python-pkcs11 is not installed: it comes with `authswitch[pkcs11]`") from None

    def _failing(self, reason: str) -> KeyFileError:
        return KeyFileError(str(self), "", reason)
