"""Rows in Milvus: writing them into a collection, and searching in one."""
