#!/usr/bin/env python3
"""Start Atelier with nothing but Python installed.

The first start makes ``.venv`` beside this file and installs the pinned packages into it; a later
one sees by a stamp that nothing has changed and goes straight on. Then the environment's own
Python takes over: ``python -m webui.cli COMMAND ...``, or pytest for ``test``.

Only the standard library is used, and the file parses on Python 3.6, so that an old Python can say
what is wrong instead of showing a syntax error.
"""

import contextlib
import hashlib
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path


def check_python(version: "tuple[int, ...]") -> None:
    """Stop with a clear message where Python is too old for the packages that we need."""
    if version < (3, 11):
        sys.exit(
            "Atelier needs Python 3.11 or newer; this is Python {}.{}.\n"
            "  Install a newer one and start again with it, for example: "
            "python3.12 launch.py".format(*version)
        )


check_python(sys.version_info[:2])

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "atelier.json"  # written last: what is completely installed
UNFINISHED = VENV / "unfinished"  # there while packages are being unpacked
RUN, TEST = "requirements.lock", "requirements-test.lock"

COMMANDS = ("serve", "setup", "test", "generate", "train", "inspect", "bench")
USAGE = """usage: python3 launch.py [COMMAND] [flags]

  (no command)   serve the page and the HTTP routes on http://127.0.0.1:7860
  setup          only install; --tests installs what the tests need as well
  test           run the tests; what follows goes to pytest
  generate       draw without a page
  train          make a file from pictures, without a page
  inspect        say what model files are
  bench          measure this machine

  --torch-index-url URL   take PyTorch from this package index (another CUDA, ROCm, CPU only)

Flags of a command: python3 launch.py COMMAND --help, once set up."""

GIB = 1 << 30
SPACE = 3 * GIB  # the smallest build of PyTorch and everything else, with room to unpack
SPACE_CUDA = 10 * GIB  # the same with the CUDA build, which Linux gets unless told otherwise

NO_SPACE = "Free some space and start again."
NO_NETWORK = """Check the network or the proxy (HTTPS_PROXY) and start again. With no network:
  let `pip download -r requirements.lock -d wheels` fill a folder elsewhere, bring it here,
  and start with PIP_NO_INDEX=1 PIP_FIND_LINKS=wheels in the environment."""
NO_BUILD = """Python 3.11, 3.12 and 3.13 have all of them on 64-bit Linux, Windows and macOS (Apple
  silicon). With PIP_NO_INDEX set, the wheel folder must hold every line of requirements.lock."""
CAUSES = {
    r"No space left|not enough space": ("the disk is full", NO_SPACE),
    r"NewConnectionError|ConnectTimeout|ReadTimeout|name resolution|getaddrinfo|ProxyError|"
    r"Network is unreachable|Connection refused|dns error|error sending request": (
        "the package index cannot be reached",
        NO_NETWORK,
    ),
    r"No matching distribution found|because there (is|are) no|has no wheels": (
        "a package has no build for this Python and this system",
        NO_BUILD,
    ),
}
"""What an installer says, what that means, and what to do about it."""


class SetupError(Exception):
    """The set-up cannot go on; ``hint`` says what the person can do."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


# ----------------------------------------------------------------------- the story


def main(arguments: list[str]) -> int:
    """Set up what is missing, then hand over to the program."""
    try:
        return start(*taken(arguments, "--torch-index-url"))
    except SetupError as error:
        print(f"atelier: {error}\n  {error.hint}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\natelier: stopped; the next start repairs what is half done", file=sys.stderr)
    return 1


def start(arguments: list[str], torch_index: str | None) -> int:
    """Carry out one command line, from which ``--torch-index-url`` has been taken."""
    named = bool(arguments) and arguments[0] in COMMANDS
    command, flags = (arguments[0], arguments[1:]) if named else ("serve", arguments)
    lock = TEST if command == "test" or (command == "setup" and "--tests" in flags) else RUN
    asks_help = bool({"-h", "--help"} & set(flags))
    if asks_help and (command == "setup" or not is_ready(lock, torch_index)):
        print(USAGE)
        return 0
    if torch_index == "" or (command == "setup" and not set(flags) <= {"--tests"}):
        print(USAGE, file=sys.stderr)
        return 2
    set_up(lock, torch_index)
    if command != "setup":
        return hand_over(command, flags)
    print("Atelier is set up. Start it with: python3 launch.py")
    return 0


def taken(arguments: list[str], option: str) -> tuple[list[str], str | None]:
    """Take ``option VALUE`` or ``option=VALUE`` out of the arguments."""
    rest, value = list[str](), None
    waiting = iter(arguments)
    for argument in waiting:
        name, equals, given = argument.partition("=")
        if name == option:
            value = given if equals else next(waiting, "")
        else:
            rest.append(argument)
    return rest, value


def set_up(lock: str, torch_index: str | None) -> None:
    """Make the environment hold what ``lock`` names, unless the stamp says that it does."""
    if is_ready(lock, torch_index):
        return
    with one_at_a_time():
        if is_ready(lock, torch_index):
            return  # another start did it while this one waited
        before = stamp().get("torch_index_url")
        torch_index = torch_index or before
        fresh = not is_sound()
        check_space(shutil.disk_usage(ROOT).free, fresh=fresh, torch_index=torch_index)
        if fresh:
            make_environment()
        STAMP.unlink(missing_ok=True)
        if torch_index and (fresh or torch_index != before):
            print(f"PyTorch from {torch_index}")
            install("--force-reinstall", "--no-deps", "--index-url", torch_index, pinned("torch"))
        others = ["--extra-index-url", torch_index] if torch_index else []
        install(*others, "-r", str(ROOT / lock))
        UNFINISHED.unlink(missing_ok=True)
        compile_all()
        done = {name: fingerprint(name) for name in (RUN, lock)}  # TEST holds all that RUN holds
        STAMP.write_text(json.dumps({**done, "torch_index_url": torch_index}), encoding="utf-8")


def hand_over(command: str, flags: list[str]) -> int:
    """Go on as the environment's own Python; on POSIX this process becomes it."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    )
    environment["PYTHONUTF8"] = "1"
    line = [str(python()), "-P", "-m", "webui.cli", command, *flags]  # -P: not what lies in cwd
    if command == "test":
        os.chdir(ROOT)
        cores = ["--numprocesses=auto", "--dist=loadfile"]  # what follows may say otherwise
        line = [str(python()), "-m", "pytest", *cores, *flags]
        browser = find_chromium()
        print(
            f"Browser tests: {browser or 'no Chromium found; CHROMIUM=path names one'}", flush=True
        )
    if os.name != "nt":
        os.execve(line[0], line, environment)
    try:
        return subprocess.call(line, env=environment)
    except KeyboardInterrupt:
        return 1


