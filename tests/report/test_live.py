"""`attar view`: what it lists, how a run's progress is told, and that nothing outside the folder can be read."""

import http.client
import json
import os
import socket
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import url2pathname

import pytest

from attar.errors import AttarError
from attar.report.folder import Folder
from attar.runs import RunDirectory

SECRET = "the secret of the house"  # what lies beside the folder says


def test_the_list_has_all_that_can_be_read_and_nothing_else(runs):
    found = {entry.name: entry for entry in Folder(runs).entries()}
    assert set(found) == {"done", "deep/going", "stopped", "table"}
    assert (found["done"].state, found["done"].score, found["done"].seconds) == ("finished", 0.9, 5.0)
    assert found["done"].bytes > 0
    assert (found["deep/going"].state, found["deep/going"].budget) == ("under way", "1 image a class")
    assert found["stopped"].state == "stopped"
    assert found["table"].state == "4 cells failed"
    assert found["table"].sentence.startswith("50 images a class keep")


@pytest.mark.parametrize(
    ("asked", "budget"),
    [
        ({"cat": 3, "dog": 5}, "2 images a class, but cat 3, dog 5"),
        ({"cat": 1200}, "2 images a class, but cat 1,200"),
        ({f"class {place}": place for place in range(1, 8)}, "2 images a class, but 1 to 7 of 7 classes"),
        ({}, "2 images a class"),
    ],
)
def test_the_budget_of_a_run_under_way_has_its_quotas(runs, new_run, asked, budget):
    run = new_run(runs / "asked", name="herding")
    settings = json.loads((run.path / "settings.json").read_text())
    settings["method"] = {"type": "attar.selection.coreset:Coreset", "fields": {"by": "class", "quotas": asked}}
    (run.path / "settings.json").write_text(json.dumps(settings))
    assert Folder(runs).entry("asked").budget == budget


def test_a_run_itself_can_be_shown(runs):
    folder = Folder(runs / "done")
    assert [entry.name for entry in folder.entries()] == ["."]
    assert folder.page(".") == runs / "done" / "report.html"


