"""Subjects and messages as customers write them: plain text, and HTML of mail programs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from numpy.random import Generator

SUBJECTS = (
    "Cannot log in",
    "Wo ist meine Bestellung?",
    "Facture manquante &amp; remboursement",
    "Refund for order #{number}",
    "The app crashes 😢",
    "Re: Re: Your request {number}",
)
_SENTENCES = (
    "I cannot log in since the update.",
    "The order {number} never arrived, please refund it.",
    "Ich kann mich seit gestern nicht mehr anmelden.",
    "Mon compte a été débité deux fois ce mois-ci.",
    "If a < b the page shows an error, see <support@example.com>.",
    "Es funktioniert nicht – weder im Browser noch in der App.",
    "Thanks 👍 for the quick answer!",
    "לא קיבלתי את החשבונית.",
    "Can you check & tell me what happened?",
    "We tried it on three machines, with the same result each time.",
)


def plain_mail(rng: Generator, number: int, sentences: int) -> str:
    """A message without markup: paragraphs, and at times the quoted message below."""
    lines = _paragraphs(rng, number, sentences)
    quoted = "\n\nOn Mon, 5 May 2025 at 10:00, Support <support@example.com> wrote:\n> " + lines[0]
    return "\n\n".join(lines) + (quoted if rng.random() < 0.2 else "")


def outlook_mail(rng: Generator, number: int, sentences: int) -> str:
    """A message as Outlook writes it: styles in a head, a paragraph per line, empty ones between."""
    style = (
        '<style><!-- @font-face {font-family:"Cambria Math";} p.MsoNormal {margin:0cm; font-size:11.0pt;} --></style>'
    )
    empty = '<p class="MsoNormal"><o:p>&nbsp;</o:p></p>\r\n'
    lines = empty.join(
        f'<p class="MsoNormal"><span lang="EN-US" style="mso-fareast-language:EN-US">{escape(line)}<o:p></o:p></span>'
        "</p>"
        for line in _paragraphs(rng, number, sentences)
    )
    return (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head>'
        f'<meta http-equiv="Content-Type" content="text/html; charset=utf-8">{style}</head>\r\n'
        f'<body lang="EN-US"><div class="WordSection1">\r\n{lines}</div></body></html>'
    )


def gmail_mail(rng: Generator, number: int, sentences: int) -> str:
    """A message as Gmail writes it: lines in `div`, and the quoted message below."""
    lines = _paragraphs(rng, number, sentences)
    blank = "<div><br></div>"
    own = blank.join(f"<div>{escape(line)}</div>" for line in lines)
    return (
        f'<div dir="ltr">{own}</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Mon, 5 May 2025 '
        'at 10:00 Support &lt;<a href="mailto:support@example.com">support@example.com</a>&gt; wrote:<br></div>'
        '<blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204)">'
        f"{escape(lines[0])}</blockquote></div>"
    )


WRITERS: Sequence[Callable[[Generator, int, int], str]] = (
    plain_mail,
    plain_mail,
    plain_mail,
    plain_mail,
    outlook_mail,
    gmail_mail,
)


def _paragraphs(rng: Generator, number: int, sentences: int) -> list[str]:
    """Paragraphs of three sentences."""
    chosen = [_SENTENCES[place].format(number=number) for place in rng.integers(0, len(_SENTENCES), sentences)]
    return [" ".join(chosen[start : start + 3]) for start in range(0, len(chosen), 3)]
