"""The FastAPI application: paths, and problem details for every error. The routes do the work.

Bodies of rows never become models: FastAPI gives paths and OpenAPI, and each route reads its own request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gata_assets.errors import GataError
from gata_assets.ingestion.http.described import erasures as described_erasures
from gata_assets.ingestion.http.described import openapi
from gata_assets.ingestion.http.middleware import RequestRecords, note_fault
from gata_assets.ingestion.http.problems import Problem, problem_of
from gata_assets.ingestion.http.routes.data import DataRoutes
from gata_assets.ingestion.http.routes.erasures import ErasureRoutes
from gata_assets.ingestion.http.routes.events import EventRoutes
from gata_assets.ingestion.http.routes.health import HealthRoutes
from gata_assets.ingestion.http.routes.validation import ValidationRoutes
from gata_assets.ingestion.http.routes.webhooks import WebhookRoutes
from gata_assets.ingestion.http.service import Service

_KINDS = {404: "no-such-path", 405: "method"}
_DETAILS = {
    404: "There is no such path: /openapi.json has those that there are.",
    405: "The path does not take this method: the header Allow has those that it takes.",
}


def build_application(service: Service) -> FastAPI:
    """The application of a service, which is closed with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.end()

    app = FastAPI(
        title="Gata ingestion",
        version=service.version,
        description=openapi.DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    data, events, validation = DataRoutes(service), EventRoutes(service), ValidationRoutes(service)
    webhooks, health, erasures = WebhookRoutes(service), HealthRoutes(service), ErasureRoutes(service)

    def route(path: str, method: str, endpoint: Any, described: dict[str, Any]) -> None:
        app.add_api_route(path, endpoint, methods=[method], response_class=Response, response_model=None, **described)

    route("/health", "GET", health.health, openapi.HEALTH)
    route("/metrics", "GET", health.metrics, openapi.METRICS)
    # Before {table}, which would match it.
    route("/internal/data/upload-csv", "POST", data.upload, openapi.UPLOAD)
    route("/internal/data/{table}", "POST", data.rows, openapi.ROWS)
    route("/v1/events", "POST", events.events, openapi.EVENTS)
    route("/v1/privacy/erasures", "POST", erasures.ask, described_erasures.ASK_ERASURE)
    route("/v1/privacy/erasures/{name}", "GET", erasures.state, described_erasures.ERASURE_STATE)
    route("/webhooks/{source}", "POST", webhooks.webhook, openapi.WEBHOOK)
    route("/api/validation/validate", "POST", validation.validate, openapi.VALIDATE)
    route("/api/validation/schema/{table}", "GET", validation.schema, openapi.SCHEMA)

    # What FastAPI has made is kept, and this with it.
    openapi.complete(app.openapi(), service)

    @app.exception_handler(Problem)
    async def of_problem(request: Request, problem: Problem) -> Response:
        return problem.answer(request.state.request_id)

    @app.exception_handler(GataError)
    async def of_error(request: Request, error: GataError) -> Response:
        note_fault(request.state, error)
        return problem_of(error).answer(request.state.request_id)

    @app.exception_handler(HTTPException)
    async def of_framework(request: Request, error: HTTPException) -> Response:
        kind, detail = _KINDS.get(error.status_code, "request"), _DETAILS.get(error.status_code, "It cannot be read.")
        return Problem(error.status_code, kind, detail, headers=error.headers).answer(request.state.request_id)

    @app.exception_handler(RequestValidationError)
    async def of_parameters(request: Request, error: RequestValidationError) -> Response:
        names = sorted({str(fault["loc"][-1]) for fault in error.errors()})
        return Problem(422, "parameter", f"Wrong parameters: {', '.join(names)}.").answer(request.state.request_id)

    app.add_middleware(RequestRecords, service=service)
    return app
