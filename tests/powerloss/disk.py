"""A folder on a disk, as the operations that strace recorded make it, and what of it may survive a power cut."""
import hashlib
import os
import re

MODELS = ["strict", "journal", "zeroed", "torn", "names"]
STRING = r'"((?:\\x[0-9a-f]{2})*)"'
NAMED = r"<((?:\\x[0-9a-f]{2})*)(?:\(deleted\))?>"


def plain(text):
    return bytes.fromhex(text.replace("\\x", ""))


class Operation:
    def __init__(self, what, path, **more):
        self.what, self.path, self.more = what, path, more

    def __str__(self):
        more = {name: len(value) if isinstance(value, bytes) else value for name, value in self.more.items()}
        return f"{self.what} {self.path}" + "".join(f" {name}={value}" for name, value in more.items())


class Descriptors:
    """The places in files of one process; its threads share them."""

    def __init__(self):
        self.at, self.appends = {}, set()


def operations_of(call, words, result, descriptors, folder):
    """The operations on files in `folder` that one call, which succeeded, comes to."""

    def inside(path):
        path = os.path.normpath(path)
        return os.path.relpath(path, folder) if path == folder or path.startswith(folder + "/") else None

    strings = [plain(text) for text in re.findall(STRING, words)]
    bare = re.sub(STRING, '""', words)
    at = re.match(r"(\w+)(?:" + NAMED + ")?", bare)  # the first argument, where it is a descriptor
    if call in ("openat", "mkdirat", "unlinkat", "renameat", "renameat2", "linkat"):
        bases = [plain(text).decode() for text in re.findall(r"(?:AT_FDCWD|\d+)" + NAMED, bare)]
        paths = [inside(os.path.join(base, name.decode(errors="replace"))) for base, name in zip(bases, strings)]
    elif call in ("mkdir", "unlink", "rmdir", "rename", "link", "truncate"):
        paths = [inside(name.decode(errors="replace")) for name in strings]  # the folder's are absolute
    else:
        paths = [inside(plain(at[2]).decode(errors="replace"))] if at and at[2] else [None]
    if call == "openat":
        descriptor = int(re.match(r"\d+", result)[0])
        descriptors.at[descriptor] = 0
        descriptors.appends.discard(descriptor)
        if "O_APPEND" in words:
            descriptors.appends.add(descriptor)
        if paths[0] is not None and "O_DIRECTORY" not in words:
            return [Operation("create", paths[0])] * ("O_CREAT" in words) + [Operation("resize", paths[0], size=0)] * ("O_TRUNC" in words)
        return []
    descriptor = int(at[1]) if at and at[1].isdigit() else None
    if call == "close":
        descriptors.at.pop(descriptor, None)
    elif call == "lseek":
        descriptors.at[descriptor] = int(result.split()[0])
    elif call == "read":
        descriptors.at[descriptor] = descriptors.at.get(descriptor, 0) + int(result.split()[0])
    if not paths or paths[0] is None or call in ("close", "lseek", "read"):
        return []
    if call == "write":
        data = strings[0][: int(result.split()[0])]
        if descriptor in descriptors.appends:
            return [Operation("write", paths[0], offset=None, data=data)]
        offset = descriptors.at[descriptor]
        descriptors.at[descriptor] = offset + len(data)
        return [Operation("write", paths[0], offset=offset, data=data)]
    if call == "pwrite64":
        return [Operation("write", paths[0], offset=int(bare.split(", ")[-1]), data=strings[0][: int(result.split()[0])])]
    if call in ("ftruncate", "truncate"):
        return [Operation("resize", paths[0], size=int(bare.split(", ")[-1]))]
    if call in ("mkdir", "mkdirat"):
        return [Operation("mkdir", paths[0])]
    if call in ("unlink", "unlinkat", "rmdir"):
        return [Operation("unlink", paths[0])]
    if call in ("rename", "renameat", "renameat2", "link", "linkat"):
        return [Operation(call[:6] if call[0] == "r" else "link", paths[0], to=paths[1])]
    if call in ("fsync", "fdatasync"):
        return [Operation("sync", paths[0])]
    raise ValueError(f"powerloss does not know what {call} does to {paths[0]}")


