"""After `mammo-edge forget` of an exam no byte of it is found on the device, of others all."""

import json
from pathlib import Path
from typing import Any

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.exams import Study, bundle_with_breasts
from tests.support.rig import Rig, film, run_command, until
from tests.support.tools import need_root


def traces(results: list[dict[str, Any]]) -> set[bytes]:
    """Name what tells of images: their ids, those of their results, and their maps."""
    ids = [one[key] for one in results for key in ("image_id", "result_id")]
    ids += [one["image_id"][:16] for one in results]
    maps = [json.dumps(one["heatmap"]["values"], separators=(",", ":"))[:60] for one in results]
    return {text.encode() for text in (*ids, *maps)}


def holding(folder: Path, traces: set[bytes]) -> list[str]:
    """Name the files whose names or bytes have a trace, but for the log, which is the journal."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".log"]
    said = {path.name: path.name.encode() + path.read_bytes() for path in files}
    return [path for path, text in said.items() if any(one in text for one in traces)]


def test_no_byte_of_a_forgotten_exam_is_left_and_another_image_stays(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    need_root()
    folder = tmp_path / "edge"
    config = f'[model]\nbundle = "{bundle_with_breasts(tmp_path)}"\n'
    config += f'[publish]\njsonl = "{folder}/results.jsonl"\n'
    with Rig(folder, mosquitto.port, subscriber, config) as rig:
        films = [*Study("gone").four(), film(7)]
        image_ids = [rig.drop(f"film-{place}", data) for place, data in enumerate(films)]
        results = {one["image_id"]: one for one in rig.results(5)}
        (exam,) = subscriber.wait_under("exam", 1)
        gone = traces([results[one] for one in image_ids[:4]])
        gone |= {exam[key].encode() for key in ("exam_id", "result_id")}
        other = traces([results[image_ids[4]]])
        table = tmp_path / "verdicts.csv"
        ids = [f",{exam['exam_id']}", *(f"{one}," for one in image_ids)]
        lines = [f"{one},malignant,biopsy,no" for one in ids]
        table.write_text("\n".join(["image_id,exam_id,truth,basis,score_seen", *lines]))
        taken = run_command("feedback", "import", table, "--config", rig.config)
        assert taken.stdout.startswith("6 verdicts taken"), taken.stderr
        until(rig.settled, "settled", rig.words)
        assert len(holding(folder, gone)) > len(holding(folder, other)) > 1
        forgotten = run_command("forget", exam["exam_id"], "--config", rig.config)
        assert forgotten.returncode == 0, forgotten.stderr
        assert holding(folder, gone) == []
        asked = run_command("performance", "--json", "--config", rig.config)
        assert json.loads(asked.stdout)["exams"]["basis"] == {}
        verified = run_command("audit", "verify", "--config", rig.config)
        assert verified.returncode == 0, verified.stdout
        assert rig.stop() == 0
    assert holding(folder, gone) == []
    assert {"results.jsonl", "ledger.sqlite3"} < {*holding(folder, other)}
