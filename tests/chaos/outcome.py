"""What a run has come to, and what must be so once its trainer has ended with status 0."""
import hashlib
import json
import os
import re
import subprocess

# What a run may leave in its folder.
LEFT = re.compile(r"(settings|summary)\.json|trainer\.lock|evaluations\.jsonl|batches\.txt|best\.safetensors|ballast"
                  r"|checkpoints/step-\d+\.safetensors|events/events\.out\.tfevents[\w.-]*")  # fmt: skip


class Outcome:
    """The weights, the chain over the batches, the figures and the state of each scored step, the best step."""

    def __init__(self, run):
        summary = run.summary()
        assert summary["finished"], "the run did not finish"
        lines = run.evaluations() if run.recorder_joined or os.path.exists(os.path.join(run.run_dir, "evaluations.jsonl")) else []
        steps = [line["step"] for line in lines]
        again = sorted(step for step in set(steps) if steps.count(step) > 1)
        assert not again, f"evaluated twice: {again}"
        self.weights, self.chain, self.best = summary["weights_sha256"], summary["chain_sha256"], summary["best_step"]
        self.files = {line["step"]: line["checkpoint_sha256"] for line in lines}
        self.figures = {line["step"]: (line["digit_hits"], line["sum_hits"], line["weights_sha256"]) for line in lines}


def safetensors(path):
    """The metadata of a checkpoint, and the SHA-256 of its state as `weights_sha256` has it: weights, then ema."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    metadata = header.pop("__metadata__")
    # In the order of model/net.h: what is trained, then the running statistics.
    tensors = sorted(header.items(), key=lambda item: (item[0].startswith("ema."), ".running_" in item[0], item[1]["data_offsets"]))
    digest = hashlib.sha256()
    for name, tensor in tensors:
        if not name.startswith("moment"):
            digest.update(data[slice(*tensor["data_offsets"])])
    return metadata, digest.hexdigest()


def check_best(run, outcome):
    """The best is the highest sum of both accuracies, of equal ones the lowest step; its file holds that state."""
    best = min(outcome.figures, key=lambda step: (-sum(outcome.figures[step][:2]), step))
    assert outcome.best == best, f"best_step is {outcome.best}, and step {best} is the best"
    metadata, state = safetensors(os.path.join(run.run_dir, "best.safetensors"))
    assert int(metadata["step"]) == best, f"best.safetensors is of step {metadata['step']}, and step {best} is the best"
    assert state == outcome.figures[best][2], f"best.safetensors has another state than the scored one of step {best}"
    with open(os.path.join(run.run_dir, "best.safetensors"), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert digest == outcome.files[best], f"best.safetensors is another file than the checkpoint of step {best}"


def processes(words):
    """Whether there is a process with these words in its command."""
    return subprocess.run(["pgrep", "-f", words], stdout=subprocess.DEVNULL, check=False).returncode == 0


def check_left(run):
    found = [os.path.relpath(os.path.join(folder, name), run.run_dir) for folder, _, names in os.walk(run.run_dir) for name in names]
    left = [name for name in found if not LEFT.fullmatch(name)]
    assert not left, f"left behind: {left}"
    assert not processes(run.folder), "a process is left"


def check(run, calm):
    """Holds a disturbed run, whose trainer ended with status 0, against the calm one."""
    outcome = Outcome(run)
    assert outcome.weights == calm.weights, f"other weights: {outcome.weights}, calm {calm.weights}"
    assert outcome.chain == calm.chain, f"another chain: {outcome.chain}, calm {calm.chain}"
    missing = sorted(set(calm.figures) - set(outcome.figures))
    # Where evaluator-1, which alone keeps lines, joined no trainer in time and was not waited for, another has
    # scored for it, and the trainer's log is all there is.
    unrecorded = missing and not run.recorder_joined and run.scored_in_log(missing)
    assert not missing or unrecorded, f"never evaluated: {missing}"
    # A trainer that is told to stop writes a checkpoint of the step in hand.
    extra = sorted(set(outcome.figures) - set(calm.figures))
    assert run.stopped or not extra, f"evaluated, but no checkpoint of the calm run: {extra}"
    if not unrecorded:
        unscored = sorted(set(run.checkpoints()) - set(outcome.figures))
        assert not unscored, f"a checkpoint without a line: {unscored}"
        other = [step for step in calm.figures if outcome.figures[step] != calm.figures[step]]
        assert not other, f"evaluated to other figures: {other}"
        check_best(run, outcome)
    complaints = run.complaints()
    assert not complaints, f"{len(complaints)} complaints, the first: {complaints[0]}"
    agrees, words = run.verify()
    assert agrees, f"verify: {words}"
    check_left(run)
