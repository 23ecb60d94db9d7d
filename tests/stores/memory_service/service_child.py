"""Opens a database with the real mcp-memory-service and tells what it finds; run by the Python that has it.

Reads ``{"vectors": {text: [float…]}, "dimension", "ask": [texts], "store": [texts], "import": [files], "export": file,
"words": [words], "tags": [tags]}`` from stdin and prints one JSON object. The vectors of a model come from a server in
this process, as the service lets one configure.
"""

import asyncio
import json
import logging
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMPLAINTS = []


class Complaints(logging.Handler):
    def emit(self, record):
        COMPLAINTS.append(record.getMessage())


def serve_vectors(vectors, dimension):
    """The address of a server that gives the vectors of texts; of unknown texts one that is like no other."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            texts = [asked] if isinstance(asked, str) else asked
            none = [1.0] + [0.0] * (dimension - 1)
            data = [{"index": n, "embedding": vectors.get(text, none)} for n, text in enumerate(texts)]
            body = json.dumps({"data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/v1/embeddings"


async def look(path, asked):
    from mcp_memory_service.models.memory import Memory
    from mcp_memory_service.storage.sqlite_vec import SqliteVecMemoryStorage
    from mcp_memory_service.sync.exporter import MemoryExporter
    from mcp_memory_service.sync.importer import MemoryImporter
    from mcp_memory_service.utils.hashing import generate_content_hash

    logging.getLogger("mcp_memory_service").addHandler(Complaints(logging.WARNING))
    storage = SqliteVecMemoryStorage(path)
    await storage.initialize()
    told = {"stored": [], "imported": None}
    for text in asked.get("store", []):
        memory = Memory(content=text, content_hash=generate_content_hash(text), tags=["new"], memory_type="note")
        told["stored"].append(await storage.store(memory, skip_semantic_dedup=True))
    if asked.get("import"):
        files = [Path(each) for each in asked["import"]]
        told["imported"] = await MemoryImporter(storage).import_from_json(files, add_source_tags=False)
    if asked.get("export"):
        await MemoryExporter(storage).export_to_json(Path(asked["export"]))
    stores = await storage.get_stores()
    told["stores"] = stores
    told["counts"] = {store: await storage.count_all_memories(store=store) for store in stores}
    told["found"] = {
        text: [[each.memory.content_hash for each in await storage.retrieve(text, 3, store=store)] for store in stores]
        for text in asked.get("ask", [])
    }
    told["words"] = {
        word: [hash for hash, _ in await storage._search_bm25(word, 10)] for word in asked.get("words", [])
    }
    told["tags"] = {
        tag: sorted(memory.content_hash for memory in await storage.search_by_tag([tag]))
        for tag in asked.get("tags", [])
    }
    told["memories"] = {
        memory.content_hash: {
            "content": memory.content, "tags": memory.tags, "type": memory.memory_type, "metadata": memory.metadata,
            "created": memory.created_at, "store": store,
        }
        for store in stores
        for memory in await storage.get_all_memories(store=store)
    }  # fmt: skip
    storage.conn.execute("INSERT INTO memory_content_fts(memory_content_fts, rank) VALUES ('integrity-check', 1)")
    told["integrity"] = storage.conn.execute("PRAGMA integrity_check").fetchone()[0]
    told["embeddings"] = storage.conn.execute("SELECT count(*) FROM memory_embeddings").fetchone()[0]
    return told


def main():
    asked = json.load(sys.stdin)
    os.environ["MCP_EXTERNAL_EMBEDDING_URL"] = serve_vectors(asked.get("vectors", {}), asked["dimension"])
    told = asyncio.run(look(sys.argv[1], asked))
    print(json.dumps({**told, "complaints": COMPLAINTS}))


if __name__ == "__main__":
    main()
