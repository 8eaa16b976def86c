"""The key file as all processes of a daemon know it: opened once, outliving who opened it, and a PIN tried once."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from switch.config import load_config
from switch.keys import Key, KeyFile, KeyFileError
from switch.keys.problems import RefusedPinError
from switch.keys.shared import BusyError, ProcessLock, SharedKeys
from switch.keys.table import packed
from switch.keys.token import TokenPlace
from switch.server import node_keys
from switch.server.node_keys import NodeKeys

from .test_master_key_places import PIN, setup

__all__ = ["setup"]

ZAK = "link/bank-a/zak"
SAID_PIN = "the token refuses the PIN of"


def table_of(*names):
    return packed([Key(name, "zak", "3des-2key", bytes(range(16))) for name in sorted(names)])


def in_child(action):
    """Run something in a process that is forked; whether it went well."""
    child = os.fork()
    if child == 0:
        well = False
        try:
            action()
            well = True
        finally:
            os._exit(0 if well else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- shared memory ----------------------------------------------------------------------------------------------------


def test_what_a_child_has_put_is_there_when_it_has_ended():
    shared = SharedKeys("test", 4)
    assert shared.take() is None
    assert shared.head() is None
    for number, names in enumerate((("a/zak",), ("a/zak", "b/zak", "c/zak"), (), ("b/zak",))):
        head = bytes(3) + bytes([number])
        assert in_child(lambda head=head, names=names: shared.put(head, table_of(*names)))
        assert shared.head() == head
        found, table = shared.take()
        assert found == head
        assert [name for name, _ in table.records()] == list(names)


def test_who_dies_over_it_leaves_what_was_there(monkeypatch):
    shared = SharedKeys("test", 4)
    shared.put(b"good", table_of("a/zak"))
    written = 0

    def dies(descriptor, content, at, pwrite=os.pwrite):
        nonlocal written
        written += 1
        if written == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return pwrite(descriptor, content, at)

    monkeypatch.setattr(os, "pwrite", dies)
    assert not in_child(lambda: shared.put(b"half", table_of("b/zak")))
    monkeypatch.undo()
    assert shared.head() == b"good"
    shared.put(b"more", table_of("c/zak"))
    assert shared.take()[0] == b"more"


def test_a_lock_is_held_by_one_thread_of_one_process():
    lock = ProcessLock("test")
    taken, leave = threading.Event(), threading.Event()

    def hold():
        with lock.held():
            taken.set()
            leave.wait(10)

    def try_it():
        with lock.held(0.05):
            pass

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert taken.wait(10)
        with pytest.raises(BusyError):
            try_it()
        leave.set()
        holding.result()
    try_it()
    with lock.held():
        assert not in_child(try_it)
    assert in_child(try_it)


def test_a_lock_is_free_when_its_holder_was_killed():
    lock = ProcessLock("test")
    held, told = os.pipe()
    child = os.fork()
    if child == 0:
        with lock.held():
            os.write(told, b"!")
            signal.pause()
    os.read(held, 1)
    with pytest.raises(BusyError), lock.held(0.05):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with lock.held(1):
        pass


# --- the key file -----------------------------------------------------------------------------------------------------


class Node:
    """A daemon's start, and what its processes know afterwards."""

    def __init__(self, setup, place):
        self.setup = setup
        setup.keys(place, "init")
        setup.keys(place, "generate", ZAK)
        self.told = 0
        self.config = load_config(setup.folder / f"{place}.toml")
        section = self.config.keys
        started = KeyFile.open(section.file, node_keys.master_key_place(section).load())
        self.keys = NodeKeys(self.config, section, started, lambda: self.told)


@pytest.fixture
def opened(monkeypatch):
    """The places that were asked for the master key."""
    asked = []
    for kind in ("FilePlace", "GivenPlace", "TokenPlace"):
        cls = getattr(__import__("switch.config.key_file", fromlist=[kind]), kind)
        monkeypatch.setattr(cls, "load", lambda self, load=cls.load: asked.append(str(self)) or load(self))
    return asked


