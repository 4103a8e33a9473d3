"""`mammo-edge try`: a sample film through the running daemon."""

import json
from pathlib import Path

from deploy.demo.subscriber import Subscriber
from tests.support.rig import TOPICS, Rig, run_command, until


def test_a_try_shows_what_subscribers_get(daemon: Rig, subscriber: Subscriber) -> None:
    tried = run_command("try", "--json", "--config", daemon.config, timeout_s=300)
    assert tried.returncode == 0, tried.stderr
    shown = json.loads(tried.stdout)
    got = subscriber.wait_for(
        lambda messages: [m.payload for m in messages if shown["result_id"].encode() in m.payload]
    )
    assert json.loads(got[0]) == shown
    assert shown["outcome"] != "rejected"


def test_each_try_is_an_image_of_its_own_and_says_how_to_forget_it(
    daemon: Rig, subscriber: Subscriber
) -> None:
    first, second = (
        run_command("try", "--config", daemon.config, timeout_s=300).stdout for _ in range(2)
    )
    assert f"published to {TOPICS}/result\n" in first
    results = subscriber.wait_under("result", 2)
    assert [result["duplicate_of"] for result in results] == [None, None]
    for said, result in zip((first, second), results, strict=True):
        assert f"--config {daemon.config} forget {result['image_id'][:12]}`" in said
    until(daemon.settled, "settled", daemon.words)
    assert not list(daemon.inbox.iterdir())


def test_a_try_without_a_daemon_says_so_and_drops_nothing(tmp_path: Path) -> None:
    environ = {"MAMMO_EDGE_INBOX__PATH": str(tmp_path)}
    tried = run_command("try", "--config", "/dev/null", env=environ)
    assert tried.returncode == 1
    assert "no running daemon answers" in tried.stderr
    assert not list(tmp_path.iterdir())
