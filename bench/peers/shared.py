"""What both comparisons share: our binary, kept running on prepared inputs, and the report."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """Our binary: one line of JSON for each line."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} ended with status {self.process.wait()} instead of an answer")
        return json.loads(line)

    def close(self):
        if self.process.poll() is None:
            self.process.communicate("quit\n", timeout=30)


def write_report(bench, metrics, file):
    """@param file  a name, - for stdout, or nothing"""
    report = json.dumps({"bench": bench, "device": device(), "commit": commit(), "metrics": metrics})
    if file == "-":
        print(report)
    elif file:
        Path(file).write_text(report + "\n")


def device():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.split(':')[1].strip()}, 1 thread"
    return "unknown CPU, 1 thread"


def commit():
    git = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return git.stdout.strip() or "unknown"  # as in an unpacked archive
