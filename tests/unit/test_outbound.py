"""What may be asked from here and what not: text of URLs, addresses however written, signatures by the standard."""

from __future__ import annotations

import ipaddress
import socket
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from reviews import notice_secrets, outbound
from reviews.outbound import Blocked, Unreachable, checked_url, may_be_asked, post


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "//hooks.example.com/",
        "hooks.example.com",
        "https:///path",
        "https://user@hooks.example.com/",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:80/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com/\r\nX-Header: 1",
        "https://hооks.example.com/",  # Cyrillic
        "https://[::1/",
        "https://hooks.example.com/" + "a" * 500,
        "",
    ],
)
def test_a_url_that_may_mislead_is_refused(url: str, settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = []
    with pytest.raises(outbound.BadUrl) as refusal:
        checked_url(url)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com",
        "https://hooks.example.com:8443/a?b=c",
        "https://xn--bcher-kva.example/",
        "https://1.1.1.1/",
    ],
)
def test_a_plain_https_url_may_be_asked(url: str) -> None:
    assert checked_url(url).scheme == "https"


INSIDE = (
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("192.0.0.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1"),
    *(
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "::10.0.0.1",
        "::7f00:1",
    ),
    *("fec0::1", "100::1"),
)


@pytest.mark.parametrize("text", INSIDE)
def test_no_way_to_write_an_inner_address_is_asked(text: str, settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = []
    assert not may_be_asked(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_public_addresses_are_asked(text: str, settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = []
    assert may_be_asked(ipaddress.ip_address(text))


def test_the_deployment_alone_opens_an_inner_network(settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = ["10.1.0.0/16", "fd00::/8"]
    assert may_be_asked(ipaddress.ip_address("10.1.2.3"))
    assert may_be_asked(ipaddress.ip_address("::ffff:10.1.2.3"))
    assert may_be_asked(ipaddress.ip_address("fd12::1"))
    assert not may_be_asked(ipaddress.ip_address("10.2.0.1"))
    assert not may_be_asked(ipaddress.ip_address("127.0.0.1"))


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """A resolver that gives these; the names that were looked up."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("1.1.1.1", "10.0.0.1"), ("169.254.169.254",)])
def test_a_name_with_one_inner_address_is_not_asked_at_all(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, addresses: tuple[str, ...]
) -> None:
    settings.WEBHOOK_NETWORKS = []
    answers(monkeypatch, *addresses)
    tried: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda *given: tried.append(given))
    with pytest.raises(Blocked):
        post("https://hooks.example.com/", body=b"{}", headers={})
    assert tried == []


def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.WEBHOOK_NETWORKS = []
    asked = answers(monkeypatch, "1.1.1.1")
    tried: list[Any] = []

    def connect(address: Any, _timeout: float) -> Any:
        tried.append(address)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(Unreachable):
        post("https://hooks.example.com/", body=b"{}", headers={})
    assert asked == ["hooks.example.com"]
    assert tried == [("1.1.1.1", 443)]


def test_signatures_are_those_of_standard_webhooks() -> None:
    # The example of the specification's reference libraries.
    found = notice_secrets.signature(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_sealed_and_two_secrets_sign_twice() -> None:
    one, other = notice_secrets.new_secret(), notice_secrets.new_secret()
    sealed = notice_secrets.seal(one)
    assert one not in sealed
    assert notice_secrets.unseal(sealed) == one
    both = notice_secrets.signature([one, other], message_id="no_1", at=datetime.now(UTC), body=b"{}")
    assert len(set(both.split(" "))) == 2
