"""A desk's home: its identity, its line to the hub, its keys, and the folders in which this client keeps things."""

import contextlib
import fcntl
import os
import tomllib
from functools import cached_property
from pathlib import Path

import grpc
from keys import OPENS, SIGNS, SigningKey, read_key, secret_of
from sealing import OpeningKey, Unopened, unseal

FRAME_BYTES_MAX = 32 << 20


class Home:
    """A folder with an identity, its certificate and keys: what `resguardo certs dev` and `office accept` make."""

    def __init__(self, folder):
        self.folder = Path(folder)
        settings = tomllib.loads((self.folder / "desk.toml").read_text())
        self.identity, self.hub = settings["identity"], settings["hub"]
        self.server_name = settings["server_name"]
        self.office = self.identity.split(":")[3]

    def connect(self):
        """[1] Opens a channel: mutual TLS, and pings that notice a dead line."""
        tls = {name: (self.folder / "tls" / f"{name}.pem").read_bytes() for name in ("ca", "cert", "key")}
        credentials = grpc.ssl_channel_credentials(tls["ca"], tls["key"], tls["cert"])
        options = [
            ("grpc.ssl_target_name_override", self.server_name),
            ("grpc.max_receive_message_length", FRAME_BYTES_MAX),
            ("grpc.keepalive_time_ms", 20_000),
            # For a line below 150 kbit/s: 90_000.
            ("grpc.keepalive_timeout_ms", 8_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
        return grpc.secure_channel(self.hub, credentials, options)

    @cached_property
    def attended(self):
        """Signs what a person answers for."""
        return SigningKey(read_key(self.folder / "keys" / "attended", SIGNS))

    @cached_property
    def unattended(self):
        """Signs what the machine states by itself."""
        return SigningKey(read_key(self.folder / "keys" / "unattended", SIGNS))

    @cached_property
    def opening(self):
        """Open what is sealed to the office: its present key, and former ones, each sealed to the one after it."""
        keys = [OpeningKey(read_key(self.folder / "keys" / "office", OPENS))]
        for path in sorted((self.folder / "keys").glob("former.*.*"), key=lambda it: -int(it.name.split(".")[1])):
            # One that does not open was left by a crash: the key that it is sealed to has not come into its place.
            with contextlib.suppress(Unopened):
                keys.append(OpeningKey(secret_of(unseal(path.read_bytes(), keys)[1].decode(), OPENS)))
        return keys

    def officer(self, named=None):
        """The name and key of who states something: the officer of this id, or the only one."""
        path = self.folder / "officers" / "list.toml"
        listed = tomllib.loads(path.read_text())["officer"] if path.exists() else []
        there = [it for it in listed if "removed_unix_us" not in it and named in (None, it["id"])]
        if len(there) != 1:
            raise ValueError(f"{len(there)} officers of this desk could state it, one is expected: say --officer")
        return there[0]["name"], SigningKey(read_key(path.with_name(there[0]["id"] + ".key"), SIGNS))


class Store:
    """Files that are on the disk when `keep` returns: a folder in the home, beside those of `resguardo` itself."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, name, data):
        new = self.folder / f".{name}.new"
        with open(new, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self.rename(new.name, name)

    def rename(self, name, to):
        os.rename(self.folder / name, self.folder / to)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def locked(self):
        """Keeps other programs out that would give out numbers meanwhile."""
        with open(self.folder / ".lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def has(self, name):
        return (self.folder / name).exists()

    def read(self, name):
        return (self.folder / name).read_bytes()

    def names(self, ending):
        return sorted(path.name for path in self.folder.glob(f"*{ending}") if not path.name.startswith("."))
