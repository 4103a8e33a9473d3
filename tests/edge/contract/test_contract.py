"""
docs/reference/contract.md says what the code does: every name in it stands there, nothing else
does, and its examples run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import jsonschema
import pytest
from paho.mqtt.client import MQTTMessage
from pydantic import BaseModel

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge.cli import exits
from edge.contract import messages
from edge.contract import result as message
from edge.contract.exam import ExamMessage
from edge.contract.info import Info
from edge.contract.limits import EXAM_BYTES
from edge.contract.receiver import Aborted, Refused, TurnedAway
from edge.contract.result import Message
from edge.daemon.control.unix_socket import ask
from edge.daemon.intake.left_alone import PARTIAL
from edge.daemon.intake.references import WAIT_S
from edge.daemon.telemetry.status import offline
from edge.errors import Reason, Unavailable
from edge.health import Cause
from edge.models.active import shipped_bundle
from edge.models.breasts import PROJECTION_OF
from edge.models.signature import sign
from edge.models.transfer.announcement import Announcement, read_announcement
from edge.mqtt.topics import COMMANDS, OWN, Topics
from tests.support.contract_page import PAGE, blocks, examples, table
from tests.support.films import demo_files
from tests.support.keys import key_pair
from tests.support.rig import PATIENCE_S, PROGRAM, Rig, sha256, until
from tests.support.tools import DATA, ROOT, need

SOURCES: Final = {
    path.relative_to(ROOT): path.read_text() for path in sorted((ROOT / "edge").rglob("*.py"))
}
EXAM: Final = "exam-17.dcm"
FILM: Final = "film.jpg"
OTHER_FILM: Final = "film-2.jpg"


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted paths of everything a message may hold, as they are published."""
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        yield path
        for inner in parts(field.annotation):
            yield from fields(inner, f"{path}.")


