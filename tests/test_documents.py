"""What the package's documents are written from."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.deb.documents import commands, completion, man_page


@pytest.mark.parametrize(
    ("typed", "offered"),
    [(["", ""], {"run", "setup", "model", "doctor"}), (["model", ""], {"activate", "rollback", "sign"}), (["setup", "--b"], {"--broker"})],
)
def test_completion_offers_commands_and_their_options(tmp_path: Path, typed: list[str], offered: set[str]) -> None:
    words = [word for word in typed[:-1] if word] + typed[-1:]
    (tmp_path / "completion").write_text(completion())
    quoted = " ".join(f"'{word}'" for word in words)
    script = f'. {tmp_path}/completion; COMP_WORDS=(mammo-edge {quoted}); COMP_CWORD={len(words)}; _mammo_edge; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    assert offered <= set(done.stdout.split())


def test_the_man_page_has_every_command() -> None:
    page = man_page("1.2.3", datetime(2026, 1, 1, tzinfo=UTC))
    names = [name for name, _ in commands()]
    assert "model activate" in names
    assert [name for name in names if f".SS {name}\n" not in page] == []
