"""The whole program as people start it: power cuts, restarts, a second start, a taken port."""

import asyncio
import socket
import subprocess
import sys

import httpx
import psutil

from tests.integration.conftest import ROOT, running, until, worker_of
from tests.tiny import furnish
from webui import app
from webui.settings import Server

WITHOUT_TORCH = """
import sys
from pathlib import Path
from webui import app
from webui.settings import load
import webui.cli

with app.opened(load({}, environment={}, home=Path(sys.argv[1]))) as studio:
    app.application(studio, port=1, say=print)
    heavy = {"torch", "diffusers", "transformers", "safetensors.torch", "scipy"}
    print(sorted(heavy & set(sys.modules)))
"""


def test_the_server_never_imports_torch(tmp_path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(furnish(tmp_path))],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )

    assert said.stdout.splitlines()[-1] == "[]"


def test_neither_a_power_cut_nor_a_stop_in_the_middle_of_a_job_loses_anything(tmp_path) -> None:
    with running(furnish(tmp_path)) as program:
        whole = program.submit(steps=60, batch_count=2)
        program.ended(whole)
        expected = program.pixels(whole)
        cut, waiting = program.submit(steps=60, batch_count=2), program.submit(steps=1)
        until(lambda: program.job(cut)["progress"]["batch"] == 1)
        orphan = worker_of(program.process)
        program.kill()
        psutil.wait_procs([orphan], timeout=10)
        assert not orphan.is_running()

    with running(tmp_path) as program:
        again, after = program.ended(cut), program.ended(waiting)
        assert (again["state"], after["state"]) == ("done", "done")
        assert again["attempts"] == 2
        assert program.pixels(cut) == expected
        assert len(program.pixels(whole)) == 2

        jobs = [program.submit(steps=150, batch_count=50), program.submit(steps=1)]
        until(lambda: program.job(jobs[0])["progress"]["step"] > 2)
        assert program.stop() < 10

    with running(tmp_path) as program:
        assert all(program.job(job)["state"] in ("queued", "running") for job in jobs)
        program.http.delete(f"/atelier/v1/jobs/{jobs[0]}")
        assert program.ended(jobs[1])["state"] == "done"


def test_a_second_server_on_the_same_folder_names_the_first(tmp_path) -> None:
    with running(tmp_path) as program:
        second = subprocess.run(
            [sys.executable, "-m", "webui.cli", "serve", "--data-dir", str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )

        assert second.returncode == 1
        assert f"process {program.process.pid} on port {program.port}" in second.stderr
        assert "Traceback" not in second.stderr
        assert program.http.get("/").status_code == 200


def test_damaged_files_are_kept_aside_and_told_and_a_taken_port_is_replaced(tmp_path) -> None:
    (tmp_path / "atelier.sqlite3").write_bytes(b"this is no database" * 1000)
    written = '{\n    "eta_ddim": 0.5,\n    "s_churn": "much",\n    "server": {"port": "x"},\n'
    (tmp_path / "config.json").write_text(written, encoding="utf-8")

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        command = [sys.executable, "-m", "webui.cli", "serve", "--no-browser"]
        command += ["--data-dir", str(tmp_path), "--port", str(taken)]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        said: list[str] = []
        for line in server.stdout:
            said.append(line)
            if "Atelier is at" in line:
                break
        port = int(said[-1].split()[3].rpartition(":")[2])
        answer = httpx.get(f"http://127.0.0.1:{port}/sdapi/v1/options")
        server.terminate()
        server.communicate()

    told = "".join(said)
    assert f"Port {taken} is taken" in told
    assert port > taken
    assert answer.json()["eta_ddim"] == 0.5
    assert "config.json is damaged" in told
    assert "server.port is 'x'" in told
    assert "s_churn is 'much'" in told
    assert "atelier.sqlite3 was damaged" in told
    assert (tmp_path / "config.json.bad-1").read_text(encoding="utf-8") == written
    assert (tmp_path / "atelier.sqlite3.bad-1").is_file()


def test_a_small_answer_leaves_at_once() -> None:
    """One that waits for company waits 40 ms, and the page loses the click that crosses it."""

    async def at_once() -> int:
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own: socket.socket = writer.get_extra_info("socket")
            answered.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with app.listening(Server(port=7860), say=print) as listener:
            async with await asyncio.start_server(answer, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                writer.close()
                return await answered

    assert asyncio.run(at_once())
