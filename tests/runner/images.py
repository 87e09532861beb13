"""A container image of this machine's Python, Node and shell; no registry is needed."""

import shutil
import subprocess
from pathlib import Path

PROGRAMS = ("sh", "tar", "cat", "ls", "id", "sleep", "env", "python3", "node", "mount", "unshare")
FOLDERS = ("/usr/lib/python3.13", "/usr/lib/python3.12", "/usr/lib/python3.11", "/usr/lib/python3")


def libraries(program: str) -> list[str]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout.split()
    return [word for word in listed if word.startswith("/")]


def build_image(name: str, folder: Path) -> None:
    """Import an image from files of /usr."""
    root = folder / "root"
    for place in ("bin", "lib64", "tmp", "work", "usr/bin"):
        (root / place).mkdir(parents=True)
    for program in PROGRAMS:
        path = shutil.which(program, path="/usr/bin:/bin")
        if not path:
            continue
        for file in [path, *libraries(path)]:
            target = root / file.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy2(file, target)
        if not (root / "bin" / program).exists():
            (root / "bin" / program).symlink_to(f"/usr/bin/{program}")
    modules = Path("/usr/lib").glob("python3*/lib-dynload/*.so")
    for library in {file for module in modules for file in libraries(str(module))}:
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(library, target)
    for source in FOLDERS:
        if Path(source).exists():
            ignored = shutil.ignore_patterns("__pycache__", "test", "idlelib", "config-3*")
            shutil.copytree(source, root / source.lstrip("/"), symlinks=True, ignore=ignored)
    archive = folder / "root.tar"
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    subprocess.run(["podman", "import", archive, name], check=True, capture_output=True, timeout=300)
    archive.unlink()
    shutil.rmtree(root)
