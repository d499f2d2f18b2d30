#!/usr/bin/python3
"""The same job in PyTorch, as a fair peer: quick.net or plain7.net, image and random digit to digit
and sum, on this machine's CPU (or, for --throughput, its GPU). Everything that makes PyTorch faster here is on: data in memory and
no DataLoader, channels_last, bf16 autocast, denormals flushed. Needs PyTorch 1.13
(Debian: python3-torch). Knows nothing of our programs; prints one line of JSON.

  peer_pytorch.py                              train until the target, checked every quarter epoch;
                                               exit status 1 where it is not reached
  peer_pytorch.py --throughput --net plain7    images per second of whole training steps
"""
import argparse
import gzip
import json
import os
import statistics
import struct
import sys
import time


def process_age():
    """Seconds since this process was started, by the kernel's own book."""
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with the IDX .gz files of MNIST")
    parser.add_argument("--net", choices=["quick", "plain7"], default="quick")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--optimizer", choices=["adamw", "nesterov", "sgd"], default="adamw")
    parser.add_argument("--rate", type=float, help="highest of the one cycle (0.01 for adamw, else 0.1)")
    parser.add_argument("--epochs", type=float, default=1.25, help="length of the one cycle")
    parser.add_argument("--most", type=float, default=4, help="epochs after which to give up")
    parser.add_argument("--digit", type=float, default=99.0, help="target, per cent")
    parser.add_argument("--sum", type=float, default=98.9, help="target, per cent")
    parser.add_argument("--layout", choices=["nchw", "channels_last"], default="channels_last")
    parser.add_argument("--throughput", action="store_true")
    parser.add_argument("--seconds", type=float, default=10, help="of --throughput")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: --throughput only")
    parser.add_argument("--compile", action="store_true", help="torch.compile the whole forward pass")
    parser.add_argument("--peak", action="store_true", help="only measure large bf16 matrix products on the GPU")
    return parser.parse_args()


args = options()
import torch  # noqa: E402  (after the options, so that --help is quick)
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

# --- data --------------------------------------------------------------------------------------


def folder():
    places = [args.data, os.environ.get("MNIST_DIR"), "data/mnist", "../shared/mnist"]
    for place in filter(None, places):
        if os.path.exists(os.path.join(place, "train-images-idx3-ubyte.gz")):
            return place
    sys.exit("no train-images-idx3-ubyte.gz in --data, $MNIST_DIR, data/mnist, ../shared/mnist")


def idx(path):
    with gzip.open(path) as file:
        raw = bytearray(file.read())
    dimensions = raw[3]
    shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
    return torch.frombuffer(raw, dtype=torch.uint8, offset=4 + 4 * dimensions).view(*shape)


def split(place, name):
    images = idx(os.path.join(place, f"{name}-images-idx3-ubyte.gz"))
    labels = idx(os.path.join(place, f"{name}-labels-idx1-ubyte.gz"))
    return images.view(-1, 1, 28, 28), labels.long()

# --- networks ----------------------------------------------------------------------------------