def parts(annotation: object) -> Iterator[type[BaseModel]]:
    """Models that an annotation names, also in a list or beside null."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from parts(inner)


def test_every_field_of_the_message_is_explained_and_no_other() -> None:
    assert table("The result") == list(fields(Message))


def test_every_field_of_an_exam_is_explained_and_no_other() -> None:
    below = ("score.", "views.", "model.", "breasts.decision.")
    found = [name for name in fields(ExamMessage) if not name.startswith(below)]
    assert table("The result of an exam") == found


def test_every_view_that_counts_stands_in_the_table() -> None:
    (start, rest) = re.split(r"^\| View Position .*$", PAGE, flags=re.MULTILINE)
    rows = re.findall(r"^\| (\w+) \| (CC|MLO) \|", rest, re.MULTILINE)
    assert dict(rows) == dict(PROJECTION_OF)
    assert start


def test_the_shortest_and_longest_reference_of_an_exam_are_the_code_s() -> None:
    assert f"1 to {EXAM_BYTES} bytes" in PAGE


def test_every_reason_of_a_rejection_is_explained_and_no_other() -> None:
    assert sorted(table("Reasons of a rejection")) == sorted(Reason)


def test_every_reason_code_is_explained_and_no_other() -> None:
    assert table("Reason codes") == list(Cause)


def test_every_cause_of_the_receiver_is_explained_and_no_other() -> None:
    kinds = {"refused": Refused, "turned_away": TurnedAway, "aborted": Aborted}
    causes = [f"{name}.{cause}" for name, kind in kinds.items() for cause in list(kind)]
    assert table("Causes of the receiver") == causes


def test_every_outcome_is_explained_and_no_other() -> None:
    assert table("Outcomes") == list(get_args(Message.model_fields["outcome"].annotation))


def test_every_topic_that_the_code_names_stands_in_the_table_and_no_other() -> None:
    ours = Topics("ours")
    properties = [name for name, value in vars(Topics).items() if isinstance(value, property)]
    commands = [make(name) for name in COMMANDS for make in (ours.command, ours.command_ack)]
    topics = [*(getattr(ours, name) for name in properties), *commands, ours.command_ack("doctor")]
    named = {topic.removeprefix("ours/") for topic in topics}
    assert set(table("Topics")) == named
    assert {topic.partition("/")[0] for topic in named} == OWN
    assert "`mammo/v1/<site>/request/image`" in PAGE


def test_topics_are_spelled_in_one_module() -> None:
    spelled = r'"mammo/v1|prefix\}/[a-z/]+"|command/[a-z]+/ack"'
    found = [str(path) for path, source in SOURCES.items() if re.search(spelled, source)]
    assert found == ["edge/mqtt/topics.py"]


def test_every_counter_is_named() -> None:
    literal = set(re.findall(r'\bcount\("([a-z_]+)"\)', "\n".join(SOURCES.values())))
    made = {f"received_{source}" for source in ("folder", "mqtt")} | {
        f"delivered_{sink}" for sink in ("mqtt", "jsonl")
    }
    assert literal
    assert {name for name in literal | made if f"`{name}`" not in PAGE} == set()


def test_ignored_names_and_the_patience_with_references_are_the_code_s() -> None:
    assert all(f"`{suffix}`" in PAGE for suffix in PARTIAL)
    assert f"up to {WAIT_S:.0f} s" in PAGE


def test_exit_codes_are_those_of_the_commands() -> None:
    assert table("Exit codes") == [str(status) for status in exits.MEANINGS]


def test_every_setting_the_page_names_exists() -> None:
    config = (ROOT / "deploy" / "edge.toml").read_text()
    named = re.findall(r"`\[([a-z]+)\] ([a-z_]+)`", PAGE)
    assert named
    for section, key in named:
        assert re.search(rf"^\[{section}\]\n(?:#.*\n)*# {key} =", config, re.MULTILINE), (
            f"[{section}] {key}"
        )


def test_every_example_of_a_result_is_valid() -> None:
    found = examples("mammo.result/1")
    assert found
    for example in found:
        jsonschema.Draft202012Validator(message.schema()).validate(example)


def test_the_schema_in_docs_is_the_code_s_and_a_valid_one() -> None:
    schema = json.loads((ROOT / "docs" / "reference" / "result.schema.json").read_text())
    assert schema == message.schema()
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_schema_refuses_what_is_no_result() -> None:
    (example, *_) = examples("mammo.result/1")
    validator = jsonschema.Draft202012Validator(message.schema())
    for wrong in (
        {"outcome": "maybe"},
        {"patient": "x"},
        {"image_id": "00"},
        {"score": {"malignant": 1.5, "raw": 0.5}},
    ):
        assert not validator.is_valid(example | wrong)


def test_the_last_will_has_the_fields_that_the_page_says() -> None:
    assert set(json.loads(offline())) == {"schema", "status", "version"}


def test_every_field_of_info_is_explained_and_its_example_has_them_all() -> None:
    (example,) = examples("mammo.info/1")
    names = [field.alias or name for name, field in Info.model_fields.items()]
    assert table("`info`") == list(example) == names
    assert messages.fields(Info.model_validate(example)) == example


def test_the_page_explains_every_field_of_an_announced_model_and_its_example_is_one() -> None:
    (example,) = examples("mammo.available/1")
    below = PAGE.partition("The announcement on `model/available` has")[2].partition("```")[0]
    explained = re.findall(r"^\| `([a-z0-9_]+)` \|", below, re.MULTILINE)
    assert (
        explained
        == list(example)
        == [field.alias or name for name, field in Announcement.model_fields.items()]
    )
    assert read_announcement(json.dumps(example).encode()).version == "1.2.0"


class Site(NamedTuple):
    """What the page's examples need."""

    rig: Rig
    port: int
    subscriber: Subscriber


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """
    A daemon for all the examples, as `make run` starts it, and beside it the files that they name.
    """
    need("mosquitto", "mosquitto")
    folder = tmp_path_factory.mktemp("contract")
    key = key_pair(folder, "clinic")
    config = f'\n[model]\nkeys = "{folder}/keys"\n[intake]\ncommands = ["model/install"]\n'
    with (
        Mosquitto(folder / "mosquitto") as broker,
        Subscriber(broker.port) as subscriber,
        Rig(folder / "edge", broker.port, subscriber, config) as rig,
    ):
        rig.await_introduction()
        bundle = shutil.copytree(shipped_bundle(), rig.folder / "bundle")
        (bundle / "bundle.json").write_text(
            json.dumps(json.loads((bundle / "bundle.json").read_text()) | {"version": "1.2.0"})
        )
        sign(bundle, key)
        (rig.folder / "admin.toml").write_text(
            f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        )
        shutil.copyfile(
            next(file for file in demo_files() if file.name == "1-132.dcm"), rig.folder / EXAM
        )
        shutil.copyfile(DATA / "cbis-ddsm-malignant-cc.jpg", rig.folder / FILM)
        shutil.copyfile(DATA / "cbis-ddsm-benign-cc.jpg", rig.folder / OTHER_FILM)
        yield Site(rig, broker.port, subscriber)


def keys(tree: object) -> object:
    """Names only, of objects in objects."""
    return {name: keys(below) for name, below in tree.items()} if isinstance(tree, dict) else None


