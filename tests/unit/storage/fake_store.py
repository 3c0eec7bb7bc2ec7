"""A store with what its protocol is used for, held in memory; it can lose and refuse things."""

from __future__ import annotations

import hashlib

from pyarrow import fs


class FakeStore:
    """`objects`: contents by bucket/key; each writing of one counts as a second later."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.times: dict[str, int] = {}
        self.denied: set[str] = set()
        self.cut: dict[str, int] = {}  # reads of an object that end half way
        self.is_down = False
        self.fetched: list[str] = []

    def put(self, name: str, content: bytes) -> None:
        self.objects[name] = content
        self.times[name] = self.times.get(name, 0) + 1

    def get_file_info(self, asked: fs.FileSelector | str):
        self._require_up()
        if isinstance(asked, str):
            kind = fs.FileType.File if asked in self.objects else fs.FileType.Directory
            if not any(name.startswith(asked) for name in self.objects):
                kind = fs.FileType.NotFound
            return fs.FileInfo(asked, kind)
        below = [name for name in self.objects if name.startswith(f"{asked.base_dir}/")]
        if not below and not asked.allow_not_found:
            raise FileNotFoundError(f"no bucket {asked.base_dir}")
        return [
            fs.FileInfo(
                name.rstrip("/"),  # as pyarrow lists the marker of a folder
                fs.FileType.File,
                size=len(self.objects[name]),
                mtime_ns=self.times[name] * 10**9,
            )
            for name in below
        ]

    def open_input_file(self, name: str) -> FakeFile:
        self._require_up()
        if name not in self.objects:
            raise FileNotFoundError(f"Path does not exist '{name}'")
        if name in self.denied:
            raise OSError("AWS Error ACCESS_DENIED during HeadObject operation: No response body.")
        return FakeFile(self, name)

    def _require_up(self) -> None:
        if self.is_down:
            raise OSError("AWS Error NETWORK_CONNECTION: Couldn't connect to server")


class FakeFile:
    """An object that was opened."""

    def __init__(self, store: FakeStore, name: str) -> None:
        self._store, self._name, self._at = store, name, 0

    def size(self) -> int:
        return len(self._store.objects[self._name])

    def metadata(self) -> dict[str, bytes]:
        digest = hashlib.md5(self._store.objects[self._name], usedforsecurity=False).hexdigest()
        return {"ETag": f'"{digest}"'.encode()}

    def read(self, count: int) -> bytes:
        content = self._store.objects[self._name]
        if self._at == 0:
            self._store.fetched.append(self._name)
            if self._store.cut.get(self._name):
                self._store.cut[self._name] -= 1
                self._at = len(content)
                return content[: len(content) // 2]
        piece = content[self._at : self._at + count]
        self._at += len(piece)
        return piece
