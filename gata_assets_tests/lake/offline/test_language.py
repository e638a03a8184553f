"""The language of tickets. Real: the package and its model; the downloads that it could make are refused."""

from __future__ import annotations

import socket

import polars as pl
import pytest

from gata_assets.lake.offline.language import detect_languages
from gata_assets.lake.offline.rules import OfflineRules
from gata_assets_tests.lake.offline.stories import only

SENTENCES = {
    "en": "I cannot log in since the update",
    "de": "Ich kann mich seit gestern nicht mehr anmelden",
    "fr": "Je n'arrive pas à me connecter",
    "es": "No puedo iniciar sesión desde ayer",
    "pt": "Não consigo entrar na minha conta",
    "nl": "Ik kan niet meer inloggen",
    "ru": "Не могу войти в аккаунт",
    "ja": "ログインできません",
    "he": "אני לא מצליח להתחבר",
    "ar": "لا أستطيع تسجيل الدخول",
}


def test_sentences_have_their_language_without_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = detect_languages(pl.Series(list(SENTENCES.values())))
    assert found.to_list() == list(SENTENCES)


def test_texts_without_letters_have_no_language() -> None:
    assert detect_languages(pl.Series(["", "123 456", "👍", None, "a"])).to_list() == [None] * 5


def test_a_language_is_told_only_where_it_is_asked_for() -> None:
    texts = {"subject": "Hallo", "description": "Ich kann mich\nseit gestern nicht mehr anmelden"}
    assert only(**texts)["language"] is None
    assert only(OfflineRules(has_language=True), **texts)["language"] == "de"