def run_example(site: Site, *command: str) -> str:
    """What a command prints, with the variables and in the folder that the page assumes."""
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    environ = os.environ | {"PORT": str(site.port), "INBOX": str(site.rig.inbox), "PATH": path}
    ended = subprocess.run(
        command,
        cwd=site.rig.folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr + site.rig.words()
    return ended.stdout


def patient(example: str) -> str:
    """Have an example wait longer than the page says, as long as a busy machine needs."""
    return re.sub(r"-W 60|wait\(60\)", lambda found: found[0].replace("60", "240"), example)


def run_shell(site: Site, number: int) -> str:
    """What the shell example of that number prints."""
    need("mosquitto_pub", "mosquitto-clients")
    return run_example(site, "bash", "-euc", patient(blocks("sh")[number]))


def test_status_and_health_have_the_fields_of_the_examples(site: Site) -> None:
    ((status,), (health,)) = examples("mammo.status/1"), examples("mammo.health/1")
    assert keys(site.subscriber.wait_under("status", 1)[-1]) == keys(status)
    assert list(status) == table("`status`")
    same: dict[str, object] = {"counters": {}}
    until(lambda: keys(site.rig.status() | same) == keys(health | same), "the fields of status")
    # the first one may have been told before the inbox was watched
    site.subscriber.wait_for(
        lambda _: keys(site.subscriber.last("health") | same) == keys(health | same)
    )


def test_the_folder_example_runs_and_gives_what_the_page_shows(site: Site) -> None:
    result = json.loads(run_shell(site, 0))
    (shown, *_) = examples("mammo.result/1")
    assert keys(result) == keys(shown)
    assert (result["image_id"], result["image"]) == (shown["image_id"], shown["image"])


def test_the_request_example_is_answered_with_its_correlation_data(site: Site) -> None:
    correlation, _, payload = run_shell(site, 1).partition(" ")
    assert correlation == "order-4711"
    image_id = sha256((site.rig.folder / FILM).read_bytes())
    assert json.loads(payload)["image_id"] == image_id
    assert image_id in PAGE


def test_the_reference_example_is_answered_with_its_correlation_data(site: Site) -> None:
    correlation, _, payload = run_shell(site, 2).partition(" ")
    assert correlation == "order-4712"
    assert json.loads(payload)["image_id"] == sha256((site.rig.folder / OTHER_FILM).read_bytes())


def test_the_python_requester_is_not_taken_in_by_the_answer_to_another_film(
    mosquitto: Mosquitto,
) -> None:
    film = DATA / "cbis-ddsm-malignant-cc.jpg"
    requester_py, port = patient(blocks("python")[0]), str(mosquitto.port)
    command: list[str | Path] = [sys.executable, "-c", requester_py, "127.0.0.1", port, film]
    with (
        Subscriber(mosquitto.port) as requests,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as requester,
    ):
        (request,) = requests.wait_for(
            lambda messages: [one for one in messages if one.topic.endswith("/request/image")]
        )
        properties: Any = request.properties
        answer: dict[str, Any] = {"outcome": "benign", "score": 0.0}
        for image in (b"another film", film.read_bytes()):
            requests.publish(
                properties.ResponseTopic,
                json.dumps(answer | {"image_id": sha256(image)}).encode(),
                correlation=properties.CorrelationData,
            )
            answer = {"outcome": "malignant", "score": 1.0}
        printed, _ = requester.communicate(timeout=PATIENCE_S)
    assert printed == "order-4715 malignant 1.0\n"


def test_the_python_requester_prints_the_answer(site: Site) -> None:
    requester_py = patient(blocks("python")[0])
    said = run_example(site, sys.executable, "-c", requester_py, "127.0.0.1", str(site.port), FILM)
    assert said.startswith("order-4715 ")
    assert "'malignant'" in said


def test_the_model_example_installs_what_it_publishes_and_leaves_nothing_at_the_broker(
    site: Site,
) -> None:
    (answer,) = [line for line in run_shell(site, 3).splitlines() if line.startswith("order-4713 ")]
    (shown,) = re.findall(r"^order-4713 (.*)$", PAGE, re.MULTILINE)
    bundle = sha256((site.rig.folder / "bundle" / "bundle.json").read_bytes())
    assert json.loads(answer.partition(" ")[2]) == json.loads(shown) | {"bundle": bundle}

    def each_is_taken_away(messages: Sequence[MQTTMessage]) -> bool:
        announced = [message for message in messages if "/model/available" in message.topic]
        last = {message.topic: message.payload for message in announced}
        return len(announced) == 2 * len(last) > 2 and set(last.values()) == {b""}

    site.subscriber.wait_for(each_is_taken_away)


def test_the_control_socket_answers_the_example_and_knows_the_commands_of_the_table(
    site: Site,
) -> None:
    socket = site.rig.folder / "control.sock"
    assert run_example(site, sys.executable, "-c", blocks("python")[1], str(socket)).startswith(
        "True "
    )
    with pytest.raises(Unavailable) as refusal:
        ask(socket, "nonsense")
    assert str(refusal.value).endswith(f"one of {', '.join(table('The control socket'))}}}")
