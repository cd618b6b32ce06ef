"""Files of texts in: lines, JSON Lines, CSV, TSV, Parquet and Arrow, as blocks of rows."""

from portvec._bulk.sources.opening import open_source, open_stream
from portvec._bulk.sources.source import BadRow, Block, Report, Source, fail, read_texts

__all__ = ["BadRow", "Block", "Report", "Source", "fail", "open_source", "open_stream", "read_texts"]
