"""Two hundred ways in which text of a file may try to become a script, a link or an element of a page."""

RAN = "window.ran=(window.ran||0)+1"
"""What each of them wants to run."""

_ELEMENTS = (
    "<script>{0}</script>",
    "<img src=x onerror={0}>",
    "<svg onload={0}>",
    "<svg><script>{0}</script></svg>",
    "<iframe srcdoc='<script>parent.{0}</script>'></iframe>",
    "<iframe src='javascript:parent.{0}'></iframe>",
    "<body onload={0}>",
    "<details open ontoggle={0}>x</details>",
    "<input autofocus onfocus={0}>",
    "<video><source onerror={0}></video>",
    "<audio src=x onerror={0}></audio>",
    "<object data=x onerror={0}></object>",
    "<math><mtext><img src=x onerror={0}></mtext></math>",
    "<style onload={0}></style>",
    "<template><script>{0}</script></template><img src=x onerror={0}>",
    "<link rel=stylesheet href=x onerror={0}>",
    "<marquee onstart={0}>x</marquee>",
    "<ImG sRc=x OnErRoR={0}>",
    "<img/src=x/onerror={0}>",
    '<img src=x onerror="{0}"',
)
_WRAPPED = (
    "{0}",
    '">{0}',
    "'>{0}",
    "</title></style></textarea></script>{0}",
    "--><!-- -->{0}",
    "]]>{0}",
    "</div></span>\n\n{0}",
    "`{0}`",
    "&lt;{0}",
)
_OTHER = (
    "[x](javascript:{0})",
    '![x](x"onerror="{0})',
    "[x]: javascript:{0}\n[x]",
    "<javascript:{0}>",
    "javascript:{0}",
    "data:text/html,<script>{0}</script>",
    ":material/x:<img src=x onerror={0}>",
    ":red[<img src=x onerror={0}>]",
    "$\\href{{javascript:{0}}}{{x}}$",
    "$$\\htmlData{{onclick={0}}}{{x}}$$",
    "{{{{constructor.constructor('{0}')()}}}}",
    "${{{0}}}",
    "#{{{0}}}",
    "<%= {0} %>",
    "\\u003cscript\\u003e{0}\\u003c/script\\u003e",
    "&#60;img src=x onerror={0}&#62;",
    "%3Cscript%3E{0}%3C/script%3E",
    '=HYPERLINK("javascript:{0}")',
    "\u202e<img src=x onerror={0}>",
    "\x1b]8;;javascript:{0}\x07x",
)

PAYLOADS: tuple[str, ...] = tuple(
    [wrap.format(element.format(RAN)) for element in _ELEMENTS for wrap in _WRAPPED]
    + [one.format(RAN) for one in _OTHER]
)
assert len(set(PAYLOADS)) == 200
