"""The tables of both systems, small: as their programs make them, but with vectors of the tests' length."""

from __future__ import annotations

from tests.conftest import DIMENSION

OWNER = "0d7c3a52-9b1e-4f60-8a2d-5e4b7c9f1a36"
_MODULES = ("work", "personal")


def _vector(vectors: bool) -> str:
    """The type of vectors; without pgvector an array stands in for it."""
    return f"vector({DIMENSION})" if vectors else "real[]"


def bigmemory(*, vectors: bool, id_type: str = "text") -> str:
    vector = _vector(vectors)
    return f"""
        CREATE TABLE users (
            id text PRIMARY KEY, token text NOT NULL UNIQUE, email text UNIQUE, password text,
            is_active boolean NOT NULL DEFAULT true,
            created_at timestamp(3) NOT NULL DEFAULT now(), updated_at timestamp(3) NOT NULL DEFAULT now());
        CREATE TABLE memories (
            id {id_type} PRIMARY KEY, user_id text NOT NULL REFERENCES users(id) ON DELETE CASCADE,
            content text NOT NULL, content_hash text NOT NULL, embedding {vector},
            title text, summary text, tags text[] NOT NULL DEFAULT '{{}}', source text,
            source_metadata jsonb, created_at timestamp(3) NOT NULL DEFAULT now(),
            updated_at timestamp(3) NOT NULL DEFAULT now(), accessed_at timestamp(3) NOT NULL DEFAULT now(),
            access_count integer NOT NULL DEFAULT 0, is_deleted boolean NOT NULL DEFAULT false);
        CREATE TABLE memory_relations (
            id text PRIMARY KEY, user_id text NOT NULL REFERENCES users(id) ON DELETE CASCADE,
            source_memory_id {id_type} NOT NULL REFERENCES memories(id) ON DELETE CASCADE,
            target_memory_id {id_type} NOT NULL REFERENCES memories(id) ON DELETE CASCADE,
            relation_type text NOT NULL, strength double precision NOT NULL DEFAULT 0.5,
            metadata jsonb, created_at timestamp(3) NOT NULL DEFAULT now());
        INSERT INTO users (id, token) VALUES ('{OWNER}', 'x');
    """


def federated(*, vectors: bool) -> str:
    vector = _vector(vectors)
    time = "timestamp(3) without time zone NOT NULL"
    tables = "".join(
        f"""
        CREATE TABLE "{module}_memories" (
            "id" text NOT NULL PRIMARY KEY, "userId" text NOT NULL, "content" text NOT NULL, "embedding" {vector},
            "metadata" jsonb NOT NULL DEFAULT '{{}}', "accessCount" integer NOT NULL DEFAULT 0,
            "lastAccessed" {time} DEFAULT CURRENT_TIMESTAMP, "createdAt" {time} DEFAULT CURRENT_TIMESTAMP,
            "updatedAt" {time});
        """
        for module in _MODULES
    )
    return f"""
        CREATE TABLE "users" ("id" text NOT NULL PRIMARY KEY, "token" text NOT NULL);
        {tables}
        CREATE TABLE "memory_relationships" (
            "id" text NOT NULL PRIMARY KEY, "userId" text NOT NULL REFERENCES "users"("id"),
            "sourceModule" text NOT NULL, "sourceMemoryId" text NOT NULL,
            "targetModule" text NOT NULL, "targetMemoryId" text NOT NULL, "relationshipType" text NOT NULL,
            "strength" double precision NOT NULL DEFAULT 0.5, "metadata" jsonb NOT NULL DEFAULT '{{}}',
            "createdAt" {time} DEFAULT CURRENT_TIMESTAMP);
        INSERT INTO "users" VALUES ('{OWNER}', 'x');
    """
