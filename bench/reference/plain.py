"""The reference "plain": aiosmtplib on 10 kept connections, `EmailMessage`, Jinja, no ledger.

`python -m bench.reference.plain PORT SECONDS [CONNECTIONS]` prints the messages a second.
"""

import asyncio
import sys
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import aiosmtplib
from jinja2 import Environment

TEXT = """Hello {{ name }},

our new catalogue for {{ city }} is there: {{ link }}

Yours, the shop

Unsubscribe: {{ unsubscribe }}
"""
HTML = """<html><body><p>Hello {{ name }},</p>
<p>our new catalogue for {{ city }} is <a href="{{ link }}">there</a>.</p>
<p>Yours, the shop</p><p><a href="{{ unsubscribe }}">Unsubscribe</a></p>
<img src="{{ pixel }}" alt=""></body></html>
"""
SUBJECT = "{{ name }}, the new catalogue is there"


async def work(port: int, numbers: "asyncio.Queue[int]", deadline: float) -> int:
    """Send until the deadline on one connection; how many."""
    environment = Environment(autoescape=True)
    subject, text, html = (environment.from_string(part) for part in (SUBJECT, TEXT, HTML))
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False)
    await client.connect()
    sent = 0
    while time.perf_counter() < deadline:
        number = await numbers.get()
        numbers.put_nowait(number + 1)
        values = {
            "name": f"Person {number}",
            "city": "Ningbo",
            "link": f"https://shop.example/c/{number}",
            "unsubscribe": f"https://shop.example/u/{number}",
            "pixel": f"https://shop.example/o/{number}",
        }
        message = EmailMessage()
        message["From"] = "Shop <shop@shop.example>"
        message["To"] = f"person{number}@people.example"
        message["Subject"] = subject.render(values)
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain="shop.example")
        message["List-Unsubscribe"] = f"<{values['unsubscribe']}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(text.render(values))
        message.add_alternative(html.render(values), subtype="html")
        await client.send_message(message)
        sent += 1
    await client.quit()
    return sent


async def run(port: int, seconds: float, connections: int) -> float:
    """Messages a second."""
    numbers: asyncio.Queue[int] = asyncio.Queue()
    numbers.put_nowait(0)
    start = time.perf_counter()
    sent = await asyncio.gather(*(work(port, numbers, start + seconds) for _ in range(connections)))
    return sum(sent) / (time.perf_counter() - start)


def main() -> None:
    """The command."""
    connections = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    sys.stdout.write(f"{asyncio.run(run(int(sys.argv[1]), float(sys.argv[2]), connections))}\n")


if __name__ == "__main__":
    main()
