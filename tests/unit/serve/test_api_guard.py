"""Who may ask: the token on every route there is, the Host header, and where the server may be bound."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from api_serving import LABELS, TEXT, client_of, running, send, serving_text
from fastapi import FastAPI

from escalade.deploy.api_guard import OPEN_PATHS, is_loopback
from escalade.deploy.serve import ServeLimits, build_app, make_server, serve
from escalade.errors import BadInput

text_server = pytest.fixture(scope="module")(serving_text)

TOKEN = "Sesame-1"


def guarded() -> FastAPI:
    return build_app(TEXT, token=TOKEN)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(guarded(), TOKEN) as address:
        yield address


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and path, from the app's own description and from its table of routes."""
    told = [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]
    return [*told, ("GET", "/openapi.json")]


def test_the_route_table_is_the_one_meant() -> None:
    assert {path for _, path in routes(guarded())} == {
        "/health",
        "/openapi.json",
        "/v1/models",
        "/v1/models/{name}",
        "/v1/completions",
        "/v1/chat/completions",
        "/v1/embeddings",
        "/v1/classify",
    }
    assert OPEN_PATHS == {"/health"}


@pytest.mark.parametrize(("method", "path"), routes(guarded()))
@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN.lower()}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer"},
    ],
)
def test_every_route_asks_for_the_token(address: str, method: str, path: str, wrong: dict[str, str]) -> None:
    answer = send(address, path.replace("{name}", "org/echo"), method=method, headers=wrong)
    if path in OPEN_PATHS:
        assert answer.status == 200
        return
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN.encode() not in answer.content


@pytest.mark.parametrize(
    "path",
    ["//v1/models", "/v1/models/", "/v1/%6dodels", "/v1/../v1/models", "/health/../v1/models", "/health/", "/nowhere"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE"])
def test_no_way_of_writing_a_path_goes_round_the_token(address: str, method: str, path: str) -> None:
    assert send(address, path, method=method).status == 401


@pytest.mark.parametrize(("method", "path"), routes(guarded()))
def test_the_right_token_opens_every_route(address: str, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert send(address, path.replace("{name}", "org/echo"), method=method, headers=headers).status in (200, 400)


def test_the_openai_client_is_let_in_with_the_key_and_not_without(address: str) -> None:
    with client_of(address, TOKEN) as right:
        assert right.models.list().data[0].id == "org/echo"
    with client_of(address, "other") as wrong, pytest.raises(openai.AuthenticationError):
        wrong.models.list()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io", ""]
)
def test_a_foreign_host_header_is_refused_on_loopback(text_server: str, host: str) -> None:
    answer = send(text_server, "/v1/models", headers={"Host": host})
    assert (answer.status, answer.error["code"]) == (403, "wrong_host")
    assert send(text_server, "/health", headers={"Host": host}).status == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:80", "127.8.9.1"])
def test_loopback_names_are_right(text_server: str, host: str) -> None:
    assert send(text_server, "/v1/models", headers={"Host": host}).status == 200


def test_a_proxys_name_can_be_allowed() -> None:
    with running(build_app(LABELS, limits=ServeLimits(hosts=("Models.example",)))) as address:
        assert send(address, "/v1/models", headers={"Host": "models.example:443"}).status == 200
        assert send(address, "/v1/models", headers={"Host": "other.example"}).status == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_other_machines_are_let_in_with_a_token_only(host: str) -> None:
    with pytest.raises(BadInput) as error:
        serve(build_app(TEXT), host, 0)
    assert error.value.key == "serve.needs_token"


def test_a_token_that_the_app_does_not_ask_for_opens_nothing() -> None:
    with pytest.raises(BadInput) as error:
        serve(build_app(TEXT), "0.0.0.0", 0, token=TOKEN)
    assert error.value.key == "serve.needs_token"


def test_with_a_token_any_address_can_be_bound() -> None:
    server = make_server(guarded(), "0.0.0.0", 0, TOKEN)
    assert server.address.startswith("http://0.0.0.0:") and not server.address.endswith(":0")
    server.close()


@pytest.mark.parametrize("token", ["", " ", "a b", "schlüssel", "a\n"])
def test_a_token_that_no_header_carries_is_refused(token: str) -> None:
    with pytest.raises(BadInput) as error:
        build_app(TEXT, token=token)
    assert error.value.key == "serve.bad_token"


def test_a_port_in_use_is_told(text_server: str) -> None:
    port = int(text_server.rsplit(":", 1)[1])
    with pytest.raises(BadInput) as error:
        serve(build_app(TEXT), "127.0.0.1", port)
    assert error.value.key == "serve.cannot_bind" and str(port) in str(error.value)
    for port in (70000, -1):
        with pytest.raises(BadInput):
            make_server(build_app(TEXT), "127.0.0.1", port, None)


def test_what_loopback_is() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "", "10.0.0.1", "localhost.example", "example.org"]))