def read_traces(paths, folder):
    """The operations of all threads by the time at which they were done. A file `….N.THREAD` of strace -ff; N is
    the same for the threads of one process."""
    lines = []
    for path in paths:
        process = path.rsplit(".", 1)[0]
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                if found := re.match(r"([\d.]+) (\w+)\((.*)\) += (\S.*?) <([\d.]+)>$", line):
                    begin, call, words, result, lasted = found.groups()
                    if not result.startswith("-1"):
                        lines.append((float(begin) + float(lasted), process, call, words, result))
    processes, operations = {}, []
    for _, process, call, words, result in sorted(lines):
        descriptors = processes.setdefault(process, Descriptors())
        operations += operations_of(call, words, result, descriptors, folder)
    return operations


class File:
    """What is in it, what of that is on the disk, and the writes since the last sync."""

    def __init__(self):
        self.data, self.synced = b"", b""
        self.writes = []  # (the data before, offset, written) since the last sync
        self.dirty = []  # (begin, end) since the last sync

    def write(self, offset, data):
        offset = len(self.data) if offset is None else offset
        self.writes.append((self.data, offset, data))
        self.dirty.append((offset, offset + len(data)))
        self.data = spliced(self.data, offset, data)

    def resize(self, size):
        if size > len(self.data):
            self.dirty.append((len(self.data), size))
        self.data = self.data[:size].ljust(size, b"\0")
        self.synced = self.synced[:size]
        self.writes = []

    def sync(self):
        self.synced, self.writes, self.dirty = self.data, [], []

    def survives(self, model):
        if model == "strict":
            return self.data
        if model == "torn" and self.writes:
            before, offset, data = self.writes[-1]
            return spliced(before, offset, data[: len(data) // 2])
        if model == "torn":
            return self.data
        if model == "zeroed":
            zeroed = self.data
            for begin, end in self.dirty:
                zeroed = spliced(zeroed, begin, bytes(max(0, min(end, len(self.data)) - begin)))
            return zeroed
        return self.synced


def spliced(data, offset, piece):
    return data[:offset].ljust(offset, b"\0") + piece + data[offset + len(piece) :]


class State:
    """A folder that can be made: {path: file's number, None for a folder}, and what is in each file."""

    def __init__(self, names, files):
        self.names, self.files = names, files
        numbers, text = {}, hashlib.sha256()
        for path in sorted(names):
            number = names[path]
            link = numbers.setdefault(number, len(numbers)) if number is not None else "folder"
            text.update(f"{path}\0{link}\0".encode() + (hashlib.sha256(files[number]).digest() if number is not None else b""))
        self.digest = text.digest()

    def write(self, folder):
        made = {}
        for path in sorted(self.names):
            number, target = self.names[path], os.path.normpath(os.path.join(folder, path))
            if number is None:
                os.makedirs(target, exist_ok=True)
            elif number in made:
                os.link(made[number], target)
            else:
                with open(target, "wb") as file:
                    file.write(self.files[number])
                made[number] = target


class Disk:
    CALLS = ["openat", "close", "lseek", "read", "write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "truncate", "fallocate",
             "copy_file_range", "sendfile", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat",
             "rmdir", "mkdir", "mkdirat", "fsync", "fdatasync", "sync_file_range", "msync"]  # fmt: skip

    def __init__(self):
        self.names = {}  # path: a File, None for a folder
        self.kept = {}  # folder: its names when it was synced last

    def apply(self, operation):
        path, more = operation.path, operation.more
        if operation.what == "create":
            self.names.setdefault(path, File())
        elif operation.what == "mkdir":
            self.names[path] = None
        elif operation.what == "write":
            self.names[path].write(more["offset"], more["data"])
        elif operation.what == "resize":
            self.names[path].resize(more["size"])
        elif operation.what == "unlink":
            del self.names[path]
        elif operation.what == "link":
            self.names[more["to"]] = self.names[path]
        elif operation.what == "rename" and self.names[path] is not self.names.get(more["to"]):
            self.names[more["to"]] = self.names.pop(path)
        elif operation.what == "sync" and self.names[path] is not None:
            self.names[path].sync()
        elif operation.what == "sync":
            self.kept[path] = {name: file for name, file in self.names.items() if name != path and (os.path.dirname(name) or ".") == path}

    def state(self, model):
        names = dict(self.names)
        if model == "names":
            names = {path: self.names[path] for path in ["."] if path in self.names}
            for folder in sorted(self.kept):
                if folder in names:  # and its own name is there
                    names.update(self.kept[folder])
        numbers, files = {}, {}
        for path, file in names.items():
            if file is not None:
                numbers[path] = id(file)
                files[id(file)] = file.survives("journal" if model == "names" else model)
        return State({path: numbers.get(path) for path in names}, files)