# ------------------------------------------------------------- what is there already


def is_ready(lock: str, torch_index: str | None) -> bool:
    """Tell whether the environment is complete; reads two small files and starts nothing."""
    found = stamp()
    same_torch = torch_index in (None, found.get("torch_index_url"))
    return same_torch and found.get(lock) == fingerprint(lock) and python().is_file()


def stamp() -> dict[str, str | None]:
    """Return what was completely installed: a fingerprint for each lock; empty if unsure."""
    try:
        return {} if UNFINISHED.exists() else dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def fingerprint(lock: str) -> str:
    """Return a hash of a lock and of the Python that its packages were installed for."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return hashlib.sha256(f"{sys.version_info[:2]} {text}".encode()).hexdigest()


def is_sound() -> bool:
    """Tell whether the environment can be added to: whole, working and of this Python."""
    if UNFINISHED.exists() or not python().is_file():
        return False
    question = "import sys; print(sys.version_info[:2])" + ("" if uv() else "; import pip")
    answer = subprocess.run([python(), "-c", question], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.strip() == str(sys.version_info[:2])


def python() -> Path:
    """Return the path of the environment's own Python."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def uv() -> str | None:
    """Return the path of uv, unless pip has been told where to look, which uv does not read."""
    told = ("PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_INDEX_URL")
    return None if any(os.environ.get(name) for name in told) else shutil.which("uv")


def pinned(package: str) -> str:
    """Return the line of the lock that names a package, such as ``torch==2.13.0``."""
    lines = (ROOT / RUN).read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith(f"{package}=="))


# -------------------------------------------------------------------- installation


def check_space(free: int, *, fresh: bool, torch_index: str | None) -> None:
    """Stop before a disk that is too small is filled; warn where it may turn out so."""
    needed = SPACE if fresh else SPACE / 10
    if free < needed:
        message = f"{free / GIB:.1f} GiB are free in {ROOT}, and {needed / GIB:.1f} GiB are needed"
        raise SetupError(message, hint="Free some space, or move the folder to another disk.")
    if fresh and sys.platform == "linux" and free < SPACE_CUDA and not torch_index:
        print(
            f"note: {free / GIB:.1f} GiB are free; PyTorch with CUDA may want {SPACE_CUDA // GIB}."
            " Its CPU build is small:\n  give the index that has it with --torch-index-url."
        )


def make_environment() -> None:
    """Make ``.venv``, throwing away what is left of an unfinished or outdated one."""
    print(f"Making {VENV} with Python {sys.version.split()[0]}", flush=True)
    fast = uv()
    line = [fast, "venv", "--clear", "-p", sys.executable] if fast else None
    line = [*(line or [sys.executable, "-m", "venv", "--clear"]), str(VENV)]
    made = subprocess.run(line, capture_output=True, text=True, check=False)
    if made.returncode:
        message = f"{VENV} cannot be made:\n  {(made.stderr or made.stdout).strip()}"
        raise SetupError(message, hint="On Debian and Ubuntu: sudo apt install python3-venv")


