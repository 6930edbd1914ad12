"""`attar view`: a folder of runs and comparisons in a browser, on this machine only.

Loopback is open to every user of a machine, so the address that is printed holds a key, drawn anew each time: without it
nothing is shown. A browser that comes with the key gets it back as a cookie. The server listens on loopback, answers GET
alone, and refuses names of other hosts, so that no page from elsewhere can reach it under a name of its own. It reads
nothing outside the folder (see `folder`), and what it sends cannot load or send anything: reports run no script at all,
its own pages only the one that they carry.
"""

from __future__ import annotations

import secrets
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attar.distilled import Distilled
from attar.distilled.card import names_of, size_text
from attar.report.charts import curve
from attar.report.folder import UNREADABLE, Folder
from attar.report.page import Pictures
from attar.report.pictures import strips
from attar.report.render import template, unfold
from attar.report.words import duration
from attar.runs import RunDirectory
from attar.types import AttarError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["application", "serve"]

HOSTS = ["127.0.0.1", "localhost"]
SHOWN = 10  # pictures of each class
_SHUT = "base-uri 'none'; form-action {form}; frame-ancestors 'none'"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def serve(folder: str | Path, port: int = 0, open_browser: bool = False) -> None:
    """Serve a folder of runs on loopback until Ctrl-C, to whoever has the address that is printed, key and all.

    Args:
        folder: holds runs and comparisons, at any depth up to four.
        port: 0 for one that is free.
        open_browser: show it at once.

    Raises:
        AttarError: if there is no such folder, the port is taken or the extra "view" is not installed.
    """
    key = secrets.token_urlsafe(32)
    served = application(folder, key)
    import uvicorn

    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOSTS[0], port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise AttarError(
            f"port {port} cannot be used ({error}): give another, or none for one that is free."
        ) from error
    address = f"http://{HOSTS[0]}:{listening.getsockname()[1]}/?key={key}"
    said = f"attar: {folder} is shown to whoever has this address (Ctrl-C ends it): {address}"
    print(said, file=sys.stderr, flush=True)
    server = uvicorn.Server(uvicorn.Config(served, log_level="warning", lifespan="off"))
    try:
        with _opened(address) if open_browser else nullcontext():
            server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()


@contextmanager
def _opened(address: str) -> Iterator[None]:
    """Open an address in the browser by way of a file that nobody else can read: all users see a program's arguments."""
    with tempfile.TemporaryDirectory(prefix="attar-view-") as folder:
        file = Path(folder) / "open.html"
        file.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">', encoding="utf-8")
        webbrowser.open(file.as_uri())
        yield


