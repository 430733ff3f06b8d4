"""Ray's configuration of HAProxy is mended where it is too open, and nowhere else; HAProxy itself takes the result."""

import subprocess
from pathlib import Path

import msgspec
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from serve import front_end, problem
from serve.front_end import AT_HAND, AT_WORK, REQUEST_WITHIN_S, WAITS_MS, install, mended
from serve.problem import Kind

KINDS = [kind for kind in vars(problem).values() if isinstance(kind, Kind)]
RAYS = """global
    maxconn 4096
defaults
    mode http
    errorfile 502 /ray/500.http
    errorfile 503 /ray/500.http
    errorfile 504 /ray/500.http
frontend prometheus
    bind :19101
frontend http_frontend
    bind *:8080
    default_backend nba
backend default_backend
    http-request return status 404 content-type text/plain lf-string "Path \\'%[path]\\' not found."
backend nba
    log global
    # Enable HTTP connection reuse for better performance
    http-reuse always
    server one 127.0.0.1:8000 check observe layer4 error-limit 3 on-error mark-down
    server rays-own 127.0.0.1:8001 check backup
listen stats
  bind *:18404
"""


def test_private_ports_are_for_this_machine_and_the_service_for_all(tmp_path: Path) -> None:
    lines = [line.strip() for line in mended(RAYS, private=(18404, 19101), directory=tmp_path).splitlines()]

    assert [line for line in lines if line.startswith("bind")] == [
        "bind 127.0.0.1:19101",
        "bind *:8080",
        "bind 127.0.0.1:18404",
    ]


def test_while_no_application_runs_the_answer_is_503_and_not_that_the_address_is_unknown(tmp_path: Path) -> None:
    assert "http-request return status 404" in HAPROXY_CONFIG_TEMPLATE  # what is replaced, as Ray writes it
    found = [line for line in HAPROXY_CONFIG_TEMPLATE.splitlines() if "return status 404" in line]

    (line,) = mended(found[0], private=(), directory=tmp_path).splitlines()

    assert line.startswith("    http-request return status 503 content-type application/problem+json hdr Retry-After 1")


def test_requests_are_limited_in_time_and_number_and_no_trouble_is_called_a_500(tmp_path: Path) -> None:
    text = mended(RAYS, private=(), directory=tmp_path)

    assert f"timeout http-request {REQUEST_WITHIN_S}s" in text
    assert "option http-buffer-request" in text
    assert "500.http" not in text
    assert [f"errorfile {n} {tmp_path}/{n}.http" in text for n in (400, 408, 502, 503, 504)] == [True] * 5
    assert f"server one 127.0.0.1:8000 check maxconn {AT_WORK} observe" in text
    assert "server rays-own 127.0.0.1:8001 check backup" in text
    assert f"timeout queue {WAITS_MS}ms" in text
    assert f"mul({AT_HAND})" in text.partition("backend nba")[2]
    assert "stopping" in text.partition("frontend http_frontend")[2].partition("backend")[0]


def test_haproxy_takes_it_and_its_answers_are_problems(tmp_path: Path) -> None:
    binary = front_end._binary()
    assert binary is not None
    assert install(tmp_path, private=()) is not None
    (tmp_path / "haproxy.cfg").write_text(mended(RAYS, private=(), directory=tmp_path))
    checked = subprocess.run(
        [binary, "-c", "-f", str(tmp_path / "haproxy.cfg")], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
    assert "ALERT" not in checked.stderr
    for status, told in ((400, 400), (408, 408), (502, 503), (503, 503), (504, 503)):
        head, _, body = (tmp_path / f"{status}.http").read_bytes().partition(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {told} ".encode())
        assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
        assert (b"Retry-After: 1" in head) == (told == 503)
        said = msgspec.json.decode(body)
        assert said["status"] == told
        assert (said["type"], said["title"]) in {(f"urn:nba:problem:{kind.name}", kind.title) for kind in KINDS}


def test_mending_fits_the_template_of_this_ray() -> None:
    """What `mended` looks for is what Ray writes: a new Ray with another template fails here."""
    assert "\ndefaults\n" in HAPROXY_CONFIG_TEMPLATE
    assert "\nfrontend http_frontend\n" in HAPROXY_CONFIG_TEMPLATE
    assert "\n    server {{ server.name }} {{ server.host }}:{{ server.port }} check{% if" in HAPROXY_CONFIG_TEMPLATE
    assert "\n    http-reuse always\n" in HAPROXY_CONFIG_TEMPLATE
    assert "\n    errorfile 503 {{ config.error_file_path }}\n" in HAPROXY_CONFIG_TEMPLATE
    assert "bind :{{ config.metrics_port }}\n" in HAPROXY_CONFIG_TEMPLATE
    assert "bind *:{{ config.stats_port }}\n" in HAPROXY_CONFIG_TEMPLATE
