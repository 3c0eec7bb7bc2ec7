"""The RO-Crate validator without a network: its cache, filled with the terms that crates use.

`rocrate-validator validate --offline` takes JSON-LD contexts from its HTTP cache and from nowhere
else. Here the two addresses answer with the terms that a run's crate uses, each with the meaning
that the published contexts (RO-Crate 1.1.3, ro-terms workflow-run) give it. A term that is not
listed is one that the validator does not know: it fails the crate, as a made-up term would.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import requests
import urllib3
from requests.adapters import BaseAdapter

_SCHEMA = (
    *("ComputerLanguage", "CreateAction", "CreativeWork", "Dataset", "Organization", "Person"),
    *("SoftwareSourceCode", "about", "actionStatus", "additionalType", "agent", "author"),
    *("contentSize", "datePublished", "description", "encodingFormat", "endTime", "error"),
    *("exampleOfWork", "hasPart", "identifier", "instrument", "license", "mainEntity", "mentions"),
    *("name", "object", "programmingLanguage", "result", "startTime", "url", "version"),
    "workExample",
)
CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": {
        **{term: f"http://schema.org/{term}" for term in _SCHEMA},
        "File": "http://schema.org/MediaObject",
        "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
        "FormalParameter": "https://bioschemas.org/FormalParameter",
        "input": "https://bioschemas.org/ComputationalWorkflow#input",
        "output": "https://bioschemas.org/ComputationalWorkflow#output",
        "conformsTo": "http://purl.org/dc/terms/conformsTo",
    },
    "https://w3id.org/ro/terms/workflow-run/context": {
        "sha256": "https://w3id.org/ro/terms/workflow-run#sha256",
    },
}


class _Answers(BaseAdapter):
    """Answers requests for the contexts' addresses."""

    def send(self, request, **_kwargs):
        body = json.dumps({"@context": CONTEXTS[request.url]}).encode()
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 200, request.url, request
        answer.headers["Content-Type"] = "application/ld+json"
        answer.raw = urllib3.HTTPResponse(
            body=io.BytesIO(body), headers=answer.headers, status=200, preload_content=False
        )
        return answer

    def close(self) -> None:
        """Nothing is open."""


def fill_cache(path: Path) -> None:
    """Fill the validator's cache at `path` (what its --cache-path is given)."""
    from rocrate_validator.utils.http import HttpRequester

    requester = HttpRequester.initialize_cache(cache_path=str(path), cache_max_age=-1)
    for address in CONTEXTS:
        requester.session.mount(address, _Answers())
        requester.get(address, headers={"Accept": "application/ld+json, application/json"})
        assert requester.has_cached(address)
    HttpRequester.reset()
