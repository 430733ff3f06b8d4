"""Ray's configuration of HAProxy is mended where it is too open, and nowhere else."""

from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from serve.front_end import HEADERS_WITHIN_S, mended

RAYS = """global
    maxconn 4096
defaults
    mode http
frontend prometheus
    bind :19101
frontend http_frontend
    bind *:8080
listen stats
  bind *:18404
"""


def test_private_ports_are_for_this_machine_and_the_service_for_all() -> None:
    assert mended(RAYS, private=(18404, 19101)).splitlines() == [
        "global",
        "    maxconn 4096",
        "defaults",
        f"    timeout http-request {HEADERS_WITHIN_S}s",
        "    mode http",
        "frontend prometheus",
        "    bind 127.0.0.1:19101",
        "frontend http_frontend",
        "    bind *:8080",
        "listen stats",
        "  bind 127.0.0.1:18404",
    ]


def test_mending_fits_the_template_of_this_ray() -> None:
    """What `mended` looks for is what Ray writes: a new Ray with another template fails here."""
    assert "\ndefaults\n" in HAPROXY_CONFIG_TEMPLATE
    assert "bind :{{ config.metrics_port }}\n" in HAPROXY_CONFIG_TEMPLATE
    assert "bind *:{{ config.stats_port }}\n" in HAPROXY_CONFIG_TEMPLATE