def test_one_process_opens_the_file_for_all(setup, opened):
    node = Node(setup, "file")
    opened.clear()
    with node.keys.open() as file:
        assert ZAK in file
    assert opened == [], "the start has opened it"
    setup.keys("file", "generate", "link/bank-b/zak")
    opened.clear()

    def opens():
        with node.keys.open() as file:
            assert "link/bank-b/zak" in file

    assert in_child(opens)
    opens()
    assert opened == [], "a child has opened it"
    node.setup.section("file").file.unlink()
    with pytest.raises(KeyFileError, match="cannot be read"):
        node.keys.open()
    with node.keys.open_former() as file:
        assert "link/bank-b/zak" in file


def test_what_is_in_force_never_becomes_older(setup):
    node = Node(setup, "file")
    told, before = node.keys.in_force()
    assert told == 0
    assert list(before.names()) == []  # the configuration has no link
    node.keys.put_in_force(node.keys.open(), 2)
    node.keys.put_in_force(node.keys.open(), 1)
    assert node.keys.in_force()[0] == 2


def test_a_file_that_an_exchange_has_saved_meanwhile_is_not_put_in_force(setup):
    node = Node(setup, "file")
    node.keys._links = [[ZAK]]
    new = Key(ZAK, "zak", "3des-2key", bytes(range(16)))
    with node.keys.open() as opened:
        node.keys.save(lambda keys: keys.put(new, replace=True))
        assert not node.keys.put_in_force(opened, 1), "the issuer may be told of the new key at any moment"
        node.keys.change_in_force(lambda keys: keys.put(new, replace=True))
        assert not node.keys.put_in_force(opened, 1)
    assert node.keys.in_force()[1].value(ZAK) == new.value
    with node.keys.open() as opened:
        assert node.keys.put_in_force(opened, 1)
    told, had = node.keys.in_force()
    assert (told, had.value(ZAK)) == (1, new.value)


def test_a_master_key_that_the_environment_cannot_change_is_told_so(setup, monkeypatch):
    node = Node(setup, "environment")
    setup.keys("environment", "change-master-key", "--new-master-key-file", setup.folder / "master-2.key")
    with pytest.raises(KeyFileError, match=r"\$AUTHSWITCH_TEST_MASTER was asked: the environment of a running process"):
        node.keys.open()
    text = (setup.folder / "environment.toml").read_text()
    words = 'master_key_env = "AUTHSWITCH_TEST_MASTER"'
    (setup.folder / "environment.toml").write_text(text.replace(words, 'master_key_file = "master-2.key"'))
    with node.keys.open() as file:
        assert ZAK in file
    (setup.folder / "environment.toml").write_text("not valid")
    with node.keys.open() as file:
        assert ZAK in file, "opened before"


def test_what_was_opened_by_another_is_not_saved(setup):
    node = Node(setup, "file")
    with node.keys.open() as file:
        file.put(Key("link/x/zak", "zak", "3des-2key", bytes(range(16))))
        with pytest.raises(KeyFileError, match="without the master key cannot be saved"):
            file.save()


def test_a_refused_pin_is_tried_once_a_node_until_somebody_says_that_it_is_mended(setup, monkeypatch):
    node = Node(setup, "token")
    setup.keys("token", "generate", "link/bank-b/zak")
    (setup.folder / "pin").write_text("00000000")
    counted = setup.folder / "attempts"
    load = TokenPlace.load

    def counts(place):
        with counted.open("a") as stream:
            stream.write("!")
        return load(place)

    monkeypatch.setattr(TokenPlace, "load", counts)

    def is_refused():
        for _ in range(3):
            with pytest.raises(RefusedPinError, match=f"{SAID_PIN}.*it is not tried again before SIGHUP"):
                node.keys.open()

    for told in range(2):
        node.told = told
        assert in_child(is_refused)
        assert in_child(is_refused)
        is_refused()
        assert counted.read_text() == "!" * (told + 1)
    (setup.folder / "pin").write_text(PIN)
    is_refused()
    node.told += 1
    with node.keys.open() as file:
        assert "link/bank-b/zak" in file
    assert counted.read_text() == "!!!"
