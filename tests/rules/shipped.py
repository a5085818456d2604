"""What the repository may hold: known things at the top, no key, nothing large, nothing of one machine.

Looks at the files that git knows. Prints every fault and ends with 1 if there is any.
"""

import pathlib
import re
import subprocess
import sys

TOP_LEVEL = {
    ".ci", ".editorconfig", ".gitignore", ".rustfmt.toml",
    "Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "SECURITY.md",
    "benches", "certs-example", "deploy", "docs", "src", "tests",
}
MAX_BYTES = 1024 * 1024

# A marker alone may stand in code that looks for it; a marker with a body is a key.
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}")
# Written so that the rule does not find itself.
OF_ONE_MACHINE = re.compile(rb"(?<![\w.}\"])/(?:wor[k]|roo[t]|hom[e]|Users)/[\w.]|/tm[p]/w\b")


def tracked():
    listing = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True).stdout
    return [pathlib.Path(name.decode()) for name in listing.split(b"\0") if name]


def faults_of(path):
    if path.parts[0] not in TOP_LEVEL:
        yield "stands at the top level, where only known things may"
    if path.is_symlink():
        yield "is a symbolic link"
        return
    content = path.read_bytes()
    if len(content) > MAX_BYTES:
        yield f"is larger than {MAX_BYTES} bytes"
    if PRIVATE_KEY.search(content):
        yield "holds a private key"
    for found in OF_ONE_MACHINE.finditer(content):
        line = content.count(b"\n", 0, found.start()) + 1
        yield f"names a path of one machine in line {line}"


def faults_of_deploy(paths):
    readme = pathlib.Path("README.md")
    text = readme.read_text() if readme.exists() else ""
    for path in paths:
        if path.parts[0] == "deploy" and path.as_posix() not in text:
            yield f"{path}: is not mentioned in README.md"


def main():
    paths = [path for path in tracked() if path.exists()]
    faults = [f"{path}: {fault}" for path in paths for fault in faults_of(path)]
    faults += faults_of_deploy(paths)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(paths)} files looked at, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