def test_progress_tells_the_time_left_and_reads_only_what_was_added(runs):
    folder = Folder(runs)
    now = folder.progress("deep/going")
    assert (now.step, now.steps, now.seconds, now.left) == (4, 10, 8.0, 12.0)
    assert now.loss == ((1, 8.0), (2, 4.0), (3, 8.0 / 3), (4, 2.0))
    going = RunDirectory(runs / "deep" / "going")
    with (going.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "seconds": 10.0, "loss": 1.5}\n{"step": 6, "sec')
    assert folder.progress("deep/going").step == 5  # a line that is half written waits
    with (going.path / "metrics.jsonl").open("a") as file:
        file.write('onds": 12.0, "loss": 1.4}\n')
    assert folder.progress("deep/going").loss[-1] == (6, 1.4)
    going.rewind(2)
    for step in range(3, 12):
        going.log(step, 2.0 * step, {"loss": 7.0})
    assert [loss for _, loss in folder.progress("deep/going").loss] == [8.0, 4.0] + [7.0] * 9


def test_who_let_go_of_a_run_is_not_at_work_on_it(runs):
    with RunDirectory(runs / "stopped").locked():
        assert Folder(runs).entry("stopped").state == "under way"
    assert Folder(runs).entry("stopped").state == "stopped"


@pytest.mark.parametrize(
    ("left", "failed", "alive", "state"),
    [
        (0, False, True, "finished"),
        (2, False, True, "under way"),
        (2, False, False, "stopped"),
        (0, True, False, "1 cell failed"),
        (2, True, True, "under way"),
    ],
)
def test_a_comparison_that_is_complete_is_finished_whatever_its_lock_says(runs, left, failed, alive, state):
    row = {"method": "dm", "per_class": 1, "mean": None if failed else 0.9}
    record = {"rows": [row], "left": left, "complete": not left and not failed}
    (runs / "table" / "comparison.json").write_text(json.dumps(record))
    (runs / "table" / "lock").write_text(str(os.getpid()) if alive else "")
    assert Folder(runs).entry("table").state == state


def test_metrics_that_were_cut_are_read_again(runs):
    folder, path = Folder(runs), runs / "deep" / "going" / "metrics.jsonl"
    assert folder.progress("deep/going").step == 4
    with path.open("r+") as file:  # the same file, shorter
        file.truncate(0)
        file.write('{"step": 1, "seconds": 2.0, "loss": 3.0}\n')
    assert folder.progress("deep/going").loss == ((1, 3.0),)


def test_a_run_that_has_ended_has_no_time_left(runs):
    assert Folder(runs).progress("done").left is None
    assert Folder(runs).progress("stopped").left is None
    assert Folder(runs).progress("table") is None


@pytest.mark.parametrize(
    "name",
    [
        "", "..", "../outside", "done/..", "done/../../outside", "/etc", "linked", ".hidden", "./done", "done/",
        "deep//going", "done\\..\\..\\outside", "done\0", "%2e%2e/outside", "nothing", "deep",
    ],
)  # fmt: skip
def test_names_that_lead_out_or_nowhere_name_nothing(runs, name):
    folder = Folder(runs)
    assert folder.entry(name) is None
    assert folder.page(name) is None


@pytest.mark.parametrize("part", ["report.html", "metrics.jsonl", "distilled", "distilled/card.json", "snapshots/x"])
def test_a_run_with_a_link_that_leads_out_is_not_shown(runs, tmp_path, part):
    done = runs / "done"
    (done / "snapshots").mkdir()
    if (done / part).is_dir():
        (done / part).rename(tmp_path / "moved")
    else:
        (done / part).unlink(missing_ok=True)
    target = tmp_path / ("moved" if part == "distilled" else "outside/report.html")
    (done / part).symlink_to(target)
    assert Folder(runs).locate("done") is None
    assert "done" not in {entry.name for entry in Folder(runs).entries()}


def test_links_within_the_folder_are_followed(runs):
    (runs / "done" / "report.html").rename(runs / "kept.html")
    (runs / "done" / "report.html").symlink_to(runs / "kept.html")
    assert "the report" in Folder(runs).page("done").read_text()


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(AttarError, match="is not a folder"):
        Folder(tmp_path / "missing")


# -- over HTTP


@pytest.fixture
def ask(runs, serving):
    """Asks a running server, with the cookie that the key gives or another; paths go out as they are."""
    served = serving(runs)

    def ask(
        path: str, method: str = "GET", host: str | None = None, cookie: str | None = None
    ) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        shown = f'attar-view-{served.port}="{served.key}"' if cookie is None else cookie
        connection.request(method, path, headers={"Cookie": shown} | ({} if host is None else {"Host": host}))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    return ask


def test_pages_are_served_and_say_what_there_is(ask, reader):
    status, _, text = ask("/")
    assert status == 200
    listed = reader(text)
    chosen = {box["value"] for box in listed.all("input") if box.get("name") == "run"}
    assert chosen == {"done", "deep/going", "stopped"}
    assert {"report?of=done", "runs?run=done", "runs?run=deep/going", "report?of=table"} <= {
        link["href"] for link in listed.all("a")
    }
    status, _, text = ask("/runs?run=done&run=deep%2Fgoing")
    assert status == 200
    read = reader(text)
    assert "step 4 of 10, 8.0 s; about 12.0 s left" in read.text
    assert "Images at step 0" in read.text
    assert "budget per_class" in read.text  # differs
    assert "labels" not in read.text  # does not
    assert "the report" in ask("/report?of=done")[2]
    answer = json.loads(ask("/progress?run=deep/going&id=run-1")[2])
    assert answer["state"] == "under way"
    assert 'id="run-1-loss-title"' in answer["html"]


def test_settings_are_told_in_words(runs, ask, reader):
    going = runs / "deep" / "going"
    settings = json.loads((going / "settings.json").read_text())
    settings["method"]["fields"] = {
        "rule": {"type": "attar.selection.rules:ByFeatures",
                 "fields": {"pick": {"function": "attar.selection.geometry:k_center"}, "draws": False}},
        "model": "timm:resnet18",
    }  # fmt: skip
    (going / "settings.json").write_text(json.dumps({**settings, "plan": {"chunk": 64}}))
    text = reader(ask("/runs?run=deep/going")[2]).text
    told = ("method Matching", "rule ByFeatures rule pick function k_center rule draws no model timm:resnet18")
    for words in (*told, "plan chunk 64"):
        assert words in text, words


def test_more_than_two_runs_are_refused_in_a_sentence(ask):
    status, headers, text = ask("/runs?run=done&run=stopped&run=deep/going")
    assert status == 400
    assert text == "Two runs fit side by side, and this address names 3: leave out 1."
    assert headers["Content-Type"].startswith("text/plain")


OUTSIDE = (
    "/report?of=../outside", "/report?of=%2e%2e%2foutside", "/report?of=linked", "/report?of=.hidden",
    "/report?of=/etc", "/runs?run=../outside", "/runs?run=done&run=linked", "/progress?run=%2e%2e/outside",
    "/progress?run=table", "/report", "/runs", "/../outside/report.html", "/%2e%2e/outside/report.html",
    "/done/report.html", "/linked/report.html", "//etc/passwd",
)  # fmt: skip


def test_what_lies_outside_is_not_there(ask):
    for path in OUTSIDE:
        status, _, text = ask(path)
        assert status == 404, path
        assert SECRET not in text, path


def test_other_hosts_other_methods_and_scripts_of_others_are_refused(ask):
    assert ask("/", host="attacker.example")[0] == 400
    assert ask("/", host="127.0.0.1.attacker.example:80")[0] == 400
    assert ask("/", host="localhost:1234")[0] == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask("/", method)[0] == 405
    for path in ("/", "/runs?run=done", "/report?of=done"):
        policy = ask(path)[1]["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    first, second = (ask("/")[1]["Content-Security-Policy"] for _ in range(2))
    assert first != second  # a nonce is used once


def test_nothing_is_shown_without_the_key(runs, ask, serving):
    paths = ("/", "/runs?run=done", "/report?of=done", "/progress?run=done", "/nothing", "/?key=", "/?key=another")
    for path in paths:
        for cookie in ("", "attar-view=1", 'attar-view-1="a key of these tests"', "attar-view-1=\xe9"):
            status, headers, text = ask(path, cookie=cookie)
            assert status == 403, path
            assert text == "This page opens with the whole address that 'attar view' printed, its key included."
            assert "Set-Cookie" not in headers
    assert ask("/", "POST", cookie="")[0] == 403
    assert ask("/", host="attacker.example")[0] == 400  # the key does not open it under a name of another's


def test_the_key_becomes_a_cookie_that_no_other_site_can_send(ask):
    status, headers, _ = ask("/report?of=done&key=a+key+of+these+tests", cookie="")
    assert status == 200
    kept = headers["Set-Cookie"]
    assert "HttpOnly" in kept
    assert "SameSite=strict" in kept
    assert "Path=/" in kept
    status, headers, _ = ask("/runs?run=done", cookie=kept.partition(";")[0])
    assert status == 200
    assert "Set-Cookie" not in headers


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of files")
def test_the_address_has_a_key_of_its_own_and_the_browser_is_not_told_it_by_argument(runs, monkeypatch, capsys):
    uvicorn = pytest.importorskip("uvicorn", reason="needs the extra 'view'")
    from attar.report import live

    opened = []

    def look(uri: str) -> None:
        file = Path(url2pathname(urlsplit(uri).path))
        opened.append((uri, file.read_text(), file.parent.stat().st_mode & 0o777))

    monkeypatch.setattr(live.webbrowser, "open", look)
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
    keys = []
    for _ in range(2):
        live.serve(runs, open_browser=True)
        address = capsys.readouterr().err.strip().rpartition(" ")[2]
        keys.append(parse_qs(urlsplit(address).query)["key"][0])
        uri, content, mode = opened[-1]
        assert keys[-1] not in uri
        assert address in content
        assert mode == 0o700
        assert not Path(url2pathname(urlsplit(uri).path)).exists()
    assert len(set(keys)) == 2
    assert min(map(len, keys)) >= 43


def test_damaged_runs_are_missing_and_odd_numbers_are_left_out(runs, ask):
    going = runs / "deep" / "going"
    with (going / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "seconds": NaN}\n{"step": 1e999, "seconds": 1}\n{"step": 6, "seconds": 1e999}\n')
    settings = json.loads((going / "settings.json").read_text())
    (going / "settings.json").write_text(json.dumps({**settings, "time_budget": float("nan")}))
    (runs / "done" / "result.json").write_text('{"seconds": NaN, "finished": true}')
    for path in ("/", "/runs?run=deep/going", "/runs?run=done"):
        assert ask(path)[0] == 200, path
    assert "step 4 of 10" in ask("/progress?run=deep/going")[2]
    [kept] = (going / "snapshots").iterdir()
    for name, content in ((kept.name, b"spoilt"), ("latest.safetensors", kept.read_bytes())):
        (going / "snapshots" / name).write_bytes(content)
        for path in ("/runs?run=deep/going", "/progress?run=deep/going"):
            assert ask(path)[0] == 404, path
        kept.unlink(missing_ok=True)


def test_hostile_names_are_text(runs, new_run, ask, reader):
    new_run(runs / "<img src=x onerror=alert(1)>", name="</script><script>alert(1)</script>")
    for path in ("/", "/runs?run=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"):
        status, _, text = ask(path)
        assert status == 200
        read = reader(text)
        assert len(read.all("script")) == 1
        assert not any("onerror" in attributes for _, attributes in read.elements)


def test_without_starlette_the_extra_is_named(runs, monkeypatch):
    from attar.report.live import application

    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(AttarError, match=r"pip install 'attar\[view\]'"):
        application(runs, "key")


def test_a_port_that_is_taken_is_told(runs):
    pytest.importorskip("uvicorn", reason="needs the extra 'view'")
    from attar.report.live import serve

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AttarError, match="cannot be used"):
        serve(runs, taken.getsockname()[1])
    with pytest.raises(AttarError, match="cannot be used"):
        serve(runs, 70_000)
