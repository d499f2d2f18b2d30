"""A run of the real programs whose processes and connections a test can treat badly.

Killed processes are started again, as systemd would; the trainer goes on with --resume."""
import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from link import Link

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOSTS = {"loader": "127.0.0.2", "augment": "127.0.0.3", "evaluator": "127.0.0.4", "watch": "127.0.0.5"}
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
DISK = 24 << 20  # bytes of the small disk: a whole run of the slice takes less


def free_ports():
    """The first of three ports, below those that the system gives to connections."""
    while True:
        port = random.SystemRandom().randrange(20000, 30000)
        try:
            for i in range(3):
                for host in ["127.0.0.1", *HOSTS.values()]:
                    socket.create_server((host, port + i)).close()
            return port
        except OSError:
            continue


def resident(pid):
    """Bytes of memory that a process holds; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            found = re.search(r"VmRSS:\s+(\d+) kB", status.read())
        return int(found[1]) << 10 if found else 0
    except OSError:
        return 0


class Pipeline:
    """The folder, the processes, who is to be started again, and the links between them."""

    def __init__(self, programs, data, trainer, limits=("2000", "500"), small_disk=False, seed=1, links=True, local=False):
        self.programs, self.data, self.trainer_options, self.limits = programs, data, trainer, limits
        self.hosts = HOSTS if links else {}  # without links: everyone connects directly
        self.local = local  # no ports at all, so that many runs go beside each other
        self.folder = tempfile.mkdtemp(prefix="digitsum-chaos-")
        self.run_dir = os.path.join(self.folder, "run")
        self.mounted = small_disk and self.mount()
        self.port = 0 if local else free_ports()
        self.links = {role: Link(host, seed) for role, host in self.hosts.items()}
        for link in self.links.values():
            for i in range(3):
                link.listen(self.port + i)
        self.processes, self.wanted, self.kills, self.starts = {}, {}, 0, 0
        self.due = {}  # when those who ended start again
        self.read = {}  # bytes of loaders' logs that were looked at
        self.held, self.frozen = [], set()  # half-open connections; processes that never go on
        self.strangers = []
        self.faked = False  # whether the processes see a clock of ours
        self.zmq_aborts, self.recorder_joined = 0, None
        self.trainer_done = False
        self.stopped = False  # whether a trainer was asked to end early

    def mount(self):
        """Puts the run's folder on a disk of its own that can be filled. False where that is not allowed."""
        os.mkdir(self.run_dir)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", self.run_dir],
                              stderr=subprocess.DEVNULL, check=False)  # fmt: skip
        return done.returncode == 0

    # --- processes ------------------------------------------------------------------------------------

    def address(self, role):
        return f"ipc://{self.folder}/control" if self.local else f"tcp://{self.hosts.get(role, '127.0.0.1')}:{self.port}"

    def command(self, name):
        role = name.split("-")[0]
        join = ["--join", self.address(role), "--name", name, "--patience", "10"]
        if role == "trainer":
            words = ["--bind", self.address(role), "--run-dir", self.run_dir, *self.trainer_options]
            if glob.glob(os.path.join(self.run_dir, "checkpoints", "step-*.safetensors")):
                words.append("--resume")
        elif role == "loader":
            # Augmenters reach it by their own link, evaluators too: the ports follow from its log.
            reach = [] if self.local else ["--host", "127.0.0.1", "--announce", self.hosts.get("augment", "127.0.0.1")]
            words = join + reach + ["--data", self.data, "--train-limit", self.limits[0], "--test-limit", self.limits[1]]
        elif role == "evaluator":
            words = join + (["--run-dir", self.run_dir] if name == "evaluator-1" else [])
        elif role == "watch":
            words = join[:2] + ["--progress"]
        else:
            words = join
        return [os.path.join(self.programs, role)] + words

    def environment(self, name):
        known = os.path.join(ROOT, "tests/support/lsan.supp")
        environment = dict(os.environ, GOMP_SPINCOUNT="0", LSAN_OPTIONS=f"suppressions={known}:print_suppressions=0")
        if self.faked:
            # Only the clock that people set jumps: the one that measures time cannot.
            environment.update(LD_PRELOAD=faketime_library(), FAKETIME_TIMESTAMP_FILE=self.clock_file(name),
                               FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1")  # fmt: skip
        return environment

    def clock_file(self, name):
        path = os.path.join(self.folder, f"clock-{name}")
        if not os.path.exists(path):
            self.set_clock(name, 0, path)
        return path

    def set_clock(self, name, seconds, path=None):
        if not os.path.isdir(self.folder):
            return  # the run is over
        path = path or self.clock_file(name)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(f"{seconds:+d}\n")
        os.rename(path + ".new", path)

    def log_path(self, name):
        return os.path.join(self.folder, f"{name}.log")

    def start(self, name):
        if name in self.processes and self.processes[name].poll() is None:  # a second one of the name, as a frozen watch
            self.processes[name].kill()
            self.processes[name].wait()
        self.wanted[name] = True
        self.starts += 1
        with open(self.log_path(name), "ab") as log:
            self.processes[name] = subprocess.Popen(self.command(name), stdout=log, stderr=log,
                                                    env=self.environment(name), cwd=ROOT)  # fmt: skip

    def refused(self, elsewhere):
        """A trainer that would go on with other weights, by (options, environment), is refused."""
        options, environment = elsewhere
        words = self.command("trainer") + options
        if "--resume" not in words:
            return
        self.starts += 1
        with open(self.log_path("trainer"), "ab") as log:
            status = subprocess.run(words, stdout=log, stderr=log, env=self.environment("trainer") | environment, cwd=ROOT, timeout=60, check=False).returncode
        if status != 2:
            raise AssertionError(f"a trainer that is to go on with {options or environment} ended with {status}, not 2: {self.last_line('trainer')}")

    def tend(self):
        """Starts again what ended and should not have, opens links to new loaders, notices the end."""
        for name, process in list(self.processes.items()):
            if name.startswith("loader"):
                self.link_loader(name)
            status = process.poll()
            if status is None or not self.wanted.get(name):
                continue
            now = time.monotonic()
            self.judge(name, status)
            if name == "trainer" and status == 0:
                self.trainer_done = True
                self.note_recorder()
                self.wanted[name] = False
                self.thaw()
            elif name != "trainer" and self.trainer_done:
                self.wanted[name] = False
            # Who left in good order was told that the run is over: it may be. The system's refusals
            # (a full disk) are not answered by trying again at once.
            elif self.due.setdefault(name, now + {0: 2.5, 1: 0.2}.get(status, 0.0)) <= now:
                del self.due[name]
                self.start(name)

    def judge(self, name, status):
        """Raises AssertionError for an end that nothing done to a run may lead to."""
        if status == -signal.SIGABRT and re.search(r"\(src/\w+\.cpp:\d+\)", self.last_line(name)):
            self.zmq_aborts += 1  # libzmq's own; whoever started the process starts it again
        elif -status in CRASHES:
            raise AssertionError(f"{name} crashed ({signal.Signals(-status).name}): {self.last_line(name)}")
        if status in (2, 3) and not (name != "trainer" and self.trainer_done):
            raise AssertionError(f"{name} ended with {status}: {self.last_line(name)}")

    def link_loader(self, name):
        with open(self.log_path(name), encoding="utf-8", errors="replace") as log:
            log.seek(self.read.get(name, 0))
            text = log.read()
            whole = text.rfind("\n") + 1
            self.read[name] = self.read.get(name, 0) + len(text[:whole].encode())
        for port in [] if not self.links else re.findall(r"tcp://127\.0\.0\.\d+:(\d+)", " ".join(re.findall(r"samples at .*", text[:whole]))):
            self.links["augment"].listen(int(port))

    def last_line(self, name):
        with open(self.log_path(name), encoding="utf-8", errors="replace") as log:
            return (log.read().strip().splitlines() or [""])[-1]

    def lines(self, name):
        with open(self.log_path(name), encoding="utf-8", errors="replace") as log:
            return log.read().splitlines()

    def note_recorder(self):
        """Whether evaluator-1, which keeps evaluations.jsonl, was part of the run before it was over first."""
        if self.recorder_joined is None:
            self.recorder_joined = any("evaluator evaluator-1 joined" in line for line in self.lines("trainer"))

    def scored_in_log(self, steps):
        log = "\n".join(self.lines("trainer"))
        return all(f" step {step} scored by " in log for step in steps)

    def complaints(self):
        """What sanitizers found, where the programs were built with them."""
        return [f"{name}: {line}" for name in self.processes for line in self.lines(name)
                if re.search(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:", line)]  # fmt: skip

    def send(self, name, number):
        process = self.processes.get(name)
        if process and process.poll() is None:
            process.send_signal(number)
            self.stopped |= name == "trainer" and number in (signal.SIGTERM, signal.SIGINT)
            self.kills += number == signal.SIGKILL
            return True
        return False

    def freeze(self, name):
        """Stops a process for good: it has joined, takes what it is sent, and never answers."""
        self.send(name, signal.SIGSTOP)
        self.frozen.add(name)

    def thaw(self):
        """At the end of the run, so that those who were frozen hear of it."""
        for name in self.frozen:
            self.send(name, signal.SIGKILL if name == "watch" else signal.SIGCONT)
            self.wanted[name] = name != "watch" and self.wanted.get(name, False)
        self.frozen.clear()

    # --- strangers ------------------------------------------------------------------------------------

    def hold(self, count):
        """Connections that never say a word, to the control and the pairs socket."""
        for i in range(count):
            try:
                self.held.append(socket.create_connection(("127.0.0.1", self.port + i % 2), timeout=1))
            except OSError:
                return

    def stranger(self, kind, seconds):
        """Starts a peer that floods the pairs socket (chatter: the control socket); see strangers.py."""
        port = self.port + (kind != "chatter")
        words = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "strangers.py"), kind, "127.0.0.1", str(port), str(seconds)]
        self.strangers.append(subprocess.Popen(words, stderr=subprocess.DEVNULL))

    def fill_disk(self, seconds):
        """Takes every byte of the small disk, and gives them back after a while."""
        path = os.path.join(self.run_dir, "ballast")
        with open(path, "wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(65536)):
                    pass
            except OSError:
                pass
        threading.Timer(seconds, lambda: os.path.exists(path) and os.unlink(path)).start()

    # --- what came of it ------------------------------------------------------------------------------

    def checkpoints(self):
        """The steps of those on disk."""
        try:
            names = os.listdir(os.path.join(self.run_dir, "checkpoints"))
        except OSError:
            return []
        return [int(name[5:-12]) for name in names if name.startswith("step-")]

    def newest_step(self):
        return max(self.checkpoints(), default=0)

    def writing_checkpoint(self):
        try:
            return any(name.startswith(".") for name in os.listdir(os.path.join(self.run_dir, "checkpoints")))
        except OSError:
            return False

    def summary(self):
        with open(os.path.join(self.run_dir, "summary.json"), encoding="utf-8") as file:
            return json.load(file)

    def evaluations(self):
        with open(os.path.join(self.run_dir, "evaluations.jsonl"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def verify(self):
        """What the program `verify` says, and whether it agrees."""
        done = subprocess.run(
            [os.path.join(self.programs, "verify"), "--run-dir", self.run_dir, "--data", self.data,
             "--train-limit", self.limits[0], "--test-limit", self.limits[1]],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # fmt: skip
        return done.returncode == 0, done.stdout.strip()

    def end(self):
        """Ends what still runs."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        for process in self.strangers:
            process.kill()
            process.wait()
        for connection in self.held:
            connection.close()
        for link in self.links.values():
            link.close()

    def remove(self):
        if self.mounted:
            subprocess.run(["umount", self.run_dir], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def faketime_library():
    """libfaketime, or None where it is not installed."""
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1") + glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    return sorted(found, key=lambda path: "MT" not in path)[0] if found else None


def find_data(programs):
    """What --data should say on this machine."""
    done = subprocess.run([os.path.join(programs, "loader"), "--find"], text=True, stdout=subprocess.PIPE, check=False)
    return done.stdout.strip() or "synthetic"
