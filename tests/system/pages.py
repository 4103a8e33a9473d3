"""Everything that a browser sees of the page: each page that a link leads to."""

from typing import Final

from tests.system.machine import Machine

CRAWL: Final = """
import re, sys
from http.client import HTTPConnection
def ask(method, path, body=None, cookie=""):
    here = HTTPConnection("127.0.0.1", 8323, timeout=120)
    here.request(method, path, body, {"Cookie": cookie})
    answer = here.getresponse()
    return answer.getheader("set-cookie") or "", answer.read().decode(errors="replace")
cookie, _ = ask("POST", "/enter", "secret=" + sys.argv[1])
seen, todo = set(), ["/"]
while todo:
    path = todo.pop()
    if path in seen or path.startswith(("/static", "/events")):
        continue
    seen.add(path)
    _, shown = ask("GET", path, cookie=cookie.partition(";")[0])
    print(path)
    print(shown)
    todo += re.findall('(?:href|src)="(/[^"#]*)', shown)
"""


def all_pages(machine: Machine) -> str:
    """Give the texts of all pages, each below its path."""
    token = machine.run("mammo-edge", "page", "--token").strip().partition("#")[2]
    return machine.run("/opt/mammo-edge/venv/bin/python", "-c", CRAWL, token)
