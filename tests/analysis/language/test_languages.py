"""Languages other than English: what must be suggested, what must be barred, what must not be sure."""

from __future__ import annotations

import numpy as np
import pytest

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.guard import differences
from memdefrag.analysis.language.languages import is_german
from memdefrag.analysis.language.words import Words, normalise
from memdefrag.analysis.sure import judge
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot


def verdict(one: str, other: str) -> str:
    sure, barred = judge(Words.of(one), Words.of(other), 0.95)
    assert judge(Words.of(other), Words.of(one), 0.95) == (sure, barred)
    return "sure" if sure else "barred" if barred else "open"


def told(one: str, other: str) -> list[str]:
    return [found.text for found in differences(Words.of(one), Words.of(other))]


SAME = [
    ("Der Server läuft auf Port 8080.", "der server läuft auf port 8080"),
    ("Anna mag grünen Tee und Kaffee", "[2024-03-01] Anna mag grünen Tee und Kaffee!"),
    ("Die Sicherung läuft jede Nacht.", "Notiz: Die Sicherung läuft jede Nacht."),
    ("A María le gusta el té verde.", "a maría le gusta el té verde"),
    ("El servidor usa el puerto 8080.", "Nota: El servidor usa el puerto 8080."),
    ("我喜欢喝绿茶。", "我喜欢喝绿茶"),
    ("服务器使用端口８０８０。", "服务器使用端口8080"),
    ("备注：她住在上海。", "她住在上海。"),
    ("我养了三只猫。", "我养了3只猫。"),
    ("会议在2023年5月3日。", "会议在２０２３年５月３日"),
    ("東京に住んでいます。", "東京に住んでいます"),
    ("メモ：毎朝コーヒーを飲みます。", "毎朝コーヒーを飲みます。"),
    ("ฉันชอบดื่มชา", "ฉันชอบดื่มชา "),
]


@pytest.mark.parametrize("one, other", SAME)
def test_what_normalises_to_the_same_is_sure(one: str, other: str) -> None:
    assert verdict(one, other) == "sure"


CONTRADICTIONS = [
    ("Der Server läuft auf Port 8080.", "Der Server läuft auf Port 8081.", "port: 8080 / 8081"),
    ("Er hat zwei Katzen und einen Hund.", "Er hat drei Katzen und einen Hund.", "number: 2 / 3"),
    ("Anna mag grünen Tee.", "Anna mag keinen grünen Tee.", "negation: – / not"),
    ("Er arbeitet nicht in Berlin.", "Er arbeitet in Berlin.", "negation: not / –"),
    ("Ich habe das Auto verkauft.", "Ich habe das Haus verkauft.", "word: auto / haus"),
    ("Lieblingsfarbe Blau", "Lieblingsfarbe Rot", "name: Blau / Rot"),
    ("El servidor usa el puerto 8080.", "El servidor usa el puerto 9090.", "port: 8080 / 9090"),
    ("Ella tiene once gatos en la casa.", "Ella tiene doce gatos en la casa.", "number: 11 / 12"),
    ("Mi hermana come carne.", "Mi hermana no come carne.", "negation: – / not"),
    ("El jefe de mi equipo es Pedro.", "El jefe de mi equipo es Luis.", "name: Pedro / Luis"),
    ("Il a deux enfants et un chien.", "Il a trois enfants et un chien.", "number: 2 / 3"),
    ("Elle aime le fromage.", "Elle n'aime pas le fromage.", "negation: – / not"),
    ("服务器使用端口8080。", "服务器使用端口8081。", "port: 8080 / 8081"),
    ("我养了三只猫。", "我养了四只猫。", "number: 3 / 4"),
    ("她有二十三个学生。", "她有三十二个学生。", "number: 23 / 32"),
    ("会议在5月3日。", "会议在5月4日。", "date: --05-03 / --05-04"),
    ("我喜欢喝茶。", "我不喜欢喝茶。", "negation: – / not"),
    ("他去过北京。", "他没去过北京。", "negation: – / not"),
    ("ポートは８０８０です。", "ポートは8081です。", "port: 8080 / 8081"),
    ("肉を食べます。", "肉を食べません。", "negation: – / not"),
    ("彼は来る。", "彼は来ない。", "negation: – / not"),
    ("猫が三匹います。", "猫が四匹います。", "number: 3 / 4"),
    ("ฉันชอบดื่มชา", "ฉันไม่ชอบดื่มชา", "negation: – / not"),
]


