"""Answers that a browser shows."""

from html import escape

from stripe_sandbox.messages import Response

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem;
  color: #1b1f27; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid #dde2ea;
  vertical-align: top; }
code { font-size: .85em; } .none { color: #667; }
button { font: inherit; padding: .15rem .6rem; border: 1px solid #5b64d8; border-radius: 4px;
  background: #fff; color: #3d46bf; cursor: pointer; }
@media (prefers-color-scheme: dark) { body { color: #e6e9ef; background: #14171d; }
  th, td { border-color: #333a46; } button { background: #14171d; color: #a9b0ff; }
  .none { color: #99a; } }
"""


def html_response(title: str, content: str, script: str = "", status: int = 200) -> Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{content}<script>{script}</script></body></html>"
    )
    return Response(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"})


def gone() -> Response:
    return html_response("Nothing here", "<p>This sandbox knows no such page.</p>", status=404)


def redirect(url: str) -> Response:
    return Response(303, b"", {"Location": url})