class Quick(nn.Module):
    """model/nets/quick.net: the sum head sees the outer product of guess and digit."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 5), nn.MaxPool2d(2), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 5), nn.MaxPool2d(2), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
            nn.Flatten(), nn.Linear(512, 10))  # fmt: skip
        self.sum = nn.Linear(100, 19)

    def forward(self, images, digits):
        logits = self.trunk(images)
        pairs = logits.softmax(1)[:, :, None] * digits[:, None, :]
        return logits, self.sum(pairs.flatten(1))

    def groups(self, rate):
        return [
            {"params": self.trunk.parameters(), "lr": rate},
            {"params": self.sum.parameters(), "lr": 5 * rate},
        ]


class Plain7(nn.Module):
    """model/nets/plain7.net."""

    def __init__(self):
        super().__init__()
        layers = []
        for channels, out, padding, pool in [
            (1, 32, 1, False), (32, 64, 1, True), (64, 128, 1, False), (128, 256, 1, True),
            (256, 512, 0, False), (512, 1024, 0, False)]:  # fmt: skip
            layers += [nn.Conv2d(channels, out, 3, padding=padding), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(2)] if pool else []
        self.trunk = nn.Sequential(*layers, nn.Conv2d(1024, 10, 3), nn.Flatten())
        self.hidden, self.sum = nn.Linear(20, 128), nn.Linear(128, 19)

    def forward(self, images, digits):
        logits = self.trunk(images)
        both = torch.cat([logits, digits.to(logits.dtype)], 1)
        return logits, self.sum(F.relu(self.hidden(both)))

    def groups(self, rate):
        return [{"params": self.parameters(), "lr": rate}]


def make():
    torch.manual_seed(args.seed)
    net = Quick() if args.net == "quick" else Plain7()
    count = sum(p.numel() for p in net.parameters())
    assert count == {"quick": 20393, "plain7": 6384925}[args.net], count
    if args.layout == "channels_last":
        net = net.to(memory_format=torch.channels_last)
    rate = args.rate or (0.01 if args.optimizer == "adamw" else 0.1)
    if args.throughput:
        rate /= 100  # speed does not depend on it, and the net stays finite
    if args.optimizer == "adamw":
        return net, torch.optim.AdamW(net.groups(rate), betas=(0.9, 0.99), foreach=True)
    nesterov = args.optimizer == "nesterov"
    return net, torch.optim.SGD(net.groups(rate), momentum=0.9, nesterov=nesterov, foreach=True)


# --- training ----------------------------------------------------------------------------------

onehot = torch.eye(10, device=args.device)


def forward(net, images, digits):
    images = images.float().mul_(1 / (255 * 0.3081)).sub_(0.1307 / 0.3081)
    if args.layout == "channels_last":
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "bf16"):
        digit, total = net(images, onehot[digits])
    return digit.float(), total.float()


def step(net, optimizer, images, labels):
    digits = torch.randint(10, labels.shape, device=args.device)
    digit, total = forward(net, images, digits)
    loss = F.cross_entropy(digit, labels) + F.cross_entropy(total, labels + digits)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


@torch.inference_mode()
def evaluate(net, images, labels, digits):
    net.eval()
    hits = [0, 0]
    for at in range(0, len(labels), 1000):
        part = slice(at, at + 1000)
        digit, total = forward(net, images[part], digits[part])
        hits[0] += (digit.argmax(1) == labels[part]).sum().item()
        hits[1] += (total.argmax(1) == labels[part] + digits[part]).sum().item()
    net.train()
    return [100 * count / len(labels) for count in hits]


def train():
    place = folder()
    images, labels = split(place, "train")
    test_images, test_labels = split(place, "t10k")
    test_digits = torch.randint(10, test_labels.shape, generator=torch.Generator().manual_seed(7))
    net, optimizer = make()
    cycle = int(args.epochs * len(labels) / args.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=cycle,
        cycle_momentum=False)  # fmt: skip
    quarter = len(labels) // (4 * args.batch)
    ready, training, done, checks = process_age(), 0.0, 0, []
    reached, most = False, int(args.most * len(labels) / args.batch)
    while not reached and done < most:
        order = torch.randperm(len(labels))
        for at in range(0, len(labels) - args.batch + 1, args.batch):
            begun = time.perf_counter()
            here = order[at : at + args.batch]
            step(net, optimizer, images[here], labels[here])
            done += 1
            if done < cycle:  # from there on the last rate goes on
                schedule.step()
            training += time.perf_counter() - begun
            if done % quarter == 0 or done in (cycle, most):
                digit, total = evaluate(net, test_images, test_labels, test_digits)
                checks.append([round(done * args.batch / len(labels), 3), digit, total])
                reached = digit >= args.digit and total >= args.sum
            if reached or done == most:
                break
    return reached, {
        "seconds_to_target": round(process_age(), 3) if reached else None,
        "seconds_before_training": round(ready, 3),
        "seconds_training": round(training, 3),
        "images_per_second": round(done * args.batch / training, 1),
        "epochs": round(done * args.batch / len(labels), 3),
        "digit_accuracy": round(digit / 100, 4),
        "sum_accuracy": round(total / 100, 4),
        "checks": checks,
    }


def wait():
    if args.device == "cuda":
        torch.cuda.synchronize()


def throughput():
    """Data on the device; steps in stretches of 20, so that a GPU is not waited for after each."""
    global forward
    net, optimizer = make()
    net.to(args.device)
    if args.compile:
        forward = torch.compile(forward)
    images = torch.randint(256, (8 * args.batch, 1, 28, 28), dtype=torch.uint8, device=args.device)
    labels = torch.randint(10, (8 * args.batch,), device=args.device)
    steps = 20 if args.device == "cuda" else 1
    times = []
    begun = time.perf_counter()
    while time.perf_counter() - begun < args.seconds or len(times) < 5:
        wait()
        before = time.perf_counter()
        for _ in range(steps):
            here = torch.randint(len(labels), (args.batch,), device=args.device)
            step(net, optimizer, images[here], labels[here])
        wait()
        times.append((time.perf_counter() - before) / steps)
    times = times[len(times) // 5 :]  # the first fifth warms up
    return {
        "images_per_second": round(args.batch / statistics.median(times), 1),
        "images_per_second_best": round(args.batch / min(times), 1),
        "steps": len(times) * steps,
    }


def peak(size=8192, times=20):
    """bf16 matrix products of random data: TFLOP/s, the best of five stretches."""
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    best = 0.0
    for _ in range(6):
        torch.cuda.synchronize()
        before = time.perf_counter()
        for _ in range(times):
            a @ b
        torch.cuda.synchronize()
        best = max(best, 2e-12 * size**3 * times / (time.perf_counter() - before))
    return {"tflops": round(best, 1), "gpu": torch.cuda.get_device_name()}


def main():
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    if args.peak:
        print(json.dumps({"peer": f"PyTorch {torch.__version__}", **peak()}))
        return 0
    result = {"peer": f"PyTorch {torch.__version__}", "net": args.net,
              "precision": args.precision, "batch": args.batch, "device": args.device, "threads": args.threads,
              "seed": args.seed, "optimizer": args.optimizer}  # fmt: skip
    reached, figures = (True, throughput()) if args.throughput else train()
    print(json.dumps({**result, **figures}))
    return 0 if reached else 1


sys.exit(main())