def application(folder: str | Path, key: str) -> Starlette:
    """The pages of a folder as an ASGI application.

    Args:
        folder: holds runs and comparisons.
        key: what a browser has to show, in the address (``?key=``) or as the cookie that it gets for that.

    Raises:
        AttarError: if there is no such folder, or the extra "view" is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.base import BaseHTTPMiddleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.routing import Route
    except ImportError as error:
        raise AttarError("attar view needs starlette and uvicorn: pip install 'attar[view]'.") from error
    found = Folder(folder)
    pages: dict[str, Callable[[Folder, Request], Response]] = {
        "/": _list,
        "/runs": _runs,
        "/report": _report,
        "/progress": _progress,
    }

    def route(page: Callable[[Folder, Request], Response]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            response = page(found, request)
            response.headers.update(_HEADERS)
            return response

        return answer

    return Starlette(
        routes=[Route(path, route(page), methods=["GET"]) for path, page in pages.items()],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
            Middleware(BaseHTTPMiddleware, dispatch=_locked(key)),
        ],
    )


def _locked(key: str) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    """Answers only those who have the key."""

    def fits(shown: str | None) -> bool:
        return shown is not None and secrets.compare_digest(shown.encode(), key.encode())

    async def answer(request: Request, shown: Callable[[Request], Awaitable[Response]]) -> Response:
        name = f"attar-view-{(request.scope.get('server') or ('', ''))[1]}"  # cookies are the same on all ports
        brought = fits(request.query_params.get("key"))
        if not brought and not fits(request.cookies.get(name)):
            return _text("This page opens with the whole address that 'attar view' printed, its key included.", 403)
        response = await shown(request)
        if brought:
            response.set_cookie(name, key, httponly=True, samesite="strict")
        return response

    return answer


def _list(folder: Folder, request: Request) -> Response:
    return _page(
        "live_list.html", folder=str(folder.root), entries=folder.entries(), size_text=size_text, moment=_moment
    )


def _runs(folder: Folder, request: Request) -> Response:
    """One run, or two side by side: ?run=a&run=b."""
    names = request.query_params.getlist("run")
    if len(names) > 2:
        return _text(
            f"Two runs fit side by side, and this address names {len(names)}: leave out {len(names) - 2}.", 400
        )
    columns = [_column(folder, name, f"run-{place}") for place, name in enumerate(names)]
    shown = [column for column in columns if column is not None]
    if not shown or len(shown) < len(columns):
        return _missing()
    return _page("live_runs.html", columns=shown, settings=_settings(shown), size_text=size_text)


def _report(folder: Folder, request: Request) -> Response:
    from starlette.responses import HTMLResponse

    path = folder.page(request.query_params.get("of", ""))
    if path is None:
        return _missing()
    shut = _SHUT.format(form="'none'")
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox; {shut}"
    return HTMLResponse(path.read_bytes(), headers={"Content-Security-Policy": policy})


def _progress(folder: Folder, request: Request) -> Response:
    """The part of a page that changes while a run is under way."""
    from starlette.responses import JSONResponse

    place = request.query_params.get("id", "run-0")
    column = _column(folder, request.query_params.get("run", ""), place if place in ("run-0", "run-1") else "run-0")
    if column is None:
        return _missing()
    html = template("live_part.html").render(column=column, duration=duration)
    return JSONResponse({"state": column["progress"].state, "html": html})


def _page(name: str, **context: Any) -> Response:
    from starlette.responses import HTMLResponse

    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; connect-src 'self'; script-src 'nonce-{nonce}'; "
        + _SHUT.format(form="'self'")
    )
    text = template(name).render(nonce=nonce, duration=duration, **context)
    return HTMLResponse(text, headers={"Content-Security-Policy": policy})


def _missing() -> Response:
    return _text("There is no such run here.", 404)


def _text(sentence: str, status: int) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(sentence, status_code=status, headers=_HEADERS)


def _column(folder: Folder, name: str, place: str) -> dict[str, Any] | None:
    """What is shown of a run; None where the name names none, or what it names is damaged."""
    from safetensors import SafetensorError

    try:
        return _shown(folder, name, place)
    except (*UNREADABLE, SafetensorError):
        return None


def _shown(folder: Folder, name: str, place: str) -> dict[str, Any] | None:
    entry, run = folder.entry(name), folder.run(name)
    progress = folder.progress(name) if entry is not None and entry.kind == "run" else None
    if entry is None or run is None or progress is None:
        return None
    pictures, names, step = _pictures(run)
    found = None if pictures is None else strips(pictures, SHOWN)
    return {
        "id": place,
        "entry": entry,
        "progress": progress,
        "curve": curve(progress.loss),
        "strips": found,
        "step": step,
        "names": names_of(names, max(found.rows, default=-1) + 1) if found is not None else (),
        "settings": dict(unfold({key: run.settings.get(key) for key in _SETTINGS})),
    }


_SETTINGS = ("method", "budget", "steps", "time_budget", "seed", "plan", "problem", "command")


def _pictures(run: RunDirectory) -> tuple[Pictures | None, Sequence[str], int | None]:
    """The images of the result, or the latest that a run under way has kept; names of classes; their step."""
    try:
        value = Distilled.load(run.path)
        return Pictures(value.data.x.numpy(), value.labels.numpy()), value.training.class_names, None
    except AttarError:
        kept = run.snapshots()
    if not kept:
        return None, (), None
    step, x, classes = kept[-1]
    return Pictures(x.numpy(), classes.numpy()), (), step


def _settings(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Settings by name, a method's own without that word before them; of two runs only those that differ."""
    names = dict.fromkeys(name for column in columns for name in column["settings"])
    rows = [(name.removeprefix("method "), [column["settings"].get(name, "") for column in columns]) for name in names]
    return rows if len(columns) == 1 else [(name, values) for name, values in rows if values[0] != values[1]]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
