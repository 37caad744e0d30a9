"""What a benchmark prints: tables in Markdown, and where they come from."""

import importlib.metadata
import os
import pathlib
import platform


def markdown_table(header, rows):
    """A table in Markdown; all columns but the first are aligned right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def versions(*packages):
    """`{package: version}` of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor():
    """Name and number of the processors of this machine."""
    name = platform.processor() or platform.machine()
    information = pathlib.Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} cores"


def describe(about):
    """One paragraph: `{title: value or dictionary}` in words."""
    parts = []
    for title, value in about.items():
        if isinstance(value, dict):
            pairs = value.items()
            value = ", ".join(f"{key} {entry}" for key, entry in pairs)
        parts.append(f"{title}: {value}")
    return f"{'; '.join(parts)}."
