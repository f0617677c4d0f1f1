"""The few pages that stand outside the door: sign in, first login, try again. Plain HTML, and hardly a script.

In:  where to go afterwards, what went wrong. Out: HTML, with a policy of its own that allows exactly this page.

They tell nothing of the site, its cases or its users.
"""

from html import escape
from string import Template
from typing import Final

from starlette.responses import HTMLResponse

from guard.headers import hash_of

STYLE: Final = """
:root { color-scheme: dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center;
  background: #0e1216; color: #d9dfe5 }
main { width: min(22rem, 90vw) }
h1 { font-size: 1.35rem; font-weight: 600; margin: 0 0 1rem }
p { margin: 0 0 1rem }
label { display: block; margin: 0 0 .9rem }
input { box-sizing: border-box; width: 100%; margin-top: .25rem; padding: .55rem .6rem; font: inherit; color: inherit;
  background: #171d23; border: 1px solid #5b6875; border-radius: 4px }
button, a.button { display: block; box-sizing: border-box; width: 100%; padding: .6rem; font: inherit; font-weight: 600;
  text-align: center; text-decoration: none; color: #0e1216; background: #6cb2e8; border: 0; border-radius: 4px;
  cursor: pointer; margin-top: 1.2rem }
:focus-visible { outline: 3px solid #d9dfe5; outline-offset: 2px }
[role=alert] { border-left: 4px solid #e8b06c; padding: .4rem .8rem; background: #171d23 }
small { color: #a7b2bd }
[hidden] { display: none }
"""
FROM_ADDRESS: Final = """
const field = document.getElementById("token");
if (location.hash.length > 1) {
  field.value = location.hash.slice(1);
  field.closest("label").hidden = true;
  history.replaceState(null, "", location.pathname);
}
"""
"""The token comes behind `#`, which browsers send to nobody: it stands in no log, and leaves the address at once."""

PAGE: Final = Template("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>clinic_mm</title>
<meta name="viewport" content="width=device-width, initial-scale=1">$head<style>$style</style></head>
<body><main>$body</main>$script</body></html>
""")
NOT_A_DEVICE: Final = "<p><small>Research software, not a medical device.</small></p>"


def answer(html: str, status: int = 200, headers: dict[str, str] | None = None) -> HTMLResponse:
    """A page with the policy that allows its style, its script and its form, and nothing else."""
    policy = (
        f"default-src 'none'; style-src {hash_of(STYLE)}; script-src {hash_of(FROM_ADDRESS)}; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(html, status, headers={"Content-Security-Policy": policy, **(headers or {})})


def sign_in(to: str = "/", problem: str = "", *, local: bool = True, oidc: bool = False) -> str:
    """The form for a name and a password, the way to the identity provider, or both."""
    form = (
        f"""<form method="post" action="/sign-in"><input type="hidden" name="to" value="{escape(to)}">
<label>Name
<input name="name" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus></label>
<label>Password
<input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button></form>"""
        if local
        else ""
    )
    provider = '<a class="button" href="/sign-in/provider">Sign in with your organisation</a>' if oidc else ""
    return _page(f"<h1>Reading room</h1>{_alert(problem)}{form}{provider}{NOT_A_DEVICE}")


def first_login(problem: str = "", *, demo: bool = False, shortest: int = 0) -> str:
    """The form behind a one-time link: choose a password; in the demo, just enter."""
    password = (
        ""
        if demo
        else f"""<label>Choose a password, {shortest} characters or more
<input name="password" type="password" autocomplete="new-password" minlength="{shortest}" required autofocus></label>
<label>The same again<input name="again" type="password" autocomplete="new-password" required></label>"""
    )
    body = f"""<h1>First login</h1>{_alert(problem)}<form method="post" action="/first-login">
<label>Token of the link<input id="token" name="token" autocomplete="off" spellcheck="false" required></label>
{password}<button>Enter</button></form>{NOT_A_DEVICE}"""
    return _page(body, script=f"<script>{FROM_ADDRESS}</script>")


def again() -> str:
    """Ask for the same page once more, from here."""
    return _page("<p>One moment …</p>", head='<meta http-equiv="refresh" content="0">')


def onward(to: str) -> str:
    """Go on to a page of ours; a redirect would still count as coming from elsewhere, without the cookie."""
    return _page("<p>One moment …</p>", head=f'<meta http-equiv="refresh" content="0;url={escape(to)}">')


def not_yours() -> str:
    """A page of which the roles of the person know nothing."""
    return _page(
        '<h1>Not for your roles</h1><p>An administrator can change them.</p><a class="button" href="/">Back</a>'
    )


def _alert(problem: str) -> str:
    return f'<p role="alert">{escape(problem)}</p>' if problem else ""


def _page(body: str, head: str = "", script: str = "") -> str:
    return PAGE.substitute(head=head, style=STYLE, body=body, script=script)