@pytest.mark.parametrize("one, other, difference", CONTRADICTIONS)
def test_a_contradiction_is_told_and_bars(one: str, other: str, difference: str) -> None:
    assert told(one, other)[0] == difference
    assert verdict(one, other) == "barred"


ALIKE = [
    ("Anna trinkt jeden Morgen grünen Tee.", "Anna trinkt morgens immer grünen Tee."),
    ("Im Garten schläft der Hund.", "Der Hund schläft im Garten."),
    ("Der Drucker steht im Büro.", "Der Drucker steht im Büro neben dem Fenster."),
    ("A mi hermana le gusta el té verde.", "A mi hermana le encanta el té verde."),
    ("El perro duerme en el jardín.", "El perro duerme en el jardín de la casa."),
    ("我喜欢喝绿茶。", "我很喜欢喝绿茶。"),
    ("他非常喜欢喝绿茶。", "他很喜欢喝绿茶。"),
    ("她住在上海。", "她住在上海的郊区。"),
    ("毎朝コーヒーを飲みます。", "毎朝コーヒーを一杯飲みます。"),
    ("いい天気です。", "とてもいい天気です。"),
    ("Lieblingsfarbe Blau", "Lieblingsfarbe blau und grau"),
]


@pytest.mark.parametrize("one, other", ALIKE)
def test_what_is_alike_is_neither_sure_nor_barred(one: str, other: str) -> None:
    assert verdict(one, other) == "open"


@pytest.mark.parametrize("one, other", ALIKE[:7])
def test_what_is_alike_is_suggested(one: str, other: str) -> None:
    vectors = np.array([[1, 0.1], [1, -0.1]], np.float32)
    records = tuple(MemoryRecord(Key("c", str(k)), text, embedding=vectors[k]) for k, text in enumerate((one, other)))
    (group,) = analyze([Snapshot("jsonl:x", (CollectionInfo("c", 2, 2, 2),), records)]).groups(0.8)
    assert group.tier == "likely"


@pytest.mark.parametrize(
    "text",
    ["Lieblingsfarbe Blau", "Meine Tochter will in Berlin studieren", "Er war so alt", "Color favorito rojo",
     "Mañana por la tarde", "Trabaja sin contrato", "我喜欢茶", "Привет"],
)  # fmt: skip
def test_a_short_text_is_not_taken_for_english(text: str) -> None:
    assert not Words.of(text).english


@pytest.mark.parametrize("text", ["User prefers dark mode", "Favorite color: blue", "Maria likes tea", "DB port 8080",
                                  "He lives in Berlin", "Was it on or off?"])  # fmt: skip
def test_short_english_is_known(text: str) -> None:
    assert Words.of(text).english


def test_german_is_told_from_other_languages() -> None:
    assert is_german(["der", "hund", "schläft", "im", "garten"])
    assert not is_german(["el", "perro", "duerme", "en", "el", "jardín"])
    assert not is_german([])


@pytest.mark.parametrize(
    "text, number",
    [("三", "3"), ("十", "10"), ("十五", "15"), ("二十三", "23"), ("一百零五", "105"), ("三万五千", "35000"),
     ("二零二四", "2024"), ("两", "2"), ("一億", "100000000")],
)  # fmt: skip
def test_chinese_numerals_are_numbers(text: str, number: str) -> None:
    assert Words.of(f"有{text}个").numbers == {number}


@pytest.mark.parametrize("text", ["我们一起去", "三明治很好吃", "十分高兴"])
def test_set_words_hold_no_number(text: str) -> None:
    assert not Words.of(text).numbers


@pytest.mark.parametrize("text", ["非常好", "不过他来了", "いい天気", "少ない", "未来"])
def test_set_words_hold_no_negation(text: str) -> None:
    assert Words.of(text).negations == 0


def test_east_asian_punctuation_is_no_part_of_a_text() -> None:
    assert normalise("「我喜欢茶。」") == normalise("我喜欢茶")
