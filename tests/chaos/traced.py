"""A short run on one machine of which some programs are traced; many go beside each other."""
import argparse
import concurrent.futures
import signal
import time

from outcome import processes
from pipeline import Pipeline

NAMES = ["loader-1", "augment-1", "trainer", "evaluator-1"]
# 256 images in batches of 32: an epoch ends after 8 steps.
LIMITS = ("256", "100")


def trainer_options(steps, every):
    return ["--net", "tiny", "--precision", "f32", "--threads", "1", "--batch", "32", "--steps", str(steps), "--checkpoint-every", str(every),
            "--keep", "2", "--shift", "1", "--drain", "20", "--expect-evaluator"]  # fmt: skip


def number(text):
    """A whole number above 0: of 0 runs all would be well."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number above 0")
    return int(text)


def each(jobs, items, one):
    """Calls one(item) for all, so many beside each other. Asked to stop, it ends after those in hand; False then."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            for count, done in enumerate([pool.submit(one, item) for item in items], 1):
                done.result()
                if count % 200 == 0:
                    print(f"{count} of {len(items)}", flush=True)
        except KeyboardInterrupt:
            for again in (signal.SIGTERM, signal.SIGINT):
                signal.signal(again, signal.SIG_IGN)
            pool.shutdown(wait=False, cancel_futures=True)
            print("asked to stop", flush=True)
            return False
    return True


# Who is asked to stop ends what it started first.
signal.signal(signal.SIGTERM, signal.default_int_handler)


class Traced(Pipeline):
    def __init__(self, settings, trainer):
        super().__init__(settings.programs, settings.data, trainer, limits=LIMITS, links=False, local=True)

    def tracing(self, name):
        """Options of strace for the start of a program that is about to be; None: it is not traced. In a path,
        {pid} is the program's number, {run} its folder."""
        return None

    def command(self, name):
        words, tracing = super().command(name), self.tracing(name)
        if not tracing:
            return words
        # -D: the program is our child, and strace another's. The shell's number becomes the program's.
        places = {"run": self.run_dir, "folder": self.folder, "pid": "$$"}
        quoted = [f'"{word.format(**places)}"' for word in ["strace", "-D", "-y", *tracing]]
        return ["sh", "-c", "exec " + " ".join(quoted) + ' "$@"', "sh", *words]

    def play(self, patience, meanwhile=lambda: None):
        """To the end; raises AssertionError where it does not come."""
        for name in NAMES:
            self.start(name)
        until = time.monotonic() + patience
        while any(self.wanted.get(name) for name in self.processes):
            meanwhile()
            self.tend()
            if time.monotonic() > until:
                raise AssertionError(f"not over after {patience:.0f} s; the trainer's last line: {self.last_line('trainer')}")
            time.sleep(0.002)
        self.wait_for_tracers()

    def wait_for_tracers(self):
        until = time.monotonic() + 5
        while processes(f"strace.*{self.folder}") and time.monotonic() < until:
            time.sleep(0.02)

    def end(self):
        super().end()
        self.wait_for_tracers()