def install(*what: str) -> None:
    """Install packages into the environment, showing which one and how many of how many.

    Raises:
        SetupError: It failed; says why in the words of ``CAUSES`` where they fit.
    """
    fast = uv()
    line = [str(python()), "-m", "pip", "install", "--no-compile", "--no-input"]
    line += ["--progress-bar", "off"]
    if fast:
        line = [
            fast,
            "pip",
            "install",
            "-p",
            str(python()),
            "--index-strategy",
            "unsafe-best-match",
        ]
    with subprocess.Popen(
        [*line, *what],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUTF8": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    ) as process:
        try:
            said = follow(process, total=count(Path(what[-1])), echo=bool(fast))
        except KeyboardInterrupt:
            process.terminate()  # it was told as well, but may be slow to end,
            process.wait()  # and the next start must not meet it
            raise
    if process.returncode:
        raise explained("\n".join(said))


def count(lock: Path) -> int:
    """Return how many packages a lock names for every system; 1 if it is no file."""
    text = lock.read_text(encoding="utf-8") if lock.is_file() else "=="
    return sum("==" in line and ";" not in line for line in text.splitlines())


def follow(process: "subprocess.Popen[str]", *, total: int, echo: bool) -> list[str]:
    """Print what the installer is at, and return all that it said."""
    lines = queue.Queue[str | None]()
    threading.Thread(target=pump, args=(process, lines), daemon=True).start()
    said, seen, unpacking = list[str](), 0, 0
    while True:
        try:
            line = lines.get(timeout=5)
        except queue.Empty:
            if unpacking:
                print(f"  unpacked {installed()} of {unpacking} packages", flush=True)
            continue
        if line is None:
            return said
        said.append(line)
        package = re.match(
            r"\s*(?:Collecting|Processing|Requirement already satisfied:) (\S+)", line
        )
        size = re.match(r"\s*Downloading \S+ (\([\d.]+ [MG]B)", line)
        if package:
            seen += 1
            print(f"  [{seen:>3}/{max(total, seen)}] {Path(package[1]).name}", flush=True)
        elif size:
            print(f"            {size[1]} to fetch)", flush=True)
        elif line.startswith("Installing collected packages:"):
            UNFINISHED.touch()  # from here on a kill leaves a half-made environment
            unpacking = installed() + line.count(",") + 1
            print("  all fetched; unpacking", flush=True)
        elif echo:
            print(f"  {line}", flush=True)


def pump(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    """Move the installer's lines into a queue, where waiting for the next one can time out."""
    for line in process.stdout or ():
        lines.put(line.rstrip())
    lines.put(None)


def installed() -> int:
    """Return how many packages the environment holds so far."""
    return sum(1 for _ in site_packages().glob("*.dist-info"))


def compile_all() -> None:
    """Compile what was installed on all cores; installers use one, or leave it to every start."""
    print("  all there; preparing a fast start", flush=True)
    line = [str(python()), "-m", "compileall", "-qq", "-j", "0", str(site_packages())]
    subprocess.run(line, capture_output=True, check=False)  # a package's odd template may fail


def site_packages() -> Path:
    """Return the folder of the environment that holds the packages."""
    library = "Lib" if os.name == "nt" else "lib/python{}.{}".format(*sys.version_info)
    return VENV / library / "site-packages"


def explained(said: str) -> SetupError:
    """Turn the installer's last words into some that a person can act on."""
    for pattern, (meaning, hint) in CAUSES.items():
        if re.search(pattern, said):
            last = next((line for line in said.splitlines() if line.startswith("ERROR")), "")
            return SetupError(f"the set-up failed: {meaning}\n  {last}".rstrip(), hint=hint)
    tail = "\n  ".join(said.splitlines()[-5:])
    return SetupError(f"the set-up failed:\n  {tail}", hint="The next start tries again.")


@contextlib.contextmanager
def one_at_a_time() -> Generator[None]:
    """Let only one start set up; others wait. The system lets go of the lock if we are killed.

    Raises:
        SetupError: The folder cannot be written to.
    """
    try:
        file = Path(f"{VENV}.lock").open("a+", encoding="utf-8")  # noqa: SIM115  closed below
    except OSError as error:
        message = f"{ROOT} cannot be written to: {error.strerror}"
        hint = "Put the folder where you may write, and start it there."
        raise SetupError(message, hint=hint) from error
    with file:
        if not locked(file.fileno(), wait=False):
            print("Another start is setting up; waiting for it ...", flush=True)
            while not locked(file.fileno(), wait=True):
                pass  # Windows gives up after ten seconds
        yield


def locked(number: int, *, wait: bool) -> bool:
    """Lock an open file, and tell whether that worked."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(number, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def find_chromium() -> str | None:
    """Return the browser for the browser tests: CHROMIUM, one on the PATH, or Playwright's own."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "chrome"]
    found = next(filter(None, map(shutil.which, names)), None)
    places = (
        ".cache/ms-playwright/chromium-*/chrome-linux*/chrome",
        "Library/Caches/ms-playwright/chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
        "AppData/Local/ms-playwright/chromium-*/chrome-win*/chrome.exe",
    )
    own = (str(path) for place in places for path in Path.home().glob(place))
    return found if found or named else next(own, None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
