"""Memory systems that live in a PostgreSQL database."""
