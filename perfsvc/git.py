"""What a repository says about itself: order, parents, dates, subjects, trailers, paths; and its mirror and worktrees.

The only place that starts git. Never through a shell, never with a prompt, never inside a repository named by the
caller's environment; hooks and file-system monitors of a measured repository are not run.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perfsvc.errors import GitError
from perfsvc.model import Commit

LOCAL_SECONDS = 600.0  # a log with paths over 40,000 commits took 4 s on two cores
NETWORK_SECONDS = 3600.0

# Variables by which git itself (in a hook, an alias, a rebase) would lead us into another repository.
_FOREIGN = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
    *("GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_CONFIG"),
    *("GIT_CONFIG_PARAMETERS", "GIT_REPLACE_REF_BASE", "GIT_QUARANTINE_PATH", "GIT_IMPLICIT_WORK_TREE"),
    *("GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
)
# A measured repository must not choose what runs here, nor how its text looks.
_SETTINGS = (
    *(f"core.hooksPath={os.devnull}", "core.fsmonitor=false", "core.autocrlf=false", "core.longpaths=true"),
    *("i18n.logOutputEncoding=UTF-8", "log.showSignature=false", "log.showRoot=true", "color.ui=false"),
    "gc.autoDetach=false",  # housekeeping is done before we return, not in the background of a measurement
)
# Hash, parents, author date in seconds, author, subject, trailers: six fields, each ended by NUL, which no field holds.
_FIELDS = 6
_FORMAT = "%H%x00%P%x00%at%x00%an%x00%s%x00%(trailers:only,unfold)%x00"
_LOG = ("-z", "--raw", "--no-renames", "--no-abbrev", "--first-parent", "-m", "--no-ext-diff", f"--format={_FORMAT}")
_FETCH = ("fetch", "--prune", "--quiet", "--update-shallow", "origin", "+refs/*:refs/*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HASH = re.compile(r"[0-9a-fA-F]{4,64}")


def repository_root(path: Path | str) -> Path:
    """The folder that holds the repository `path` lies in: its working tree, or the bare repository itself.

    Raises: GitError when git is not installed, or there is no repository there.
    """
    if not Path(path).is_dir():
        raise GitError(f"{path}: there is no such folder; wanted a folder inside a git repository")
    bare, git_dir = _text(path, "rev-parse", "--is-bare-repository", "--absolute-git-dir").split("\n", 1)
    return Path(git_dir) if bare == "true" else Path(_text(path, "rev-parse", "--show-toplevel"))


def is_shallow(repo: Path | str) -> bool:
    """Whether history was cut off, so that positions on the branch cannot be counted."""
    return _text(repo, "rev-parse", "--is-shallow-repository") == "true"


def is_dirty(repo: Path | str) -> bool:
    """Whether a tracked file differs from the commit that is checked out. A bare repository never is."""
    if _text(repo, "rev-parse", "--is-bare-repository") == "true":
        return False
    return bool(_git(repo, "--no-optional-locks", "status", "--porcelain", "-z", "--untracked-files=no"))


def branches(repo: Path | str) -> list[str]:
    """Names of the branches, local ones first, then `origin/main` and its like."""
    listed = _text(repo, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes").splitlines()
    names = [re.sub(r"^refs/(heads|remotes)/", "", name) for name in listed if not name.endswith("/HEAD")]
    return list(dict.fromkeys(names))


def resolve(repo: Path | str, revision: str) -> str:
    """The full hash of a commit named by hash, branch, tag or expression; `main` may stand for `origin/main`.

    Raises: GitError with the nearest name when nothing is called so.
    """
    _refuse_option(revision)
    for candidate in (revision, f"origin/{revision}"):
        found = _text(repo, "rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}", accept=(0, 1, 128))
        if _HASH.fullmatch(found):
            return found
    repository_root(repo)  # no repository at all is the better message
    raise GitError(f"{repo}: no commit is called {revision!r}{_nearest(repo, revision)}")


def first_parent_line(repo: Path | str, branch: str) -> list[Commit]:
    """Every commit that the branch's tip reaches by first parents, root first, `position` counted from 0.

    In a shallow clone the root is not known, and every position is None. Cost: three git processes.
    Raises: GitError naming the branches there are when there is none of that name.
    """
    line = list(_parsed(_git(repo, "log", "--reverse", *_LOG, _branch_tip(repo, branch), "--")))
    if is_shallow(repo):
        return line
    return [replace(commit, position=position) for position, commit in enumerate(line)]


def commits(repo: Path | str, hashes: Sequence[str]) -> list[Commit]:
    """The commits of these hashes, in their order, without positions. A hash that the repository lacks is left out."""
    asked = [hash_.lower() for hash_ in hashes if _HASH.fullmatch(hash_)]
    listed = _git(repo, "cat-file", "--batch-check", stdin="".join(f"{hash_}^{{commit}}\n" for hash_ in asked))
    rows = [line.split() for line in listed.decode("ascii", "replace").splitlines()]
    known = list(dict.fromkeys(row[0] for row in rows if len(row) == 3 and row[1] == "commit"))
    if not known:
        return []
    return list(_parsed(_git(repo, "log", "--no-walk=unsorted", *_LOG, "--stdin", stdin="\n".join(known) + "\n")))


def range_commits(repo: Path | str, revisions: str) -> list[Commit]:
    """The commits of `A..B` along first parents, oldest first, or the one commit that `revisions` names. No positions.

    Raises: GitError for an unknown end, and for `A...B`, which is no line.
    """
    _refuse_option(revisions)
    if "..." in revisions:
        raise GitError(f"{repo}: {revisions!r} is no line of commits; wanted A..B or a single revision")
    if ".." not in revisions:
        return commits(repo, [resolve(repo, revisions)])
    first, last = (resolve(repo, end or "HEAD") for end in revisions.split("..", 1))
    return list(_parsed(_git(repo, "log", "--reverse", *_LOG, last, f"^{first}", "--")))


def mirror(source: Path | str, target: Path) -> Path:
    """Make `target` a bare mirror of `source`, or bring it up to date: every branch and tag, gone ones removed.

    Killed half-way it leaves either no mirror or the one of before.
    Raises: GitError when the source cannot be reached, or something else is in the target's place.
    """
    _refuse_option(str(source))
    if (target / "HEAD").is_file():
        _git(target, "remote", "set-url", "origin", str(source))
        _git(target, *_FETCH, seconds=NETWORK_SECONDS)
        return target
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise GitError(f"{target}: is in use and is not a mirror; wanted an empty place for one of {source}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".mirror-", ignore_cleanup_errors=True) as scratch:
            fresh = Path(scratch) / "repository"
            _git(scratch, "clone", "--quiet", "--mirror", "--", str(source), str(fresh), seconds=NETWORK_SECONDS)
            if target.exists():
                target.rmdir()
            fresh.rename(target)
    except OSError as error:
        raise GitError(f"{target}: the mirror of {source} could not be put there: {error}") from None
    return target


def add_worktree(repo: Path | str, path: Path, revision: str) -> str:
    """Check a commit out into `path`, detached, with line endings as committed. Returns its full hash.

    Submodules are left empty. A worktree that an earlier kill left in that place is replaced.
    """
    commit = resolve(repo, revision)
    remove_worktree(repo, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _git(repo, "worktree", "add", "--quiet", "--force", "--detach", "--", str(path.absolute()), commit)
    return commit


def remove_worktree(repo: Path | str, path: Path) -> None:
    """Remove a worktree and what lies in it; where there is none, nothing happens.

    Raises: GitError when `path` is a folder with something in it that is not a worktree.
    """
    if path.is_dir() and any(path.iterdir()):
        if not _is_worktree_of(repo, path):
            raise GitError(f"{path}: is not a worktree of {repo}, and is left alone; wanted an empty place")
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise GitError(f"{path}: the worktree could not be removed: {error}") from None
    _git(repo, "worktree", "prune")


def _is_worktree_of(repo: Path | str, path: Path) -> bool:
    try:
        link = (path / ".git").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no file, or a folder: somebody's own clone
        return False
    common = Path(repo, _text(repo, "rev-parse", "--git-common-dir")).resolve()
    return link.startswith("gitdir:") and Path(link.removeprefix("gitdir:").strip()).resolve().is_relative_to(common)


def _branch_tip(repo: Path | str, branch: str) -> str:
    _refuse_option(branch)
    for candidate in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}", f"refs/remotes/{branch}"):
        found = _text(repo, "rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}", accept=(0, 1, 128))
        if _HASH.fullmatch(found):
            return found
    if branch == "HEAD":
        return resolve(repo, branch)
    there = ", ".join(branches(repo)[:20])
    raise GitError(f"{repo}: there is no branch {branch!r}; there is: {there or 'none, the repository is empty'}")


def _refuse_option(revision: str) -> None:
    if not revision or revision.startswith("-") or re.search(r"[\x00-\x1f]", revision):
        raise GitError(f"{revision!r} is not a revision; wanted a hash, a branch, a tag or A..B")


def _nearest(repo: Path | str, revision: str) -> str:
    listed = _text(repo, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes", "refs/tags").splitlines()
    names = [re.sub(r"^refs/(heads|remotes|tags)/", "", name) for name in listed]
    close = difflib.get_close_matches(revision, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "; wanted a hash, a branch or a tag of this repository"
    return hint + (" The clone is shallow: `git fetch --unshallow` brings the rest." if is_shallow(repo) else "")


def _parsed(log: bytes) -> Iterator[Commit]:
    """Commits of a log. Each: `_FIELDS` fields, an empty one, then `:modes` and path for each change; all NUL-ended.

    A path may hold anything, even what looks like a hash; only the token after `:modes` is taken for one.
    """
    tokens = [token.decode("utf-8", "replace") for token in log.split(b"\0")]
    at = 0
    while at + _FIELDS < len(tokens):
        hash_, parents, seconds, author, subject, trailers = tokens[at : at + _FIELDS]
        at += _FIELDS + 1
        paths = []
        while at + 1 < len(tokens) and tokens[at].lstrip("\n").startswith(":"):
            paths.append(tokens[at + 1])
            at += 2
        yield Commit(
            hash=hash_,
            authored_at=_moment(seconds),
            parents=tuple(parents.split()),
            author=author,
            subject=subject,
            trailers=tuple(_trailers(trailers)),
            changed_paths=tuple(paths),
        )


def _trailers(block: str) -> Iterator[tuple[str, str]]:
    for line in block.split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip(), value.strip()


def _moment(seconds: str) -> datetime:
    """Git stores whatever date it was told; one that no calendar holds becomes the nearest that can be written."""
    try:
        return _EPOCH + timedelta(seconds=int(seconds or "0"))
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def _text(repo: Path | str, *arguments: str, accept: tuple[int, ...] = (0,)) -> str:
    return _git(repo, *arguments, accept=accept).decode("utf-8", "replace").strip("\r\n")


def _git(
    repo: Path | str,
    *arguments: str,
    stdin: str = "",
    accept: tuple[int, ...] = (0,),
    seconds: float = LOCAL_SECONDS,
) -> bytes:
    """Run git in `repo` and return what it printed. Raises: GitError with git's own last words."""
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    command = ["git", "-C", str(repo), *settings, *arguments]
    try:
        done = subprocess.run(
            command,
            input=stdin.encode(),
            capture_output=True,
            env=_environment(),
            timeout=seconds,
            check=False,
            start_new_session=True,  # no terminal of ours, on which ssh could ask for a password
        )
    except FileNotFoundError:
        raise GitError("git was not found on PATH; wanted git 2.15 or newer, see https://git-scm.com") from None
    except (OSError, ValueError) as error:
        raise GitError(f"{repo}: git could not be started: {error}") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"{repo}: git {arguments[0]} was not done after {seconds:.0f} s") from None
    if done.returncode not in accept:
        said = done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"
        if "not a git repository" in said:
            raise GitError(f"{repo}: is not in a git repository; wanted a folder that `git init` or `git clone` made")
        raise GitError(f"{repo}: git {_verb(arguments)}: {said[-2000:]}")
    return done.stdout


def _verb(arguments: Sequence[str]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")


def _environment() -> dict[str, str]:
    """Ours, without what leads elsewhere and without ways to ask a person for a password."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    kept.setdefault("GIT_ASKPASS", "")
    return {
        **kept,
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS_REQUIRE": "never",
        "GCM_INTERACTIVE": "never",
        "LC_ALL": "C",
    }
