"""Language and script: right where there is evidence, silent where there is none."""

from __future__ import annotations

import pytest

from escalade.data import dominant_script, guess_language

TEXTS = {
    "en": "The old man walked down to the river with his dog, and they sat there in the sun for an hour or two.",
    "de": "Der alte Mann ging mit seinem Hund zum Fluss, und sie saßen dort eine Stunde in der Sonne auf den Steinen.",
    "fr": "Le vieil homme est descendu à la rivière avec son chien, et ils sont restés une heure dans le soleil.",
    "es": "El viejo bajó al río con su perro y se sentaron en las piedras por una hora con los niños.",
    "it": "Il vecchio scese al fiume con il cane e si sedettero per un'ora nel sole, ma non è tutto.",
    "pt": "O velho desceu para o rio com o cão e não se levantou por uma hora, mas foi para casa.",
    "nl": "De oude man liep met zijn hond naar de rivier en ze zaten daar een uur in de zon, maar niet voor het huis.",
    "zh": "老人带着狗走到河边，在阳光下坐了一个小时。The end.",
    "ja": "老人は犬を連れて川まで歩き、日なたに一時間座っていた。",
    "ko": "노인은 개를 데리고 강가로 걸어가 햇볕 아래 한 시간 동안 앉아 있었다.",
    "th": "ชายชราเดินไปที่แม่น้ำกับสุนัขของเขา",
    "ar": "مشى الرجل العجوز إلى النهر مع كلبه وجلسا هناك في الشمس ساعة",
    "fa": "پیرمرد با سگش به کنار رودخانه رفت و یک ساعت در آفتاب نشستند",
    "ru": "Старик спустился к реке со своей собакой, и они просидели там целый час.",
    "uk": "Старий спустився до річки зі своїм собакою, і вони просиділи там цілу годину.",
    "he": "הזקן הלך אל הנהר עם כלבו וישבו שם שעה",
    "el": "Ο γέρος κατέβηκε στο ποτάμι με τον σκύλο του",
    "hi": "बूढ़ा आदमी अपने कुत्ते के साथ नदी तक गया",
}


@pytest.mark.parametrize("code", TEXTS)
def test_languages(code: str) -> None:
    guessed = guess_language([TEXTS[code]])
    assert guessed.code == code
    assert guessed.why.text


@pytest.mark.parametrize("text", ["", "12 + 3 = 15", "ok yes", "Lorem kwzt brrm " * 20, "x = f(y); return z[0] " * 20])
def test_unsure(text: str) -> None:
    assert guess_language([text]).code == "und"
    assert guess_language([]).code == "und"


def test_scripts() -> None:
    assert dominant_script("snow 雪") == "LATIN"
    assert dominant_script("雪雪雪 snow") == "HAN"
    assert dominant_script("123 …") == ""
    assert dominant_script("カタカナ漢字") == "KANA"


def test_a_few_foreign_rows_do_not_decide() -> None:
    assert guess_language([TEXTS["zh"]] * 9 + [TEXTS["en"]]).code == "zh"
