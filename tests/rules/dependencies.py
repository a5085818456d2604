"""What the daemon may be built from: one cryptographic library, known licences, one source.

Looks at the resolved tree. Prints every fault and ends with 1 if there is any.
"""

import json
import pathlib
import re
import subprocess
import sys

# ring is the only cryptographic library; a second one would mean two sets of defects, and C code of another size.
BANNED = re.compile(r"^(openssl|openssl-sys|native-tls|aws-lc.*|boring.*|schannel|security-framework.*)$")

SOURCE = "registry+https://github.com/rust-lang/crates.io-index"

LICENCES = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CDLA-Permissive-2.0", "EUPL-1.2", "ISC", "MIT", "MIT-0", "MPL-2.0", "Unicode-3.0", "Unlicense", "Zlib",
}


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, capture_output=True, text=True).stdout


def allowed(expression):
    """An SPDX expression: one alternative of each OR must be allowed, and every part of an AND."""
    expression = expression.replace("/", " OR ")
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)

    def either():
        verdict = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            right = both()
            verdict = verdict or right
        return verdict

    def both():
        verdict = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            right = one()
            verdict = verdict and right
        return verdict

    def one():
        token = tokens.pop(0)
        if token == "(":
            verdict = either()
            tokens.pop(0)
            return verdict
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token = f"{token} WITH {tokens.pop(0)}"
        return token in LICENCES

    return either() and not tokens


def in_the_daemon(*features):
    """Names and versions of everything that is built into it or runs while it is built, on this platform."""
    tree = ["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]
    lines = cargo(*tree, *features).splitlines()
    return {tuple(line.split()[:2]) for line in lines if line}


def faults():
    built = in_the_daemon("--all-features")
    for name, version in sorted(built):
        if BANNED.match(name):
            yield f"{name} {version}: is not allowed in the daemon"
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1"))
    for package in metadata["packages"]:
        expression = package["license"]
        if expression is None:
            yield f"{package['name']} {package['version']}: names no licence"
        elif not allowed(expression):
            yield f"{package['name']} {package['version']}: its licence is not allowed: {expression}"
    for source in re.findall(r'^source = "(.*)"$', pathlib.Path("Cargo.lock").read_text(), re.MULTILINE):
        if source != SOURCE:
            yield f"Cargo.lock: a source other than {SOURCE}"


def main():
    # The rule itself is tried first, on both sides.
    assert allowed("MIT OR GPL-3.0-only") and allowed("(MIT OR Apache-2.0) AND Unicode-3.0") and allowed("MIT/Apache-2.0")
    assert not allowed("GPL-3.0-only") and not allowed("MIT AND GPL-3.0-only") and not allowed("MIT AND (GPL-3.0-only)")
    found = sorted(set(faults()))
    for fault in found:
        print(fault, file=sys.stderr)
    print(f"{len(in_the_daemon())} crates in the daemon, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
