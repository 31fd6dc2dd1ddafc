"""git.py against real repositories: order, awkward bytes, fresh and shallow clones, mirrors, worktrees, errors."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perfsvc import git
from perfsvc.errors import GitError

WHO = {f"GIT_{role}_{part}": f"Ada {part}" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}


def run(repo: Path, *arguments: str, **environment: str) -> str:
    clean = {"PATH": os.environ["PATH"], "HOME": str(repo), "GIT_CONFIG_NOSYSTEM": "1", **WHO, **environment}
    done = subprocess.run(["git", "-C", str(repo), *arguments], env=clean, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "replace").strip()


def commit(repo: Path, name: str, message: str = "", at: int = 1_700_000_000) -> str:
    (repo / name).write_text(message)
    run(repo, "add", "-A")
    run(repo, "commit", "-q", "-m", message or name, GIT_AUTHOR_DATE=f"{at} +0230")
    return run(repo, "rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    run(made, "init", "-q", "-b", "main")
    return made


@pytest.fixture
def merged(repo: Path) -> Path:
    """root - c - merge - empty on main, and `side` merged into it."""
    commit(repo, "a", "root\n\nReviewed-by: Grace <g@example.org>\nPerf: fwd: 1.2x")
    run(repo, "checkout", "-q", "-b", "side")
    commit(repo, "b")
    run(repo, "checkout", "-q", "main")
    commit(repo, "c")
    run(repo, "merge", "-q", "--no-ff", "-m", "merge", "side")
    run(repo, "commit", "-q", "--allow-empty", "-m", "empty")
    return repo


def test_the_line_follows_first_parents_from_the_root(merged: Path) -> None:
    line = git.first_parent_line(merged, "main")
    assert [c.subject for c in line] == ["root", "c", "merge", "empty"]
    assert [c.position for c in line] == [0, 1, 2, 3]
    assert [c.changed_paths for c in line] == [("a",), ("c",), ("b",), ()]
    assert line[0].trailers == (("Reviewed-by", "Grace <g@example.org>"), ("Perf", "fwd: 1.2x"))
    assert line[0].authored_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert line[0].author == "Ada NAME"
    assert line[2].parents[0] == line[1].hash
    assert len(line[2].parents) == 2


@pytest.mark.parametrize(
    "subject", ["x\ty  <b>&'\"", "ünï 測試 \U0001f642", "0" * 40, ":100644 A", "\x01\x1b[31m", "-q", "a: b"]
)
def test_any_subject_and_any_path_come_through(repo: Path, subject: str) -> None:
    name = subject.replace("/", "")
    commit(repo, f"new\nline {name}", subject)
    commit(repo, "0" * 40, "next")
    first, second = git.first_parent_line(repo, "main")
    assert (first.subject, second.subject) == (subject.strip(), "next")
    assert first.changed_paths == (f"new\nline {name}",)
    assert second.changed_paths == ("0" * 40,)


def test_bytes_that_are_not_utf8_and_other_encodings_come_through(repo: Path) -> None:
    (repo / "message").write_bytes(b"caf\xe9")
    run(repo, "-c", "i18n.commitEncoding=latin-1", "commit", "-q", "--allow-empty", "-F", "message")
    head = run(repo, "cat-file", "-p", "HEAD").encode().split(b"encoding")[0]
    (repo / "object").write_bytes(head + b"\ncaf\xe9\n")
    torn = run(repo, "hash-object", "-t", "commit", "-w", "--literally", str(repo / "object"))
    assert [c.subject for c in git.commits(repo, [run(repo, "rev-parse", "HEAD"), torn])] == ["café", "caf\ufffd"]


@pytest.mark.parametrize("seconds", [-1, -(10**11), 10**15])
def test_a_date_before_1970_or_past_every_calendar_is_still_a_date(repo: Path, seconds: int) -> None:
    run(repo, "commit", "-q", "--allow-empty", "-m", "x")
    raw = run(repo, "cat-file", "-p", "HEAD").replace("Ada NAME <Ada EMAIL> ", "A <a> ", 1)
    head = raw.splitlines()
    lines = [f"author A <a> {seconds} +0000" if line.startswith("author") else line for line in head]
    text = repo / "object"
    text.write_text("\n".join(lines) + "\n")
    made = run(repo, "hash-object", "-t", "commit", "-w", "--literally", str(text))
    (found,) = git.commits(repo, [made])
    assert found.authored_at.tzinfo is UTC


def test_a_branch_of_a_fresh_clone_is_found_at_origin(merged: Path, tmp_path: Path) -> None:
    run(merged, "branch", "release", "main~1")
    run(tmp_path, "clone", "-q", str(merged), "clone")
    clone = tmp_path / "clone"
    assert git.first_parent_line(clone, "release")[-1].subject == "merge"
    assert git.resolve(clone, "release") == git.resolve(merged, "release")
    assert git.branches(clone) == ["main", "origin/main", "origin/release", "origin/side"]


def test_a_shallow_clone_counts_no_positions(merged: Path, tmp_path: Path) -> None:
    run(tmp_path, "clone", "-q", "--depth", "2", merged.as_uri(), "clone")
    clone = tmp_path / "clone"
    assert git.is_shallow(clone)
    assert not git.is_shallow(merged)
    assert [c.position for c in git.first_parent_line(clone, "main")] == [None, None]
    with pytest.raises(GitError, match="unshallow"):
        git.resolve(clone, git.resolve(merged, "main~3"))


def test_a_range_is_read_oldest_first_and_without_its_start(merged: Path) -> None:
    assert [c.subject for c in git.range_commits(merged, "main~3..main")] == ["c", "merge", "empty"]
    assert [c.subject for c in git.range_commits(merged, "main~1..")] == ["empty"]
    assert [c.subject for c in git.range_commits(merged, "side")] == ["b"]
    assert git.range_commits(merged, "main..main") == []


def test_commits_come_in_the_order_asked_and_unknown_ones_are_left_out(merged: Path) -> None:
    side, main = git.resolve(merged, "side"), git.resolve(merged, "main~1")
    found = git.commits(merged, [side, "f" * 40, main, "no hash", "-q", side])
    assert [c.hash for c in found] == [side, main]
    assert found[1].changed_paths == ("b",)
    assert git.commits(merged, []) == []


@pytest.mark.parametrize("revision", ["-q", "--output=x", "", "a\nb", "a\0b"])
def test_what_could_be_an_option_is_refused(merged: Path, revision: str) -> None:
    for door in (git.resolve, git.range_commits, git.first_parent_line):
        with pytest.raises(GitError, match="is not a revision"):
            door(merged, revision)
    with pytest.raises(GitError, match="is not a revision"):
        git.mirror(revision, merged.parent / "m")


def test_an_unknown_name_is_answered_with_the_nearest(merged: Path) -> None:
    with pytest.raises(GitError, match=r"no commit is called 'mian'; did you mean 'main'\?"):
        git.resolve(merged, "mian")
    with pytest.raises(GitError, match="there is no branch 'trunk'; there is: main, side"):
        git.first_parent_line(merged, "trunk")
    with pytest.raises(GitError, match="is no line of commits"):
        git.range_commits(merged, "side...main")


def test_an_empty_repository_says_so(repo: Path) -> None:
    with pytest.raises(GitError, match="the repository is empty"):
        git.first_parent_line(repo, "main")


def test_no_repository_no_folder_and_no_git_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GitError, match="is not in a git repository"):
        git.repository_root(tmp_path)
    with pytest.raises(GitError, match="is not in a git repository"):
        git.resolve(tmp_path, "main")
    with pytest.raises(GitError, match="there is no such folder"):
        git.repository_root(tmp_path / "absent")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="git was not found on PATH"):
        git.repository_root(tmp_path)


def test_variables_of_a_surrounding_git_lead_nowhere_else(merged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(merged.parent / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(merged.parent / "index"))
    below = merged / "deep"
    below.mkdir()
    assert git.repository_root(below).samefile(merged)
    assert not git.is_dirty(merged)


def test_only_a_changed_tracked_file_makes_a_tree_dirty(merged: Path) -> None:
    (merged / "untracked").write_text("x")
    assert not git.is_dirty(merged)
    (merged / "a").write_text("changed")
    assert git.is_dirty(merged)


def test_a_mirror_is_made_and_then_follows_its_source(merged: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "mirror"
    assert git.mirror(merged, target) == target
    assert git.repository_root(target).samefile(target)
    assert not git.is_dirty(target)
    newest = commit(merged, "d")
    run(merged, "branch", "-D", "side")
    git.mirror(merged, target)
    assert git.resolve(target, "main") == newest
    assert git.branches(target) == ["main"]
    assert sorted(path.name for path in target.parent.iterdir()) == ["mirror"]


def test_a_mirror_never_replaces_something_else(merged: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("years of work")
    with pytest.raises(GitError, match="is in use and is not a mirror"):
        git.mirror(merged, taken)
    with pytest.raises(GitError, match="does not exist"):
        git.mirror(tmp_path / "absent", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_worktree_holds_the_commit_runs_no_hook_and_goes_without_trace(merged: Path, tmp_path: Path) -> None:
    target = git.mirror(merged, tmp_path / "mirror")
    hook = target / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    hook.chmod(0o755)
    tree = tmp_path / "trees" / "one"
    assert git.add_worktree(target, tree, "main~2") == git.resolve(merged, "main~2")
    assert sorted(path.name for path in tree.iterdir()) == [".git", "a", "c"]
    git.add_worktree(target, tree, "main")  # a leftover is replaced
    assert (tree / "b").is_file()
    git.mirror(merged, target)
    git.remove_worktree(target, tree)
    git.remove_worktree(target, tree)
    assert not tree.exists()
    assert len(run(target, "worktree", "list").splitlines()) == 1
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_is_no_worktree_is_never_removed(merged: Path, tmp_path: Path) -> None:
    target = git.mirror(merged, tmp_path / "mirror")
    other = git.mirror(merged, tmp_path / "other")
    git.add_worktree(other, tmp_path / "theirs", "main")
    for place in (merged, tmp_path / "theirs"):
        with pytest.raises(GitError, match="is left alone"):
            git.remove_worktree(target, place)
        with pytest.raises(GitError, match="is left alone"):
            git.add_worktree(target, place, "main")
        assert (place / "a").is_file()


def test_a_checkout_keeps_the_line_endings_that_were_committed(repo: Path, tmp_path: Path) -> None:
    (repo / "unix.py").write_bytes(b"a\nb\n")
    (repo / "windows.py").write_bytes(b"a\r\nb\r\n")
    run(repo, "add", "-A")
    run(repo, "commit", "-q", "-m", "x")
    target = git.mirror(repo, tmp_path / "mirror")
    run(target, "config", "core.autocrlf", "true")
    git.add_worktree(target, tmp_path / "tree", "main")
    assert (tmp_path / "tree" / "unix.py").read_bytes() == b"a\nb\n"
    assert (tmp_path / "tree" / "windows.py").read_bytes() == b"a\r\nb\r\n"
